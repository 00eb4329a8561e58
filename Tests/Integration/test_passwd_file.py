"""auth_passwd_file: users from a file in Dovecot's format, and proxy_pass. Only Apus has it."""

import base64
import hashlib
import hmac
import os
import re
import signal
import time
import unittest
import warnings

from certs import Authority, client_context
from harness import NAME, REFERENCE, alive, apus_only, b64, both_users, children, plain, title, wait_until
from imap import GREETING, IMAPTest
from scripted import Backend

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

PASSWORD = "corr3ct-horse"
ERROR = "* BAD internal server error"

HASHES = {
    "PLAIN": PASSWORD,
    "SHA512-CRYPT": crypt.crypt(PASSWORD, "$6$rounds=1000$saltysalt"),
    "SHA256-CRYPT": crypt.crypt(PASSWORD, "$5$rounds=1000$saltysalt"),
    "BLF-CRYPT": crypt.crypt(PASSWORD, "$2b$05$abcdefghijklmnopqrstuu"),
    "YESCRYPT": crypt.crypt(PASSWORD, "$y$j9T$F5Jx5fExrKuPp53xLKQ..1"),
    "CRYPT": crypt.crypt(PASSWORD, "$6$rounds=1000$othersalt"),
}


class PasswordFileTest(IMAPTest):

    def users(self, *lines):
        """Replaces the file in one step, as an editor does."""
        fresh = self.file("users.new", "".join(line + "\n" for line in lines), 0o600)
        os.replace(fresh, self.dir / "users")

    def arrange(self, *lines, mail="", server="", proxy_pass=True, backend=None, listen="", **options):
        self.users(*lines)
        self.backend = self.serve(backend or Backend())
        behind = f"proxy_pass 127.0.0.1:{self.backend.port};" if proxy_pass else ""
        self.proxy = self.start(
            f"""
            mail {{
                server_name mail.example.com;
                auth_passwd_file {self.dir}/users;
                {behind}
                {mail}
                server {{ listen 127.0.0.1:@imap@ {listen}; protocol imap; {server} }}
            }}
            """, **options)
        self.proxy.keep_secret(PASSWORD, *HASHES.values())
        return self.proxy

    def accepted(self, user="bob", password=PASSWORD):
        wire = self.client()
        wire.says(f'a LOGIN "{user}" "{password}"')
        wire.hears("a OK Logged in")
        wire.closes()
        return self.backend.logins[-1]

    def refused(self, user="bob", password=PASSWORD, tag="a"):
        self.proxy.keep_secret(password)
        before = len(self.backend.connections)
        wire = self.client()
        wire.says(f'{tag} LOGIN "{user}" "{password}"')
        answer = wire.hears_match(rf"{tag} NO (.+)")[1]
        self.assertEqual(len(self.backend.connections), before)
        wire.closes()
        return answer


    def all_refused(self, users, password=PASSWORD):
        """At the same time, for each refusal comes after a pause."""
        before = len(self.backend.connections)
        wires = {user: self.client() for user in users}
        for user, wire in wires.items():
            wire.says(f'a LOGIN "{user}" "{password}"')
        for user, wire in wires.items():
            with self.subTest(user):
                wire.hears_match("a NO .+")
        self.assertEqual(len(self.backend.connections), before)


