"""Unmodified clients read real mail from a real Dovecot through the proxy."""

import contextlib
import imaplib
import os
import re
import signal
import shutil
import ssl
import subprocess
import threading
import unittest

from certs import Authority, client_context
from dovecot import Dovecot
from harness import DEADLINE, REFERENCE, ProxyTest, apus_only, both_users, wait_until
from scripted import AuthService, accept, refuse


@unittest.skipUnless(os.access("/usr/sbin/dovecot", os.X_OK), "needs Dovecot (apt-get install dovecot-imapd)")
class DovecotTest(ProxyTest):
    """One Dovecot for the class; users come from an auth service or from a password file."""

    @classmethod
    def setUpClass(cls):
        cls.dovecot = Dovecot()
        cls.addClassCleanup(cls.dovecot.stop)
        cls.dovecot.start()

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.dir)
        self.certificate, self.key = self.authority.issue("localhost", subject="/CN=localhost")

    def users(self):
        """The directives that say who may log in and where to."""
        def verdict(request):
            if request.header("Auth-Pass") == self.dovecot.password:
                return accept(self.dovecot.port)
            return refuse("Invalid login or password")

        self.auth = self.serve(AuthService(verdict))
        return f"auth_http 127.0.0.1:{self.auth.port}/auth;"

    def arrange(self, main="", workers=2):
        self.proxy = self.start(
            f"""
            {main}
            mail {{
                {self.users()}
                imap_capabilities IMAP4rev1 IDLE LITERAL+;
                imap_auth plain login;
                ssl_certificate {self.certificate};
                ssl_certificate_key {self.key};
                server {{ listen 127.0.0.1:@imap@; protocol imap; starttls on; }}
                server {{ listen 127.0.0.1:@imaps@ ssl; protocol imap; }}
            }}
            """, workers=workers)
        self.proxy.keep_secret(self.dovecot.password)
        return self.proxy

    def log_in(self, tls=False, user="bob"):
        if tls:
            client = imaplib.IMAP4_SSL("127.0.0.1", self.proxy.ports["imaps"], ssl_context=client_context(),
                                       timeout=DEADLINE)
        else:
            client = imaplib.IMAP4("127.0.0.1", self.proxy.ports["imap"], timeout=DEADLINE)
        self.addCleanup(self.leave, client)
        self.assertEqual(client.login(user, self.dovecot.password)[0], "OK")
        return client

    @staticmethod
    def leave(client):
        with contextlib.suppress(OSError):
            client.shutdown()

    def curl(self, url, *words):
        done = subprocess.run(
            ["curl", "-sS", "--max-time", str(int(DEADLINE)), "--cacert", str(self.authority.certificate), "--user",
             f"bob:{self.dovecot.password}", *words, url], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout


class Clients:
    """The tests; see below for whom they are run."""

    def test_curl(self):
        self.arrange()
        ports = self.proxy.ports
        for url, words in ((f"imap://127.0.0.1:{ports['imap']}", ()), (f"imaps://localhost:{ports['imaps']}", ("-4",)),
                           (f"imap://localhost:{ports['imap']}", ("-4", "--ssl-reqd"))):
            with self.subTest(url):
                listing = self.curl(url + "/", *words)
                self.assertIn(b"INBOX", listing)
                for number in (1, 2, 3):
                    self.assertEqual(self.curl(f"{url}/INBOX;MAILINDEX={number}", *words), self.dovecot.messages[number - 1])

    def test_curl_with_other_mechanisms(self):
        self.arrange()
        url = f"imap://127.0.0.1:{self.proxy.ports['imap']}/INBOX;MAILINDEX=1"
        for option in ("AUTH=PLAIN", "AUTH=LOGIN"):
            for more in ((), ("--sasl-ir",)):
                with self.subTest(option=option, more=more):
                    self.assertEqual(self.curl(url, "--login-options", option, *more), self.dovecot.messages[0])

    def test_imaplib_login(self):
        self.arrange()
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.log_in(tls)
                self.assertEqual(client.select("INBOX")[0], "OK")
                self.assertEqual(client.fetch("2", "(BODY.PEEK[])")[1][0][1], self.dovecot.messages[1])
                self.assertEqual(client.logout()[0], "BYE")

    def test_imaplib_starttls(self):
        self.arrange()
        client = imaplib.IMAP4("127.0.0.1", self.proxy.ports["imap"], timeout=DEADLINE)
        client.starttls(client_context())
        client.login("bob", self.dovecot.password)
        self.assertEqual(client.select("INBOX")[0], "OK")
        client.logout()

    def test_imaplib_authenticate(self):
        self.arrange()
        client = imaplib.IMAP4("127.0.0.1", self.proxy.ports["imap"], timeout=DEADLINE)
        client.authenticate("PLAIN", lambda _: f"\0bob\0{self.dovecot.password}".encode())
        self.assertEqual(client.select("INBOX")[0], "OK")
        client.logout()

    def test_a_wrong_password(self):
        self.arrange()
        self.proxy.keep_secret("not-the-password")
        client = imaplib.IMAP4("127.0.0.1", self.proxy.ports["imap"], timeout=DEADLINE)
        with self.assertRaises(imaplib.IMAP4.error):
            client.login("bob", "not-the-password")
        client.shutdown()

    def test_idle_sees_new_mail(self):
        self.arrange()
        for tls in (False, True):
            with self.subTest(tls=tls):
                user = f"idle-{type(self).__name__.lower()}-{tls:d}"
                self.dovecot.deliver("first", "first", user)
                if os.geteuid() == 0:
                    for path in (self.dovecot.dir / "mail").rglob("*"):
                        shutil.chown(path, self.dovecot.owner)
                client = self.log_in(tls, user)
                self.assertEqual(client.select("INBOX")[1], [b"1"])
                client.send(b"i1 IDLE\r\n")
                self.assertTrue(client.readline().startswith(b"+ "))
                self.dovecot.deliver("second", "second", user)
                while True:
                    line = client.readline()
                    self.assertTrue(line, "the connection ended")
                    if line == b"* 2 EXISTS\r\n":
                        break
                client.send(b"DONE\r\n")
                while not client.readline().startswith(b"i1 OK"):
                    pass
                client.logout()

    def test_8_mib_append_and_fetch(self):
        self.arrange()
        body = os.urandom(4 << 20).hex().encode()
        message = b"Subject: large\r\n\r\n" + b"\r\n".join(
            body[offset:offset + 76] for offset in range(0, len(body), 76)) + b"\r\n"
        self.assertGreater(len(message), 8 << 20)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.log_in(tls, f"large-{type(self).__name__.lower()}-{tls:d}")
                self.assertEqual(client.append("INBOX", None, None, message)[0], "OK")
                client.select("INBOX")
                self.assertEqual(client.fetch("1", "(BODY.PEEK[])")[1][0][1], message)
                client.logout()

    def test_50_sessions_at_once(self):
        self.arrange()
        failures = []
        gate = threading.Barrier(50)

        def session(number):
            try:
                client = self.log_in(number % 2 == 0)
                gate.wait(30)  # all are logged in now
                client.select("INBOX", readonly=True)
                for index in (1, 2, 3):
                    if client.fetch(str(index), "(BODY.PEEK[])")[1][0][1] != self.dovecot.messages[index - 1]:
                        raise AssertionError("another message")
                client.logout()
            except Exception as error:  # noqa: BLE001
                failures.append(f"{number}: {error!r}")
                gate.abort()

        threads = [threading.Thread(target=session, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_a_reload_in_the_middle_of_sessions(self):
        self.arrange()
        plain, secret = self.log_in(), self.log_in(True)
        idle = self.log_in()
        idle.select("INBOX", readonly=True)
        idle.send(b"i1 IDLE\r\n")
        self.assertTrue(idle.readline().startswith(b"+ "))
        before = self.proxy.workers()
        self.proxy.same_workers = False
        self.proxy.send_signal(signal.SIGHUP)
        wait_until(lambda: len(self.proxy.workers()) == 2 and not set(self.proxy.workers()) & set(before), "new workers")
        for client in (plain, secret):
            client.select("INBOX", readonly=True)
            self.assertEqual(client.fetch("3", "(BODY.PEEK[])")[1][0][1], self.dovecot.messages[2])
        idle.send(b"DONE\r\n")
        while not idle.readline().startswith(b"i1 OK"):
            pass
        fresh = self.log_in()
        for client in (plain, secret, idle, fresh):
            client.logout()

    def test_s_client(self):
        self.arrange()
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.proxy.ports['imaps']}", "-quiet", "-crlf", "-CAfile",
             str(self.authority.certificate), "-verify_return_error"],
            input=f"a LOGIN bob {self.dovecot.password}\nb SELECT INBOX\nc LOGOUT\n", capture_output=True, text=True,
            timeout=DEADLINE)
        answers = done.stdout.replace("\r", "")
        self.assertRegex(answers, r"^\* OK IMAP4 ready\n")
        for pattern in (r"(?m)^a OK .*Logged in", r"(?m)^\* \d+ EXISTS$", r"(?m)^b OK ", r"(?m)^c OK "):
            self.assertRegex(answers, pattern)


@both_users
class BehindAuthHTTP(Clients, DovecotTest):
    pass


@apus_only
@both_users
class BehindPasswordFile(Clients, DovecotTest):

    def users(self):
        import crypt
        hashed = crypt.crypt(self.dovecot.password, "$6$rounds=1000$saltsalt")
        names = ["bob"] + [f"{kind}-{type(self).__name__.lower()}-{tls:d}" for kind in ("idle", "large") for tls in (False, True)]
        self.file("users", "".join(f"{name}:{{SHA512-CRYPT}}{hashed}::::::\n" for name in names))
        return f"auth_passwd_file {self.dir}/users; proxy_pass 127.0.0.1:{self.dovecot.port};"


if __name__ == "__main__":
    unittest.main()
