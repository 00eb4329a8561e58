"""Mail clients as they are: each finds its way through the proxy, over TLS that it verifies.

Behind IMAP and POP3 is a real Dovecot (test_dovecot.py has more of curl and imaplib), behind SMTP a scripted server
(test_postfix.py has a real one).
"""

import hashlib
import hmac
import imaplib
import os
import poplib
import shutil
import smtplib
import ssl
import subprocess
import unittest

from certs import Authority
from dovecot import Dovecot
from harness import DEADLINE, ProxyTest, b64
from scripted import AuthService, accept, refuse
from smtp import SMTPBackend

LETTER = "From: <alice@example.net>\r\nTo: <bob@example.com>\r\nSubject: {0}\r\n\r\nHello, {0}.\r\n..A dot.\r\n"


def needs(program, package=None):
    return unittest.skipUnless(shutil.which(program), f"needs {program} (apt-get install {package or program})")


@unittest.skipUnless(os.access("/usr/lib/dovecot/pop3", os.X_OK),
                     "needs Dovecot (apt-get install dovecot-imapd dovecot-pop3d)")
class ClientTest(ProxyTest):
    """Every protocol on two ports, with TLS from the start (`imaps`) and without (`imap`), and every mechanism."""

    @classmethod
    def setUpClass(cls):
        cls.dovecot = Dovecot()
        cls.addClassCleanup(cls.dovecot.stop)
        cls.dovecot.start()

    def setUp(self):
        super().setUp()
        self.password = self.dovecot.password
        authority = Authority(self.dir)
        self.ca = str(authority.certificate)
        self.stranger = str(Authority(self.dir, "Another CA").certificate)
        certificate, key = authority.issue("localhost", alternatives="DNS:localhost,IP:127.0.0.1")
        self.context = ssl.create_default_context(cafile=self.ca)
        self.smtp = self.serve(SMTPBackend({"EHLO": "250-backend\r\n250 8BITMIME"}))
        self.behind = {"imap": self.dovecot.port, "pop3": self.dovecot.pop3_port, "smtp": self.smtp.port}
        self.methods = []
        self.auth = self.serve(AuthService(self.verdict))
        self.proxy = self.start(
            f"""
            mail {{
                server_name mail.example.com;
                auth_http 127.0.0.1:{self.auth.port}/auth;
                ssl_certificate {certificate};
                ssl_certificate_key {key};
                imap_auth plain login cram-md5;
                imap_capabilities IMAP4rev1 LITERAL+ UIDPLUS;
                pop3_auth plain apop cram-md5;
                smtp_auth plain login cram-md5;
                smtp_capabilities 8BITMIME;
                server {{ listen 127.0.0.1:@imap@; protocol imap; starttls only; }}
                server {{ listen 127.0.0.1:@imaps@ ssl; protocol imap; }}
                server {{ listen 127.0.0.1:@pop3@; protocol pop3; starttls only; }}
                server {{ listen 127.0.0.1:@pop3s@ ssl; protocol pop3; }}
                server {{ listen 127.0.0.1:@smtp@; protocol smtp; starttls only; }}
                server {{ listen 127.0.0.1:@smtps@ ssl; protocol smtp; }}
            }}
            """, workers=2)
        self.proxy.keep_secret(self.password)

    def verdict(self, request):
        """Knows the password in clear, so that it can judge the digests too; notes the method of who may enter."""
        salt, given, password = (request.header("Auth-Salt") or ""), request.header("Auth-Pass"), self.password
        expected = {
            "plain": password,
            "cram-md5": hmac.new(password.encode(), salt.encode(), hashlib.md5).hexdigest(),
            "apop": hashlib.md5((salt + password).encode()).hexdigest(),
        }
        method, protocol = request.header("Auth-Method"), request.header("Auth-Protocol")
        if given != expected[method]:
            return refuse()
        self.methods.append((protocol, method, request.header("Auth-SSL")))
        return accept(self.behind[protocol], Auth_Pass=None if method == "plain" else password)

    def entered(self, protocol, method, times=1):
        self.assertEqual(self.methods, [(protocol, method, "on")] * times)
        self.methods.clear()

    def run_client(self, *words, status=0, **options):
        """Standard output; fails when the exit status is not `status`, or is 0 when `status` is None."""
        done = subprocess.run(
            [str(word) for word in words], capture_output=True, timeout=3 * DEADLINE, cwd=self.dir,
            env={"PATH": os.environ["PATH"], "HOME": str(self.dir), "LC_ALL": "C", "USER": "tester"}, **options)
        told = (done.stdout + done.stderr).decode(errors="replace")
        if status is None:
            self.assertNotEqual(done.returncode, 0, told)
        else:
            self.assertEqual(done.returncode, status, told)
        return done.stdout

    def private(self, name, text):
        """A configuration that holds a password: many clients insist on who may read it."""
        return self.file(name, text, 0o600)

    def mailbox(self, user, *subjects):
        """Messages in that user's inbox, as bytes."""
        for subject in subjects:
            self.dovecot.deliver(subject, f"This is {subject}.", user)
        if os.geteuid() == 0:
            for path in (self.dovecot.dir / "mail" / user).rglob("*"):
                shutil.chown(path, self.dovecot.owner)
            shutil.chown(self.dovecot.dir / "mail" / user, self.dovecot.owner)
        return self.dovecot.messages[-len(subjects):] if subjects else []

    def sent(self):
        """The one message the SMTP server got, as the client meant it; forgets it."""
        self.assertEqual(len(self.smtp.messages), 1)
        message = self.smtp.messages.pop()
        self.assertTrue(message.endswith(b"\r\n.\r\n"))
        return message[:-3].replace(b"\r\n..", b"\r\n.")

    def modes(self, protocol):
        """(port, whether TLS begins by command)"""
        return ((self.proxy.ports[protocol], True), (self.proxy.ports[protocol + "s"], False))


