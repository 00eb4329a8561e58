"""The protocol of another package, contrib/example-protocol: NNTP, with a real news server behind and a real client.

`contrib/test` builds it twice, as a user would: beside Apus (by path), and against a tagged version of it.
"""

import os
import pathlib
import subprocess
import sys
import unittest

from certs import Authority, client_context
from harness import DEADLINE, ROOT, ProxyTest
from inn import INN, UNPACKED
from scripted import AuthService, Server, accept, refuse

BINARIES = [pathlib.Path(path) for path in os.environ.get("APUS_EXAMPLES", "").split(":") if path]
EXAMPLE = ROOT / "contrib/example-protocol"

# Logs in, over TLS where a certificate is named, and fetches an article.
READER = r"""
use Net::NNTP;
my ($port, $user, $password, $authority) = @ARGV;
my $news = Net::NNTP->new("127.0.0.1", Port => $port, Reader => 0, Timeout => 10) or die "no greeting\n";
if ($authority) {
    $news->starttls(SSL_ca_file => $authority, SSL_verifycn_name => "news.example.com") or die "no TLS: " . $news->message;
}
$news->authinfo($user, $password) or die "refused: " . $news->code . " " . $news->message;
print join(" ", $news->group("local.test")), "\n";
print @{$news->article(1)};
$news->quit;
"""


@unittest.skipUnless(BINARIES, "contrib/test builds the example and names it in APUS_EXAMPLES")
class ExampleTest(ProxyTest):
    binary = BINARIES[0] if BINARIES else None

    def arrange(self, server="", answer=None, port=None):
        self.auth = self.serve(AuthService(answer or accept(port)))
        self.proxy = self.start(
            f"""
            mail {{
                server_name news.example.com;
                auth_http 127.0.0.1:@auth@/auth;
                server {{
                    listen 127.0.0.1:@news@;
                    protocol nntp;
                    {server}
                }}
                server {{
                    listen 127.0.0.1:@imap@;
                    protocol imap;
                }}
            }}
            """, ports={"auth": self.auth.port}, binary=self.binary)
        self.proxy.keep_secret("rosebud-4711", "wonderland")

    def news(self, greeting="200 news.example.com NNTP ready"):
        wire = self.connect(self.proxy.ports["news"])
        wire.hears(greeting)
        return wire


def both_builds(cls):
    """The tests of a class with each of the builds."""
    for binary in BINARIES[1:]:
        twin = type(cls.__name__ + "ByVersion", (cls,), {"binary": binary, "__module__": cls.__module__})
        setattr(sys.modules[cls.__module__], twin.__name__, twin)
    return cls


@both_builds
class Conversations(ExampleTest):

    def test_before_the_login(self):
        self.arrange(port=1)
        wire = self.news()
        for line, *answer in (
            ("CAPABILITIES", "101 capabilities", "VERSION 2", "AUTHINFO USER", "."),
            ("mode reader", "200 news.example.com NNTP ready"),
            ("GROUP local.test", "480 authentication required"),
            ("AUTHINFO PASS wonderland", "482 AUTHINFO USER comes first"),
            ("AUTHINFO USER", "501 AUTHINFO USER name, AUTHINFO PASS password"),
            ("AUTHINFO GENERIC x", "503 only USER and PASS"),
            ("STARTTLS", "500 no STARTTLS here"),
            ("", "500 no command"),
            ("QUIT", "205 bye"),
        ):
            wire.says(line)
            wire.hears(*answer)
        wire.hears_end()

    def test_too_long_a_line(self):
        self.arrange(port=1)
        wire = self.news()
        wire.sends("AUTHINFO USER " + "x" * 600)
        wire.hears("501 line too long")
        wire.hears_end()

    def test_its_own_directive_and_ports(self):
        self.arrange("nntp_posting off;", port=1)
        self.news("201 news.example.com NNTP ready")

    def test_a_refused_login(self):
        self.arrange(answer=refuse("No such user"))
        wire = self.news()
        wire.says("AUTHINFO USER bob")
        wire.hears("381 password required")
        wire.says("AUTHINFO PASS wonderland")
        wire.hears("481 No such user", "400 closing connection")
        wire.hears_end()
        request = self.auth.requests[0]
        self.assertEqual(request.header("Auth-Protocol"), "nntp")
        self.assertEqual(request.header("Auth-Method"), "plain")
        self.assertEqual(request.header("Auth-Pass"), "wonderland")

    def test_a_server_behind_that_refuses(self):
        behind = self.serve(Server(lambda wire: wire.says("502 no permission")))
        self.arrange(port=behind.port)
        wire = self.news()
        wire.says("AUTHINFO USER bob", "AUTHINFO PASS wonderland")
        wire.hears("381 password required", "400 internal error")
        wire.hears_end()
        self.proxy.wait_log('upstream sent invalid response: "502 no permission"')

    def test_what_apus_brings_is_there_too(self):
        self.arrange(port=1)
        wire = self.connect(self.proxy.ports["imap"])
        wire.hears("* OK IMAP4 ready")
        version = subprocess.run([self.binary, "-V"], capture_output=True, text=True, check=True).stderr
        self.assertIn("protocols: imap pop3 smtp sieve nntp\n", version)
        manual = subprocess.run(
            [self.binary, "--manual", "markdown"], capture_output=True, text=True, check=True).stdout
        self.assertIn("`nntp_posting`", manual)
        self.assertIn("119, 563 for nntp", manual)


@both_builds
@unittest.skipUnless((UNPACKED / "usr/lib/news/bin/nnrpd").exists(), "contrib/test unpacks INN")
class RealServer(ExampleTest):

    def read(self, *more):
        return subprocess.run(
            ["perl", "-e", READER, str(self.proxy.ports["news"]), "bob", *more], capture_output=True, text=True,
            timeout=3 * DEADLINE)

    def test_an_article_in_clear(self):
        server = self.serve(INN())
        self.arrange(port=server.port)
        done = self.read("rosebud-4711")
        self.assertEqual(done.stderr, "")
        self.assertIn("1 1 1 local.test", done.stdout)
        self.assertIn("They stay in the air for ten months.", done.stdout)
        refused = self.read("wonderland")
        # The server behind refused: the reply is Apus's.
        self.assertIn("400", refused.stderr)
        self.proxy.wait_log("upstream sent invalid response")

    def test_an_article_over_starttls(self):
        server = self.serve(INN())
        authority = Authority(self.dir)
        certificate, key = authority.issue("news.example.com")
        self.arrange(
            f"starttls only; ssl_certificate {certificate}; ssl_certificate_key {key};", port=server.port)
        refused = self.read("rosebud-4711")
        self.assertIn("483 TLS required", refused.stderr)
        done = self.read("rosebud-4711", str(authority.certificate))
        self.assertEqual(done.stderr, "")
        self.assertIn("They stay in the air for ten months.", done.stdout)
        wire = self.news()
        wire.says("STARTTLS")
        wire.hears("382 continue with TLS")
        wire.starts_tls(client_context(), "news.example.com")
        wire.says("STARTTLS")
        wire.hears("502 TLS is on already")


class Size(unittest.TestCase):

    def test_it_takes_no_more_than_200_lines(self):
        files = [path for path in EXAMPLE.rglob("*.swift") if ".build" not in path.parts]
        lines = sum(len(path.read_text().splitlines()) for path in files)
        print(f"measured: {lines} lines for a protocol of another package")
        self.assertLessEqual(lines, 200)


if __name__ == "__main__":
    unittest.main()