@apus_only
@both_users
class Passwords(PasswordFileTest):

    def test_every_scheme(self):
        self.arrange(*[f"{scheme.lower()}:{{{scheme}}}{value}::::::nodelay" for scheme, value in HASHES.items()])
        for scheme in HASHES:
            with self.subTest(scheme):
                self.assertEqual(self.accepted(scheme.lower()), (scheme.lower(), PASSWORD))
                self.refused(scheme.lower(), PASSWORD + "x")
                self.refused(scheme.lower(), "")

    def test_hashes_made_by_the_openssl_command(self):
        from certs import openssl
        self.arrange("bob:{SHA512-CRYPT}" + openssl("passwd", "-6", PASSWORD).strip() + "::::::nodelay")
        self.accepted()
        self.refused(password="corr3ct-hors")

    def test_shortest_lines(self):
        self.arrange("# a comment", "", f"bob:{{PLAIN}}{PASSWORD}", f"eve:{{PLAIN}}{PASSWORD}:1000:1000:Eve:/home/eve:/bin/sh",
                     f"joe:{{plain}}{PASSWORD}::::::  nodelay   user=joseph  ")
        self.accepted("bob")
        self.accepted("eve")
        self.assertEqual(self.accepted("joe"), ("joseph", PASSWORD))

    def test_wrong_password_and_unknown_user_sound_the_same(self):
        self.arrange(f"bob:{{SHA512-CRYPT}}{HASHES['SHA512-CRYPT']}")
        self.assertEqual(self.refused("bob", "wrong-password"), self.refused("nobody-knows-me", "wrong-password"))
        self.assertEqual(len(self.proxy.wait_log(r"\[info\] .*client login failed: \".*\" while in .*, login: ", 2)), 2)

    def test_a_password_with_a_colon_is_not_one_with_a_field(self):
        self.arrange("bob:{PLAIN}first::::::nodelay")
        self.refused("bob", "first:second")

    def test_names_are_compared_whole(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay", f"alice@example.com:{{PLAIN}}{PASSWORD}")
        self.all_refused(("bo", "bobb", "BOB", "bob ", "alice", "alice@example.com.", "#"))
        self.accepted("alice@example.com")

    def test_authenticate(self):
        self.arrange(f"bob:{{YESCRYPT}}{HASHES['YESCRYPT']}")
        self.proxy.keep_secret(plain("bob", PASSWORD))
        wire = self.client()
        wire.says("a AUTHENTICATE PLAIN " + plain("bob", PASSWORD))
        wire.hears("a OK Logged in")
        wire = self.client()
        wire.says("a AUTHENTICATE LOGIN", b64("bob"), b64(PASSWORD))
        wire.hears("+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6", "a OK Logged in")

    def test_the_session_after_a_refusal(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}")
        wire = self.client()
        wire.says("a LOGIN bob wrong-password", f"b LOGIN bob {PASSWORD}")
        wire.hears_match("a NO .+")
        # It may end here, or go on after a pause.
        if wire.buffer or wire._fill():
            wire.hears("b OK Logged in")

    def test_an_empty_password_never_matches_by_accident(self):
        self.arrange("nopw:", "plainempty:{PLAIN}", f"bob:{{PLAIN}}{PASSWORD}")
        self.refused("nopw", "")
        self.refused("plainempty", "")

    def test_many_at_once_while_hashes_are_slow(self):
        slow = crypt.crypt(PASSWORD, "$6$rounds=200000$saltysalt")
        self.arrange(*[f"user{number}:{{SHA512-CRYPT}}{slow}" for number in range(8)])
        wires = [self.client() for _ in range(8)]
        for number, wire in enumerate(wires):
            wire.says(f"a LOGIN user{number} {PASSWORD}")
        # The workers are not held up meanwhile.
        begin = time.monotonic()
        other = self.client()
        other.says("n NOOP")
        other.hears("n OK completed")
        self.assertLess(time.monotonic() - begin, 0.5)
        for wire in wires:
            wire.sock.settimeout(30)
            wire.hears("a OK Logged in")
        self.assertEqual({user for user, _ in self.backend.logins}, {f"user{number}" for number in range(8)})


@apus_only
class Mechanisms(PasswordFileTest):

    def capability(self):
        wire = self.client()
        wire.says("c CAPABILITY")
        line = wire.hears_line()
        wire.hears("c OK completed")
        wire.closes()
        return line

    def cram(self, user, password):
        wire = self.client()
        wire.says("a AUTHENTICATE CRAM-MD5")
        challenge = base64.b64decode(wire.hears_match(r"\+ (\S+)")[1])
        wire.says(b64(f"{user} " + hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()))
        return wire

    def test_cram_md5_with_plain_entries(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay pass=behind-pass", f"eve:{{SHA512-CRYPT}}{HASHES['SHA512-CRYPT']}"
                     "::::::nodelay", mail="imap_auth plain cram-md5;")
        self.proxy.keep_secret("behind-pass")
        wait_until(lambda: "AUTH=CRAM-MD5" in self.capability(), "CRAM-MD5 to be advertised")
        self.cram("bob", PASSWORD).hears("a OK Logged in")
        self.assertEqual(self.backend.logins, [("bob", "behind-pass")])
        self.cram("bob", "another-password").hears_match("a NO .+")
        self.cram("eve", PASSWORD).hears_match("a NO .+")
        self.cram("nobody-knows-me", PASSWORD).hears_match("a NO .+")

    def test_the_clear_password_serves_behind(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay", mail="imap_auth plain cram-md5;")
        wait_until(lambda: "AUTH=CRAM-MD5" in self.capability(), "CRAM-MD5 to be advertised")
        wire = self.cram("bob", PASSWORD)
        answer = wire.hears_line()
        if answer == "a OK Logged in":
            self.assertEqual(self.backend.logins, [("bob", PASSWORD)])
        else:  # or `pass=` has to be given; never something else
            self.assertEqual(answer, ERROR)

    def test_without_plain_entries_it_is_not_advertised(self):
        self.arrange(f"bob:{{SHA512-CRYPT}}{HASHES['SHA512-CRYPT']}::::::nodelay", mail="imap_auth plain cram-md5;")
        self.accepted()  # a helper has read the file now
        self.assertEqual(self.capability(), "* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN")

    def test_external_is_refused(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay pass=x", mail="imap_auth plain external;")
        wire = self.client()
        wire.says("a AUTHENTICATE EXTERNAL " + b64("bob"))
        wire.hears_match("a (NO|BAD) .+")
        self.assertEqual(len(self.backend.connections), 0)

    def test_external_with_a_verified_certificate_of_that_user(self):
        authority = Authority(self.dir)
        certificate, key = authority.issue("mail.example.com")
        bob = authority.issue("bob")
        eve = authority.issue("eve")
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay pass=behind-pass", f"eve:{{PLAIN}}{PASSWORD}::::::pass=behind-pass",
                     mail=f"imap_auth plain external; ssl_certificate {certificate}; ssl_certificate_key {key}; "
                          f"ssl_verify_client optional; ssl_client_certificate {authority.certificate};", listen="ssl")
        self.proxy.keep_secret("behind-pass")
        wire = self.client(tls=client_context(*bob))
        wire.says("a AUTHENTICATE EXTERNAL " + b64("bob"))
        wire.hears("a OK Logged in")
        self.assertEqual(self.backend.logins, [("bob", "behind-pass")])
        for context in (client_context(*eve), client_context()):
            wire = self.client(tls=context)
            wire.says("a AUTHENTICATE EXTERNAL " + b64("bob"))
            wire.hears_match("a (NO|BAD) .+")
        self.assertEqual(len(self.backend.connections), 1)


@apus_only
class Fields(PasswordFileTest):

    def test_host_and_port(self):
        other = self.serve(Backend())
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::host=127.0.0.1 port={other.port}",
                     f"eve:{{PLAIN}}{PASSWORD}::::::port={other.port}", f"joe:{{PLAIN}}{PASSWORD}")
        for user in ("bob", "eve", "joe"):
            wire = self.client()
            wire.says(f"a LOGIN {user} {PASSWORD}")
            wire.hears("a OK Logged in")
        self.assertEqual([user for user, _ in other.logins], ["bob", "eve"])
        self.assertEqual([user for user, _ in self.backend.logins], ["joe"])
        self.proxy.wait_log(rf'client logged in, .*, login: "bob", upstream: 127\.0\.0\.1:{other.port}$')

    def test_no_server_for_a_user(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}", proxy_pass=False)
        wire = self.client()
        wire.says(f"a LOGIN bob {PASSWORD}")
        wire.hears(ERROR)
        wire.hears_end()
        self.proxy.wait_log(r"\[error\] .*, client: 127\.0\.0\.1, server: .*, login: \"bob\"")

    def test_user_and_pass(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::user=robert pass=behind-pass",
                     f"eve:{{PLAIN}}{PASSWORD}::::::destuser=evelyn")
        self.proxy.keep_secret("behind-pass")
        self.assertEqual(self.accepted("bob"), ("robert", "behind-pass"))
        self.assertEqual(self.accepted("eve"), ("evelyn", PASSWORD))

    def test_nologin(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nologin nodelay", f"eve:{{PLAIN}}{PASSWORD}::::::nologin=y nodelay")
        self.refused("bob")
        self.refused("eve")

    def test_allow_nets(self):
        self.arrange(f"in:{{PLAIN}}{PASSWORD}::::::allow_nets=192.0.2.0/24,127.0.0.0/8",
                     f"out:{{PLAIN}}{PASSWORD}::::::nodelay allow_nets=192.0.2.0/24,::1",
                     f"one:{{PLAIN}}{PASSWORD}::::::nodelay allow_nets=127.0.0.2")
        self.accepted("in")
        self.refused("out")
        self.refused("one")
        wire = self.client(source="127.0.0.2")
        wire.says(f"a LOGIN one {PASSWORD}")
        wire.hears("a OK Logged in")

    def test_userdb_fields_are_ignored(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}:1:2:x:/home:/bin/sh:userdb_mail=maildir:~/Mail userdb_quota_rule=*:storage=1M")
        self.accepted()

    def test_an_unknown_field_disables_its_entry_only(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay sesame=open", f"eve:{{PLAIN}}{PASSWORD}")
        self.refused("bob")
        self.accepted("eve")
        lines = self.proxy.wait_log(r"\[error\] .*extra field 2 is unknown")
        self.assertEqual(len(lines), 1)

    def test_bad_lines_disable_themselves_only(self):
        bad = {
            "scheme": "{ROT13}abc", "field": f"{{PLAIN}}{PASSWORD}::::::host=", "name": f"{{PLAIN}}{PASSWORD}::::::host=no.such.name",
            "port": f"{{PLAIN}}{PASSWORD}::::::port=99999", "nets": f"{{PLAIN}}{PASSWORD}::::::allow_nets=everywhere",
            "flag": f"{{PLAIN}}{PASSWORD}::::::nologin=perhaps", "hash": "{SHA512-CRYPT}not-a-hash",
            "control": f"{{PLAIN}}{PASSWORD}::::::user=b\x01b", "tls": f"{{PLAIN}}{PASSWORD}::::::ssl=yes",
        }
        self.arrange(*[f"{user}:{rest}" for user, rest in bad.items()], f"good:{{PLAIN}}{PASSWORD}", f"twice:{{PLAIN}}{PASSWORD}",
                     "twice:{PLAIN}another-password", "no-colon-at-all-" + PASSWORD, "x" * 10000 + ":{PLAIN}y")
        self.accepted("good")
        self.accepted("twice")
        self.proxy.wait_log(r"\[error\] .*password file.* line \d+", len(bad))
        self.all_refused(bad)


@apus_only
@both_users
class Changes(PasswordFileTest):
    """A changed file counts without a reload."""

    def test_replaced(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay")
        self.accepted("bob")
        self.users(f"eve:{{PLAIN}}{PASSWORD}::::::nodelay")
        self.becomes("eve", True)
        self.becomes("bob", False)

    def test_rewritten_in_place(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay")
        self.accepted("bob")
        (self.dir / "users").write_text(f"bob:{{PLAIN}}fresh-password::::::nodelay\n")
        self.proxy.keep_secret("fresh-password")
        self.becomes("bob", True, "fresh-password")
        self.refused("bob")

    def test_removed_and_back(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay")
        self.accepted("bob")
        os.unlink(self.dir / "users")
        time.sleep(0.5)
        self.client().closes()
        self.users(f"eve:{{PLAIN}}{PASSWORD}::::::nodelay")
        self.becomes("eve", True)
        self.proxy.allow("users")

    def test_a_reload_reads_it_again(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}::::::nodelay")
        self.users(f"eve:{{PLAIN}}{PASSWORD}::::::nodelay")
        before = self.proxy.workers()
        self.proxy.same_workers = False
        self.proxy.send_signal(signal.SIGHUP)
        wait_until(lambda: self.proxy.workers() and not set(self.proxy.workers()) & set(before), "new workers")
        self.becomes("eve", True)

    def becomes(self, user, wanted, password=PASSWORD):
        def now():
            wire = self.client()
            wire.says(f"a LOGIN {user} {password}")
            answer = wire.hears_line()
            wire.closes()
            return (answer == "a OK Logged in") == wanted

        wait_until(now, f"{user} to be {'accepted' if wanted else 'refused'}", timeout=5, interval=0.1)


@apus_only
class Helpers(PasswordFileTest):
    """The processes that compute hashes."""

    def helpers(self):
        return [pid for pid in children(self.proxy.master) if pid not in self.proxy.workers()]

    def test_a_killed_helper_is_replaced(self):
        self.arrange(f"bob:{{SHA512-CRYPT}}{HASHES['SHA512-CRYPT']}")
        self.proxy.allow("exited on signal 9")
        self.accepted()
        before = self.helpers()
        self.assertTrue(before, [title(pid) for pid in children(self.proxy.master)])
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.helpers() and not set(self.helpers()) & set(before), "new helpers")

        def works():
            wire = self.client()
            wire.says(f"a LOGIN bob {PASSWORD}")
            answer = wire.hears_line()
            wire.closes()
            return answer == "a OK Logged in"

        wait_until(works, "logins to work again")

    def test_they_have_no_privileges(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        from harness import status_field
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}")
        self.accepted()
        for pid in self.helpers():
            self.assertNotEqual(status_field(pid, "Uid")[0], "0")

    def test_they_end_with_the_master(self):
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}")
        self.accepted()
        before = self.helpers()
        self.proxy.stop()
        wait_until(lambda: not any(alive(pid) and NAME in title(pid) for pid in before), "the helpers to end")


@apus_only
@both_users
class Configuration(PasswordFileTest):

    def refuses(self, text, pattern, **options):
        proxy = self.prepare(text, **options)
        done = proxy.run("-t")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, rf"(?m)^{NAME}: \[emerg\] {pattern}")
        proxy.launch()
        self.assertEqual(proxy.wait_end(), 1)

    def mail(self, text):
        return f"mail {{ {text} server {{ listen 127.0.0.1:@imap@; protocol imap; }} }}"

    def test_a_missing_file(self):
        self.refuses(self.mail(f"auth_passwd_file {self.dir}/nowhere; proxy_pass 127.0.0.1:143;"),
                     rf'open\(\) "{re.escape(str(self.dir))}/nowhere" failed \(2: No such file or directory\)')

    def test_an_unreadable_file(self):
        if self.run_as is None and os.geteuid() == 0:
            self.skipTest("root reads everything")
        path = self.file("users", f"bob:{{PLAIN}}{PASSWORD}\n", 0)
        self.refuses(self.mail(f"auth_passwd_file {path}; proxy_pass 127.0.0.1:143;"),
                     rf'open\(\) "{re.escape(path)}" failed \(13: Permission denied\)')

    def test_a_directory(self):
        os.mkdir(self.dir / "d")
        self.refuses(self.mail(f"auth_passwd_file {self.dir}/d; proxy_pass 127.0.0.1:143;"), ".*")

    def test_bad_values(self):
        path = self.file("users", "")
        for text, pattern in (("proxy_pass 127.0.0.1;", ".*proxy_pass"), ("proxy_pass 127.0.0.1:0;", ".*invalid port.*proxy_pass"),
                              ("proxy_pass 127.0.0.1:x;", ".*invalid port.*proxy_pass"), ("proxy_pass '';", ".*proxy_pass"),
                              ("proxy_pass unix:/x;", ".*proxy_pass"), ("proxy_pass nosuchhost.invalid:1;", ".*host not found")):
            with self.subTest(text):
                self.refuses(self.mail(f"auth_passwd_file {path}; {text}"), pattern)

    def test_relative_to_the_configuration_file(self):
        self.file("users", "")
        proxy = self.prepare(self.mail("auth_passwd_file users; proxy_pass 127.0.0.1:143;"))
        done = proxy.run("-t")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_master_gives_up_its_privilege_over_the_file_not_its_secrecy(self):
        # A file only root can read works with workers that are not root.
        self.arrange(f"bob:{{PLAIN}}{PASSWORD}")
        self.accepted()


if __name__ == "__main__":
    unittest.main()