@needs("curl")
class Curl(ClientTest):

    def curl(self, *words, **options):
        return self.run_client("curl", "-sS", "--max-time", DEADLINE, "--cacert", self.ca, "--user",
                               f"bob:{self.password}", *words, **options)

    def test_pop3(self):
        for port, starttls in self.modes("pop3"):
            url = f"pop3{'' if starttls else 's'}://127.0.0.1:{port}/"
            more = ["--ssl-reqd"] if starttls else []
            with self.subTest(url):
                self.assertEqual(len(self.curl(url, *more).splitlines()), 3)
                # Left alone, it takes the best of what it is shown.
                self.entered("pop3", "cram-md5")
                for number in (1, 2, 3):
                    self.assertEqual(self.curl(f"{url}{number}", *more), self.dovecot.messages[number - 1])
                self.entered("pop3", "cram-md5", 3)

    def test_pop3_mechanisms(self):
        url = f"pop3s://127.0.0.1:{self.proxy.ports['pop3s']}/2"
        for option, method in (("AUTH=PLAIN", "plain"), ("AUTH=LOGIN", "plain"), ("AUTH=CRAM-MD5", "cram-md5"),
                               ("AUTH=+APOP", "apop"), ("AUTH=*", None)):
            with self.subTest(option):
                self.assertEqual(self.curl(url, "--login-options", option), self.dovecot.messages[1])
                if method:
                    self.entered("pop3", method)

    def test_smtp(self):
        for port, starttls in self.modes("smtp"):
            for option, method in (("AUTH=PLAIN", "plain"), ("AUTH=LOGIN", "plain"), ("AUTH=CRAM-MD5", "cram-md5")):
                with self.subTest(starttls=starttls, option=option):
                    self.methods.clear()
                    letter = LETTER.format(option)
                    self.curl(f"smtp{'' if starttls else 's'}://127.0.0.1:{port}/client.example",
                              *(["--ssl-reqd"] if starttls else []), "--login-options", option, "--mail-from",
                              "alice@example.net", "--mail-rcpt", "bob@example.com", "-T", "-", input=letter.encode())
                    self.assertEqual(self.sent(), letter.encode())
                    self.entered("smtp", method)

    def test_a_certificate_nobody_vouches_for(self):
        # The tests above verify: this is how it looks when verification fails.
        for protocol in ("imaps", "pop3s", "smtps"):
            self.run_client("curl", "-sS", "--cacert", self.stranger, f"{protocol}://127.0.0.1:{self.proxy.ports[protocol]}",
                            status=60)


