"""The configurations that README.md and etc/apus.conf offer pass `apus -t`."""

import re
import signal

from certs import client_context, self_signed
from harness import ROOT, ProxyTest, apus_only, free_port, listening_ports, wait_until


def blocks(text):
    """The indented blocks of a Markdown text, without their indentation."""
    found = re.findall(r"(?m)(?:^(?:    .*)?\n)*^    .*\n", text)
    return [re.sub(r"(?m)^    ", "", block).strip("\n") + "\n" for block in found]


@apus_only
class FirstConfigurations(ProxyTest):

    def passes(self, text):
        """Tests a configuration as it stands, apart from places and ports that belong to the machine."""
        certificate, key = self_signed(self.dir / "mail.pem", self.dir / "mail.key", "mail.example.com")
        # The hash of a password, as `openssl passwd -6` prints one.
        hashed = "$6$salt$" + "a" * 86
        self.users = re.sub(r"\$6\$\.\.\.", lambda _: hashed, self.users)
        self.file("users", self.users)
        for written, here in (("/etc/ssl/mail.pem", certificate), ("/etc/ssl/mail.key", key),
                              ("/etc/apus/users", self.dir / "users"), ("/var/log/apus/", f"{self.dir}/"),
                              ("/run/apus/apus.pid", self.dir / "apus.pid")):
            text = text.replace(written, str(here))
        text = re.sub(r"(listen\s+(?:\[::\]:)?)(143|993)\b",
                      lambda match: match[1] + str(self.ports.setdefault(match[2], free_port("::"))), text)
        # The ports told the protocol.
        text = re.sub(r"server \{(?![^}]*protocol)", "server { protocol imap; ", text)
        if "pid " not in text:
            text = f"pid {self.dir}/apus.pid; error_log {self.dir}/error.log;\n" + text
        proxy = self.prepare(text, raw=True)
        done = proxy.run("-t")
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 2, done.stderr)
        return proxy

    def setUp(self):
        super().setUp()
        self.ports = {}
        self.users = "alice:{SHA512-CRYPT}$6$...\n"

    def readme(self):
        return blocks((ROOT / "README.md").read_text())

    def test_both_of_the_readme(self):
        configurations = [block for block in self.readme() if "events {}" in block]
        self.users = next(block for block in self.readme() if "alice:" in block)
        self.assertEqual(["auth_http" in text for text in configurations], [True, False])
        for text in configurations:
            with self.subTest(text):
                self.passes(text)

    def test_the_one_with_comments(self):
        self.passes((ROOT / "etc/apus.conf").read_text())

    def test_what_is_commented_out_there(self):
        text = (ROOT / "etc/apus.conf").read_text()
        self.passes(re.sub(r"(?m)^ *(auth_passwd_file|proxy_pass) .*$", "",
                           re.sub(r"(?m)^( *)#(?=(server_name|auth_http|auth_http_timeout) )", r"\1", text)))

    def test_the_users_are_read(self):
        self.users = next(block for block in self.readme() if "alice:" in block)
        proxy = self.passes(next(block for block in self.readme() if "auth_passwd_file" in block))
        proxy.args = ["-g", "daemon off;"]
        proxy.launch()
        self.addCleanup(proxy.kill_rest)
        port = int(self.ports["993"])
        wait_until(lambda: port in listening_ports(), "the port of the configuration")
        client = self.connect(port, tls=client_context())
        client.hears_match(r"\* OK .*")
        client.says("a LOGIN bob wrong")
        client.hears_match(r"a NO .*")
        self.assertEqual(proxy.lines(r"\[(warn|error|crit|alert|emerg)\]"), [])
        proxy.send_signal(signal.SIGTERM)
        self.assertEqual(proxy.wait_end(), 0)
