"""The authentication provider of another package, contrib/example-provider: a service on a UNIX socket."""

import os
import time
import unittest

from harness import wait_until
from imap import Backend, IMAPTest
from scripted import Server

BINARY = os.environ.get("APUS_EXAMPLE_PROVIDER")
ERROR = "* BAD internal server error"


def question(wire):
    """The line of a question; it ends with LF alone."""
    line = b""
    while not line.endswith(b"\n"):
        line += wire.hears_bytes(1)
    return line[:-1].decode()


@unittest.skipUnless(BINARY, "contrib/test builds the example and names it in APUS_EXAMPLE_PROVIDER")
class SocketAuth(IMAPTest):

    def arrange(self, *answers, server="", **options):
        """Each connection to the service hears one of the answers; a function is the whole conversation."""
        self.asked = []

        def script(answer):
            def one(wire):
                self.asked.append(question(wire))
                wire.sends(answer)
            return answer if callable(answer) else one

        self.backend = self.serve(Backend())
        answers = [answer.replace("@backend@", str(self.backend.port)) if isinstance(answer, str) else answer
                   for answer in answers]
        self.service = self.serve(Server(scripts=[script(answer) for answer in answers], path=self.dir / "users.sock"))
        self.proxy = self.start(
            f"""
            mail {{
                auth_socket @dir@/users.sock;
                server {{
                    listen 127.0.0.1:@imap@;
                    protocol imap;
                    {server}
                }}
            }}
            """, binary=BINARY, **options)
        self.proxy.keep_secret("wonderland")
        return self.proxy

    def test_a_login(self):
        self.arrange("OK 127.0.0.1 @backend@\n")
        wire = self.log_in(self.client())
        wire.says("a2 NOOP")
        wire.hears("a2 OK done")
        self.assertEqual(self.asked, ["bob\twonderland\t127.0.0.1"])

    def test_a_refusal_waits_and_the_next_attempt_is_asked_about(self):
        self.arrange("NO Wrong password\n", "OK 127.0.0.1 @backend@\n")
        wire = self.client()
        begin = time.monotonic()
        wire.says("a1 LOGIN bob wonderland")
        wire.hears("a1 NO Wrong password")
        self.assertGreater(time.monotonic() - begin, 1.9)
        self.log_in(wire, tag="a2")

    def test_answers_that_are_none(self):
        answers = ["OK\n", "OK mail.example.com 143\n", "OK 127.0.0.1 0\n", "YES\n", "", "x" * 600, "NO a\rb\n"]
        self.arrange(*answers)
        for number, answer in enumerate(answers, 1):
            with self.subTest(answer=answer[:24]):
                wire = self.client()
                wire.says("a1 LOGIN bob wonderland")
                wire.hears(ERROR)
                wire.hears_end()
                self.proxy.wait_log(r"\[error\].*authentication (socket|provider)", count=number)

    def test_what_would_be_another_line_is_not_sent(self):
        self.arrange("OK 127.0.0.1 @backend@\n")
        wire = self.client()
        wire.says("a1 LOGIN bob {4+}\r\na\r\nb")
        wire.hears("a1 NO Invalid login")
        wire.hears_end()
        self.assertEqual(self.asked, [])

    def test_a_service_that_never_answers(self):
        self.arrange(lambda wire: wire.hears_rest(), server="timeout 1s;")
        wire = self.client()
        wire.says("a1 LOGIN bob wonderland")
        wire.hears(ERROR)
        self.proxy.wait_log('authentication provider "auth_socket" did not answer in time')
        # Its connection was closed, too.
        wait_until(lambda: self.service.connections[0].done.is_set(), "the end of the question")

    def test_no_service(self):
        self.arrange()
        self.service.stop()
        os.unlink(self.dir / "users.sock")
        wire = self.client()
        wire.says("a1 LOGIN bob wonderland")
        wire.hears(ERROR)
        self.proxy.wait_log(r"connect\(\) to the authentication socket failed \(2: No such file")
        self.serves_others()

    def test_a_path_that_no_socket_can_have(self):
        for path in ('""', "/" + "x" * 107):
            proxy = self.prepare(
                f"mail {{ server {{ listen 127.0.0.1:@imap@; protocol imap; auth_socket {path}; }} }}", binary=BINARY)
            done = proxy.run("-t")
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"\[emerg\] the path of a socket has 1 to 107 bytes in \S+apus.conf:1")

    def test_beside_the_built_in_ones(self):
        proxy = self.prepare(
            """
            mail {
                auth_http 127.0.0.1:1/;
                server { listen 127.0.0.1:@one@; protocol imap; auth_socket /nowhere; }
                server { listen 127.0.0.1:@two@; protocol imap; }
            }
            """, binary=BINARY)
        done = proxy.run("-t")
        self.assertEqual(done.returncode, 0, done.stderr)
        proxy = self.prepare(
            """
            mail {
                auth_http 127.0.0.1:1/;
                auth_socket /nowhere;
                server { listen 127.0.0.1:@one@; protocol imap; }
            }
            """, binary=BINARY)
        done = proxy.run("-t")
        self.assertEqual(done.returncode, 1)
        self.assertIn('both "auth_http" and "auth_socket" are defined for server', done.stderr)


if __name__ == "__main__":
    unittest.main()
