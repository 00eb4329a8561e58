"""Mail goes through the proxy into a real Postfix, on into a real Dovecot, and is read back through the proxy."""

import contextlib
import hashlib
import imaplib
import os
import poplib
import re
import smtplib
import ssl
import unittest

from certs import Authority
from dovecot import Dovecot
from harness import DEADLINE, ProxyTest, plain, wait_until
from postfix import Postfix, needs_postfix
from scripted import AuthService, accept, refuse

OUTSIDE = "192.0.2.7"


def leave(client):
    """Ends an imaplib session that a failed test has left open."""
    with contextlib.suppress(OSError):
        client.shutdown()


@needs_postfix
class BehindApus(ProxyTest):
    """One Postfix and one Dovecot for all tests; each test has a mailbox of its own."""

    mailboxes = ("login", "xclient", "six", "mx", "large", "wrong")

    @classmethod
    def setUpClass(cls):
        cls.dovecot = Dovecot(behind_postfix=True)
        cls.addClassCleanup(cls.dovecot.stop)
        cls.dovecot.start()
        cls.postfix = Postfix(cls.dovecot, cls.mailboxes)
        cls.addClassCleanup(cls.postfix.stop)
        cls.postfix.start()

    def arrange(self, smtp="", mail="", listen=""):
        """An auth service that knows the password of Dovecot, and everybody without a login; a server per protocol."""
        servers = {"smtp": self.postfix.port, "imap": self.dovecot.port, "pop3": self.dovecot.pop3_port}

        def verdict(request):
            if request.header("Auth-Method") != "none" and request.header("Auth-Pass") != self.dovecot.password:
                return refuse()
            if (request.header("Auth-SMTP-To") or "").endswith("<nobody@example.com>"):
                return refuse("5.1.1 no such user", Auth_Error_Code="550")
            return accept(servers[request.header("Auth-Protocol")])

        authority = Authority(self.dir)
        certificate, key = authority.issue("localhost", alternatives="DNS:localhost,IP:127.0.0.1")
        self.context = ssl.create_default_context(cafile=str(authority.certificate))
        self.auth = self.serve(AuthService(verdict))
        self.proxy = self.start(
            f"""
            mail {{
                server_name mail.example.com;
                auth_http 127.0.0.1:{self.auth.port}/auth;
                ssl_certificate {certificate};
                ssl_certificate_key {key};
                starttls on;
                {mail}
                server {{
                    listen 127.0.0.1:@smtp@ {listen};
                    protocol smtp;
                    smtp_capabilities "SIZE 33554432" 8BITMIME PIPELINING;
                    {smtp}
                }}
                server {{ listen 127.0.0.1:@imap@; protocol imap; }}
                server {{ listen 127.0.0.1:@pop3@; protocol pop3; }}
            }}
            """)
        self.proxy.keep_secret(self.dovecot.password)

    # the ways in and out

    def submits(self, source=None, login=None):
        """A client with TLS that has logged in."""
        client = smtplib.SMTP("127.0.0.1", self.proxy.ports["smtp"], "client.example", DEADLINE,
                              (source, 0) if source else None)
        self.addCleanup(client.close)
        client.starttls(context=self.context)
        if login:
            client.login(login, self.dovecot.password)
        return client

    @staticmethod
    def letter(name, body=b"Hello.\r\n"):
        return (f"From: <alice@example.net>\r\nTo: <{name}@example.com>\r\nSubject: for {name}\r\n"
                "\r\n").encode() + body

    def by_imap(self, name):
        """All of the mailbox, once something is in it."""
        client = imaplib.IMAP4("127.0.0.1", self.proxy.ports["imap"], DEADLINE)
        self.addCleanup(leave, client)
        client.starttls(self.context)
        client.login(name, self.dovecot.password)

        def arrived():
            return int(client.select("INBOX", readonly=True)[1][0])

        count = wait_until(arrived, lambda: f"mail for {name}: {self.postfix.told()} {self.dovecot.told()}",
                           timeout=3 * DEADLINE, interval=0.05)
        found = [client.fetch(str(number + 1), "(BODY.PEEK[])")[1][0][1] for number in range(count)]
        client.logout()
        return found

    def by_pop3(self, name):
        client = poplib.POP3("127.0.0.1", self.proxy.ports["pop3"], DEADLINE)
        self.addCleanup(client.close)
        client.stls(self.context)
        client.user(name)
        client.pass_(self.dovecot.password)
        found = [b"\r\n".join(client.retr(number + 1)[1]) + b"\r\n" for number in range(client.stat()[0])]
        client.quit()
        return found

    def arrives(self, name):
        """(header, body) of the one message in that mailbox, which IMAP and POP3 agree about."""
        found = self.by_imap(name)
        self.assertEqual(len(found), 1)
        self.assertEqual(self.by_pop3(name), found)
        header, body = found[0].split(b"\r\n\r\n", 1)
        return re.sub(r"\r\n[ \t]+", " ", header.decode()), body

    # the tests

    def test_a_login_at_postfix(self):
        # proxy_smtp_auth: Postfix asks Dovecot about the same password.
        self.arrange("xclient off; proxy_smtp_auth on;")
        client = self.submits(login="login")
        self.assertEqual(client.sendmail("alice@example.net", ["login@example.com"], self.letter("login")), {})
        client.quit()
        header, body = self.arrives("login")
        # Without XCLIENT all that Postfix knows of the client is the proxy.
        self.assertRegex(header, r"(?m)^Received: from mail\.example\.com \(unknown \[127\.0\.0\.1\]\) "
                                 r"\(Authenticated sender: login\) by mx\.example\.com \(Postfix\) with ESMTPA")
        self.assertEqual(body, b"Hello.\r\n")
        self.assertIn("sasl_method=PLAIN, sasl_username=login", self.postfix.log())

    def test_postfix_refuses_the_login(self):
        # One mechanism, for smtplib would go on to the next and meet a closed connection.
        self.arrange("xclient off; proxy_smtp_auth on; smtp_auth plain;")
        self.auth.answers = [accept(self.postfix.port, Auth_Pass="not-the-password")]
        with self.assertRaises(smtplib.SMTPAuthenticationError) as refused:
            self.submits(login="wrong")
        self.assertEqual(refused.exception.smtp_code, 451)
        wait_until(lambda: "SASL PLAIN authentication failed" in self.postfix.log(), "Postfix's refusal")
        self.proxy.wait_log(r'upstream sent invalid response: "535 5\.7\.8 ')

    def test_xclient_tells_the_address_and_the_login(self):
        for both, source in (("off", "127.0.0.2"), ("on", "127.0.0.3")):
            with self.subTest(proxy_smtp_auth=both):
                self.arrange(f"proxy_smtp_auth {both};")
                client = self.submits(source, login="xclient")
                # A login may send elsewhere, an address that is not Postfix's own may not: the login has arrived.
                self.assertEqual(client.mail("alice@example.net")[0], 250)
                self.assertEqual(client.rcpt("someone@example.org")[0], 250)
                self.assertEqual(client.docmd("RSET")[0], 250)
                if both == "off":
                    client.sendmail("alice@example.net", ["xclient@example.com"], self.letter("xclient"))
                client.quit()
                self.assertRegex(self.postfix.log(), rf"client=unknown\[{re.escape(source)}\], sasl_method=\w+, "
                                                     "sasl_username=xclient")
        header, _ = self.arrives("xclient")
        self.assertRegex(header, r"(?m)^Received: from client\.example \(unknown \[127\.0\.0\.2\]\) "
                                 r"\(Authenticated sender: xclient\) by mx\.example\.com \(Postfix\)")

    def test_xclient_tells_an_ipv6_address(self):
        self.arrange(mail="set_real_ip_from 127.0.0.1;", listen="proxy_protocol")
        wire = self.connect(self.proxy.ports["smtp"])
        wire.says("PROXY TCP6 2001:db8::7 2001:db8::1 40000 25")
        wire.hears("220 mail.example.com ESMTP ready")
        client = smtplib.SMTP(local_hostname="client.example", timeout=DEADLINE)
        client._host = "127.0.0.1"
        client.sock, client.file = wire.sock, wire.sock.makefile("rb")
        self.addCleanup(client.close)
        client.starttls(context=self.context)
        client.login("six", self.dovecot.password)
        client.sendmail("alice@example.net", ["six@example.com"], self.letter("six"))
        client.quit()
        self.assertRegex(self.arrives("six")[0], r"Received: from client\.example \(unknown \[IPv6:2001:db8::7\]\)")

    def test_a_client_on_a_unix_socket(self):
        self.arrange(mail="server { listen unix:@dir@/smtp; protocol smtp; }")
        wire = self.connect(str(self.proxy.dir / "smtp"))
        wire.hears("220 mail.example.com ESMTP ready")
        wire.says("AUTH PLAIN " + plain("unix", self.dovecot.password))
        wire.hears("235 2.0.0 OK")
        wire.says("MAIL FROM:<alice@example.net>")
        wire.hears("250 2.1.0 Ok")
        # Without its address, but not without its login.
        wire.says("RCPT TO:<someone@example.org>")
        wire.hears("250 2.1.5 Ok")
        wire.says("RSET", "QUIT")
        wire.hears("250 2.0.0 Ok", "221 2.0.0 Bye")

    def test_mail_from_outside(self):
        # smtp_auth none, the MX: whom the proxy's own address would make an open relay, XCLIENT keeps honest.
        self.arrange("smtp_auth none;", mail="set_real_ip_from 127.0.0.1;", listen="proxy_protocol")
        for recipient, answer in (
            ("nobody@example.com", "550 5.1.1 no such user"),  # the auth service's
            ("missing@example.com", "550 5.1.1 <missing@example.com>: Recipient address rejected"),  # Postfix's
            ("someone@example.org", "554 5.7.1 <someone@example.org>: Relay access denied"),
            ("mx@example.com", "250 2.1.5 Ok"),
        ):
            with self.subTest(recipient):
                wire = self.connect(self.proxy.ports["smtp"])
                wire.says(f"PROXY TCP4 {OUTSIDE} 127.0.0.1 40000 25")
                wire.hears("220 mail.example.com ESMTP ready")
                wire.says("EHLO mx.example.net")
                while wire.hears_line()[3] == "-":
                    pass
                wire.says("MAIL FROM:<bounce@example.net> SIZE=200 BODY=8BITMIME")
                wire.hears("250 2.0.0 OK")
                wire.says(f"RCPT TO:<{recipient}>")
                self.assertTrue((line := wire.hears_line()).startswith(answer), line)
                request = self.auth.requests[-1]
                self.assertEqual(
                    [request.header(f"Auth-{name}") for name in ("Method", "SMTP-Helo", "SMTP-From", "SMTP-To")],
                    ["none", "mx.example.net", "MAIL FROM:<bounce@example.net> SIZE=200 BODY=8BITMIME",
                     f"RCPT TO:<{recipient}>"])
                self.assertEqual(request.header("Client-IP"), OUTSIDE)
        wire.says("DATA")
        wire.hears_match("354 .*")
        wire.sends(self.letter("mx", b"..From outside, 8-bit: \xc3\xa9\r\n") + b".\r\n")
        wire.hears_match("250 2.0.0 Ok: queued as .*")
        wire.says("QUIT")
        wire.hears_match("221 .*")
        header, body = self.arrives("mx")
        self.assertIn("Return-Path: <bounce@example.net>", header)
        self.assertRegex(header, rf"Received: from mx\.example\.net \(unknown \[{re.escape(OUTSIDE)}\]\) by mx\.example\.com")
        self.assertEqual(body, b".From outside, 8-bit: \xc3\xa9\r\n")

    def test_10_mib(self):
        self.arrange("xclient on; proxy_smtp_auth on;", mail="imap_auth plain;")
        text = os.urandom(5 << 20).hex().encode()
        sent = b"\r\n".join(text[offset:offset + 76] for offset in range(0, len(text), 76)) + b"\r\n"
        self.assertGreater(len(sent), 10 << 20)
        client = self.submits(login="large")
        self.assertEqual(client.sendmail("alice@example.net", ["large@example.com"], self.letter("large", sent)), {})
        client.quit()
        _, received = self.arrives("large")
        self.assertEqual(len(received), len(sent))
        self.assertEqual(hashlib.sha256(received).digest(), hashlib.sha256(sent).digest())


@needs_postfix
class WithoutPermission(ProxyTest):
    """A Postfix that does not believe the proxy's XCLIENT."""

    def test_the_login_fails_and_nothing_is_relayed(self):
        dovecot = Dovecot(behind_postfix=True)
        self.addCleanup(dovecot.stop)
        dovecot.start()
        postfix = Postfix(dovecot, xclient="192.0.2.1")
        self.addCleanup(postfix.stop)
        postfix.start()
        auth = self.serve(AuthService(accept(postfix.port)))
        proxy = self.start(
            f"mail {{ auth_http 127.0.0.1:{auth.port}/auth; server {{ listen 127.0.0.1:@smtp@; protocol smtp; smtp_auth plain; }} }}")
        client = smtplib.SMTP("127.0.0.1", proxy.ports["smtp"], "client.example", DEADLINE)
        self.addCleanup(client.close)
        with self.assertRaises(smtplib.SMTPAuthenticationError) as refused:
            client.login("bob", dovecot.password)
        self.assertEqual(refused.exception.smtp_code, 451)
        proxy.wait_log(r'upstream sent invalid response: "550 5\.7\.0 Error: insufficient authorization"')


if __name__ == "__main__":
    unittest.main()