class Python(ClientTest):
    """imaplib, poplib and smtplib"""

    def test_imaplib_cram_md5(self):
        for port, starttls in self.modes("imap"):
            with self.subTest(starttls=starttls):
                self.methods.clear()
                if starttls:
                    client = imaplib.IMAP4("127.0.0.1", port, DEADLINE)
                    client.starttls(self.context)
                else:
                    client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=self.context, timeout=DEADLINE)
                self.assertEqual(client.login_cram_md5("bob", self.password)[0], "OK")
                client.select("INBOX", readonly=True)
                self.assertEqual(client.fetch("1", "(BODY.PEEK[])")[1][0][1], self.dovecot.messages[0])
                client.logout()
                self.entered("imap", "cram-md5")

    def test_poplib(self):
        for port, starttls in self.modes("pop3"):
            for method in ("plain", "apop"):
                with self.subTest(starttls=starttls, method=method):
                    self.methods.clear()
                    if starttls:
                        client = poplib.POP3("127.0.0.1", port, DEADLINE)
                        client.stls(self.context)
                    else:
                        client = poplib.POP3_SSL("127.0.0.1", port, context=self.context, timeout=DEADLINE)
                    self.addCleanup(client.close)
                    if method == "plain":
                        client.user("bob")
                        client.pass_(self.password)
                    else:
                        client.apop("bob", self.password)
                    self.assertEqual(client.stat()[0], 3)
                    self.assertEqual(b"\r\n".join(client.retr(3)[1]) + b"\r\n", self.dovecot.messages[2])
                    self.assertEqual(len(client.uidl()[1]), 3)
                    client.quit()
                    self.entered("pop3", method)

    def test_smtplib(self):
        for port, starttls in self.modes("smtp"):
            for mechanism, method in (("plain", "plain"), ("login", "plain"), ("cram_md5", "cram-md5")):
                with self.subTest(starttls=starttls, mechanism=mechanism):
                    self.methods.clear()
                    if starttls:
                        client = smtplib.SMTP("127.0.0.1", port, timeout=DEADLINE)
                        client.starttls(context=self.context)
                    else:
                        client = smtplib.SMTP_SSL("127.0.0.1", port, timeout=DEADLINE, context=self.context)
                    self.addCleanup(client.close)
                    client.ehlo()
                    client.user, client.password = "bob", self.password
                    client.auth(mechanism.replace("_", "-"), getattr(client, f"auth_{mechanism}"))
                    letter = LETTER.format(mechanism)
                    self.assertEqual(client.sendmail("alice@example.net", ["bob@example.com"], letter), {})
                    client.quit()
                    self.assertEqual(self.sent(), letter.encode())
                    self.entered("smtp", method)


@needs("swaks")
class Swaks(ClientTest):

    def test_mechanisms(self):
        for port, starttls in self.modes("smtp"):
            for mechanism, method in (("PLAIN", "plain"), ("LOGIN", "plain"), ("CRAM-MD5", "cram-md5")):
                with self.subTest(starttls=starttls, mechanism=mechanism):
                    self.methods.clear()
                    letter = LETTER.format(mechanism).replace("\r\n", "\n")
                    told = self.run_client(
                        "swaks", "--server", f"127.0.0.1:{port}", "--tls" if starttls else "--tls-on-connect",
                        "--tls-verify", "--tls-ca-path", self.ca, "--auth", mechanism, "--auth-user", "bob",
                        "--auth-password", self.password, "--helo", "client.example", "--from", "alice@example.net",
                        "--to", "bob@example.com", "--data", self.file("letter", letter))
                    self.assertEqual(self.sent().rstrip(), letter.replace("\n", "\r\n").encode().rstrip(), told)
                    self.entered("smtp", method)

    def test_refusals(self):
        port = self.proxy.ports["smtp"]
        common = ["swaks", "--server", f"127.0.0.1:{port}", "--tls-verify", "--to", "bob@example.com", "--auth", "PLAIN",
                  "--auth-user", "bob"]
        # 28: no mechanism succeeded; 29: TLS failed. (swaks's manual, "EXIT CODES")
        self.run_client(*common, "--tls", "--tls-ca-path", self.ca, "--auth-password", "a-wrong-one", status=28)
        self.run_client(*common, "--tls", "--tls-ca-path", self.stranger, "--auth-password", self.password, status=29)
        # starttls only: the password does not go over the wire.
        self.run_client(*common, "--auth-password", self.password, status=28)
        self.assertEqual((self.methods, self.smtp.messages), ([], []))


@needs("fetchmail")
class Fetchmail(ClientTest):

    def fetch(self, protocol, port, user, auth, tls, status=0):
        """What fetchmail hands to its delivery agent, message by message."""
        (self.dir / "delivered").write_bytes(b"")
        self.file("deliver", f"#!/bin/sh\ncat >>{self.dir}/delivered\nprintf '\\001' >>{self.dir}/delivered\n", 0o755)
        place = self.private("fetchmailrc", f"""
            set no syslog
            set no bouncemail
            poll localhost protocol {protocol} port {port} {"auth " + auth if auth else ""} user "{user}" password "{self.password}"
            sslcertck sslcertfile "{self.ca}" {tls}
            mda "{self.dir}/deliver"
            """)
        self.run_client("fetchmail", "-N", "-f", place, "--pidfile", self.dir / "fetchmail.pid", "-i", self.dir / "ids",
                        status=status)
        messages = (self.dir / "delivered").read_bytes().split(b"\1")[:-1]
        return [message.replace(b"\r\n", b"\n") for message in messages]

    def test_all_ways(self):
        starttls = 'sslproto "TLS1.2+"'
        for number, (protocol, tls, auth, method) in enumerate((
            ("imap", starttls, "password", "plain"),
            ("imap", "ssl", "password", "plain"),
            ("imap", "ssl", "cram-md5", "cram-md5"),
            ("pop3", starttls, "password", "plain"),
            ("pop3", "ssl", "password", "plain"),
            ("apop", "ssl", None, "apop"),
        )):
            with self.subTest(protocol=protocol, tls=tls, auth=auth):
                self.methods.clear()
                user = f"fetch{number}"
                messages = self.mailbox(user, "first", "second", "third")
                port = self.proxy.ports[("imap" if protocol == "imap" else "pop3") + ("s" if tls == "ssl" else "")]
                found = self.fetch(protocol, port, user, auth, tls)
                self.assertEqual(len(found), 3)
                for got, message in zip(found, messages):
                    header, body = message.decode().replace("\r\n", "\n").split("\n\n", 1)
                    for line in header.split("\n"):
                        self.assertIn(line, got.decode().split("\n"))
                    self.assertTrue(got.decode().endswith("\n\n" + body), got)
                self.entered("imap" if protocol == "imap" else "pop3", method)
                # It has deleted what it has fetched, at the server; status 1: no mail.
                self.assertEqual(self.fetch(protocol, port, user, auth, tls, status=1), [])

    def test_a_certificate_nobody_vouches_for(self):
        self.ca = self.stranger
        for protocol in ("imap", "pop3"):
            self.assertEqual(self.fetch(protocol, self.proxy.ports[protocol + "s"], "bob", None, "ssl", status=None), [])
        self.assertEqual(self.methods, [])


@needs("mbsync", "isync")
class Mbsync(ClientTest):

    def sync(self, **options):
        self.run_client("mbsync", "-c", self.configuration, "-a", **options)

    def configure(self, user, kind, mechanism):
        (self.dir / "near").mkdir()
        self.configuration = self.private("mbsyncrc", f"""
IMAPAccount apus
Host localhost
Port {self.proxy.ports["imap" if kind == "STARTTLS" else "imaps"]}
User {user}
Pass {self.password}
AuthMechs {mechanism}
SSLType {kind}
SystemCertificates no
CertificateFile {self.ca}

IMAPStore far
Account apus

MaildirStore near
Path {self.dir}/near/
Inbox {self.dir}/near/inbox
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")

    def near(self):
        """Subject: flags, as they are in the local Maildir."""
        found = {}
        for part in ("cur", "new"):
            for path in (self.dir / "near/inbox" / part).iterdir():
                subject = path.read_text().split("Subject: ", 1)[1].split("\n")[0].strip()
                self.assertNotIn(subject, found)
                found[subject] = path.name.partition(":2,")[2]
        return found

    def far(self, user):
        """Subject: flags, as the server has them, asked through the proxy."""
        client = imaplib.IMAP4_SSL("127.0.0.1", self.proxy.ports["imaps"], ssl_context=self.context, timeout=DEADLINE)
        client.login(user, self.password)
        count = int(client.select("INBOX", readonly=True)[1][0])
        found = {}
        for number in range(1, count + 1):
            ((head, subject), *_) = client.fetch(str(number), "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
            found[subject.decode().split(": ", 1)[1].strip()] = sorted(
                flag.decode() for flag in imaplib.ParseFlags(head) if flag != rb"\Recent")
        client.logout()
        return found

    def test_both_ways(self):
        for name, kind, mechanism, method in (("starttls", "STARTTLS", "PLAIN", "plain"), ("imaps", "IMAPS", "LOGIN", "plain"),
                                              ("digest", "IMAPS", "CRAM-MD5", "cram-md5")):
            with self.subTest(name):
                self.methods.clear()
                user = f"sync-{name}"
                shutil.rmtree(self.dir / "near", True)
                self.mailbox(user, *(f"number {number}" for number in range(20)))
                self.configure(user, kind, mechanism)
                self.sync()
                self.entered("imap", method)
                self.assertEqual(self.near(), {f"number {number}": "" for number in range(20)})
                # Here: one read and flagged, one deleted, one new.
                inbox = self.dir / "near/inbox"
                by_subject = {path.read_text().split("Subject: ", 1)[1].split("\n")[0].strip(): path
                              for part in ("cur", "new") for path in (inbox / part).iterdir()}
                for subject, flags in (("number 3", "FS"), ("number 4", "T")):
                    path = by_subject[subject]
                    path.rename(inbox / "cur" / (path.name.partition(":2,")[0] + ":2," + flags))
                (inbox / "new/1700000000.1.here").write_text(LETTER.format("written here").replace("\r\n", "\n"))
                # There: one new.
                self.mailbox(user, "delivered there")
                self.sync()
                expected = {f"number {number}" for number in range(20) if number != 4} | {"written here", "delivered there"}
                far = self.far(user)
                self.assertEqual(set(far), expected)
                self.assertEqual(far["number 3"], [r"\Flagged", r"\Seen"])
                self.assertEqual(set(self.near()), expected)
                # All is the same on both sides: another run changes nothing.
                before = self.near()
                self.sync()
                self.assertEqual((self.near(), self.far(user)), (before, far))

    def test_a_certificate_nobody_vouches_for(self):
        self.ca = self.stranger
        for kind in ("STARTTLS", "IMAPS"):
            with self.subTest(kind):
                shutil.rmtree(self.dir / "near", True)
                self.configure("bob", kind, "PLAIN")
                self.sync(status=1)
        self.assertEqual(self.methods, [])


@needs("msmtp")
class Msmtp(ClientTest):

    def send(self, port, starttls, mechanism, letter, **options):
        place = self.private("msmtprc", f"""
            account default
            host localhost
            port {port}
            from alice@example.net
            tls on
            tls_starttls {'on' if starttls else 'off'}
            tls_trust_file {self.ca}
            auth {mechanism}
            set_date_header off
            set_msgid_header off
            user bob
            password {self.password}
            """)
        self.run_client("msmtp", "-C", place, "bob@example.com", input=letter.replace("\r\n", "\n").encode(), **options)

    def test_mechanisms(self):
        for port, starttls in self.modes("smtp"):
            for mechanism, method in (("plain", "plain"), ("login", "plain"), ("cram-md5", "cram-md5")):
                with self.subTest(starttls=starttls, mechanism=mechanism):
                    self.methods.clear()
                    letter = LETTER.format(mechanism)
                    self.send(port, starttls, mechanism, letter)
                    self.assertEqual(self.sent(), letter.encode())
                    self.entered("smtp", method)

    def test_a_certificate_nobody_vouches_for(self):
        self.ca = self.stranger
        for port, starttls in self.modes("smtp"):
            self.send(port, starttls, "plain", LETTER, status=None)
        self.assertEqual((self.methods, self.smtp.messages), ([], []))


class SClient(ClientTest):
    """openssl s_client -starttls"""

    def talk(self, protocol, lines):
        told = self.run_client(
            "openssl", "s_client", "-starttls", protocol, "-connect", f"127.0.0.1:{self.proxy.ports[protocol]}", "-quiet",
            "-crlf", "-CAfile", self.ca, "-verify_return_error", "-verify_ip", "127.0.0.1",
            input="".join(line + "\n" for line in lines).encode())
        return told.decode().replace("\r\n", "\n")

    def test_imap(self):
        told = self.talk("imap", [f"a LOGIN bob {self.password}", "b SELECT INBOX", "c LOGOUT"])
        for pattern in (r"(?m)^a OK .*Logged in", r"(?m)^\* 3 EXISTS$", r"(?m)^b OK ", r"(?m)^c OK "):
            self.assertRegex(told, pattern)

    def test_pop3(self):
        told = self.talk("pop3", ["USER bob", f"PASS {self.password}", "STAT", "QUIT"])
        self.assertRegex(told, r"\+OK\n\+OK Logged in\.\n\+OK 3 \d+\n\+OK Logging out\.")

    def test_smtp(self):
        told = self.talk("smtp", ["EHLO me", "AUTH LOGIN Ym9i", b64(self.password), "NOOP", "QUIT"])
        self.assertRegex(told, r"334 UGFzc3dvcmQ6\n235 2\.0\.0 OK\n250 ok\n221 bye\n$")


del ClientTest


if __name__ == "__main__":
    unittest.main()
