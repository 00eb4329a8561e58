"""Bad input that no other file has: it gets the protocol's own error or a bounded close, and costs nobody else anything."""

import os
import random
import re
import socket
import threading
import time
import unittest

from certs import Authority, client_context
from harness import REFERENCE, Wire, apus_only, as_bytes, b64, both_users, descriptors, plain, resident_kib, wait_until
from imap import GREETING, IMAPTest
from scripted import Backend, accept, hold, refuse


@both_users
class Clients(IMAPTest):

    def test_nul_everywhere(self):
        self.arrange("max_errors 100;")
        wire = self.client()
        for data, answers in (
            (b"\0\r\n", ["* BAD invalid command"]),
            (b"a\0 NOOP\r\n", ["* BAD invalid command"]),
            (b"a NO\0OP\r\n", ["a BAD invalid command"]),
            (b"a NOOP \0\r\n", ["a OK completed"]),
            (b"a\r\n", ["* BAD invalid command"]),
        ):
            with self.subTest(data):
                wire.sends(data)
                wire.hears(*answers)

    def test_a_bare_cr_in_a_command(self):
        self.arrange("max_errors 100;")
        wire = self.client()
        for data in (b"a NOOP\rb\r\n", b"a NO\rOP\r\n", b"a LOGIN bob\r wonderland\r\n"):
            with self.subTest(data):
                wire.sends(data + b"z NOOP\r\n")
                wire.hears("a BAD invalid command", "z OK completed")

    def test_8_bit_noise(self):
        self.arrange()
        source = random.Random(4711)
        for round_number in range(30):
            wire = self.client()
            wire.tries_to_send(bytes(source.choices(range(256), k=3000)))
            with self.subTest(round_number):
                try:
                    wire.ends_sending()
                except OSError:
                    pass
                answer = wire.hears_rest()
                self.assertNotIn(b"Logged in", answer)
        self.serves_others()

    def test_malformed_literals_of_every_kind(self):
        self.arrange("max_errors 1000;")
        self.proxy.keep_secret("wonderland")
        sizes = ["{}", "{-1}", "{ 3}", "{3 }", "{0x3}", "{3.0}", "{1e3}", "{3", "{3}x", "{3+", "{+}", "{++}", "{3++}", "{3-}",
                 "{18446744073709551615}", "{18446744073709551616}", "{18446744073709551617}", "{9223372036854775807}",
                 "{9223372036854775808}", "{4294967296}", "{4294967297}", "{2147483648}", "{99999999999999999999999+}",
                 "{9223372036854775807+}", "{1844674407370955162+}"]
        if REFERENCE:  # these wrap around in Debian's nginx, or count as 0
            sizes = [size for size in sizes if len(size) < 12 and size not in ("{}", "{+}")]
        for size in sizes:
            with self.subTest(size):
                wire = self.client()
                wire.says(f"a LOGIN bob {size}")
                wire.tries_to_send(b"x NOOP\r\n" * 20)
                with_end = threading.Timer(0.3, lambda wire=wire: self.quietly_end(wire))
                with_end.start()
                rest = wire.hears_rest()
                with_end.join()
                self.assertNotIn(b"Logged in", rest)
                wire.closes()
        self.assertEqual(len(self.backend.connections), 0)
        self.serves_others()

    @staticmethod
    def quietly_end(wire):
        try:
            wire.ends_sending()
        except OSError:
            pass

    def test_a_line_without_end(self):
        self.arrange()
        worker = self.proxy.workers()[0]
        before = resident_kib(worker)
        for _ in range(20):
            wire = self.client()
            wire.tries_to_send(b"a NOOP " + b"x" * (1 << 20))
            try:
                rest = wire.hears_rest()
            except OSError:
                rest = b""
            self.assertIn(rest, (b"a BAD invalid command\r\n", b""))
        self.assertLess(resident_kib(worker) - before, 2048)
        self.serves_others()

    def test_a_sasl_response_without_end(self):
        self.arrange()
        worker = self.proxy.workers()[0]
        before = resident_kib(worker)
        for mechanism in ("PLAIN", "LOGIN"):
            for _ in range(10):
                wire = self.client()
                wire.says(f"a AUTHENTICATE {mechanism}")
                wire.hears_line()
                wire.tries_to_send(b"A" * (1 << 20))
                try:
                    wire.hears_rest()
                except OSError:
                    pass
        self.assertLess(resident_kib(worker) - before, 2048)
        self.assertEqual(self.auth.requests, [])
        self.serves_others()

    def test_a_huge_literal_is_not_allocated(self):
        self.arrange(main="events { worker_connections 2048; }")
        worker = self.proxy.workers()[0]
        before = resident_kib(worker)
        wires = [self.client() for _ in range(100)]
        for wire in wires:
            wire.says("a LOGIN {1000000000}")
        time.sleep(0.2)
        self.assertLess(resident_kib(worker) - before, 100 * 32)
        self.serves_others()

    def test_a_client_that_reads_no_replies(self):
        # Its own commands are not read any more; it cannot make the server keep its replies.
        self.arrange("imap_capabilities " + "X" * 1000 + ";")
        worker = self.proxy.workers()[0]
        before = resident_kib(worker)
        wire = self.client(buffer=4096)
        wire.sock.settimeout(1)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += wire.sock.send(b"a CAPABILITY\r\n" * 4096)
        except OSError:  # held back, or thrown out
            pass
        self.assertLess(sent, 64 << 20)
        self.assertLess(resident_kib(worker) - before, 4096)
        self.serves_others()

    def test_many_silent_clients(self):
        self.arrange(main="events { worker_connections 2048; }")
        worker = self.proxy.workers()[0]
        before = resident_kib(worker)
        wires = [self.client() for _ in range(400)]
        self.assertLess(resident_kib(worker) - before, 400 * 24)
        self.serves_others()
        for wire in wires:
            wire.closes()

    def test_memory_and_descriptors_after_thousands_of_bad_sessions(self):
        self.arrange("timeout 5s;", answer=refuse("No"))
        worker = self.proxy.workers()[0]

        def rounds(count):
            for number in range(count):
                wire = self.connect(self.proxy.ports["imap"])
                wire.says("a LOGIN bob wonderland" if number % 2 else "BOGUS")
                wire.hears(GREETING)
                wire.hears_line()
                wire.closes()

        rounds(300)
        wait_until(lambda: descriptors(worker) < 40, "the descriptors of closed sessions to go")
        before, open_before = resident_kib(worker), descriptors(worker)
        rounds(1500)
        wait_until(lambda: descriptors(worker) <= open_before + 2, lambda: f"{descriptors(worker)} > {open_before}")
        self.assertLess(resident_kib(worker) - before, 1024)


class Logins(IMAPTest):
    """What a login may contain, and how it looks in a log."""

    @apus_only
    def test_control_bytes_are_escaped_in_the_log(self):
        self.arrange(answer=refuse("No"))
        wire = self.client()
        wire.sends(b"a LOGIN {16+}\r\nbob\nFAKE\r\n\x00\x01\x1b[m\t wonderland\r\n")
        self.proxy.keep_secret("wonderland")
        wire.hears_line()
        log = (self.proxy.dir / "error.log").read_bytes()
        self.assertNotIn(b"\nFAKE", log)
        for line in log.removesuffix(b"\n").split(b"\n"):
            self.assertRegex(line, rb"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[")
            self.assertIsNone(re.search(rb"[\x00-\x1f]", line), line)
        if self.auth.requests:
            self.proxy.wait_log(r'client login failed: "No" while .*, login: "bob\\nFAKE\\r\\n\\x00\\x01\\x1b\[m(\\t|\\x09)"')

    @apus_only
    def test_every_control_byte_and_quote(self):
        self.arrange("imap_client_buffer 4k;", answer=refuse("No"))
        for byte in [*range(32), 0x7F, ord('"'), ord("\\")]:
            wire = self.client()
            wire.sends(b"a LOGIN {5+}\r\nbo" + bytes([byte]) + b"ob wonderland\r\n")
            wire.hears_line()
            wire.closes()
        for line in (self.proxy.dir / "error.log").read_bytes().split(b"\n")[:-1]:
            self.assertRegex(line, rb"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: ")
            self.assertIsNone(re.search(rb"[\x00-\x1f\x7f]", line), line)

    @apus_only
    def test_control_bytes_of_other_peers_too(self):
        backend = Backend(lambda wire: (wire.sends(b"* BYE \x1b[2J\x00\n* more\r\n"), hold(wire)))
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears("* BAD internal server error")
        self.proxy.wait_log(r'upstream sent invalid response: "\* BYE \\x1b\[2J\\x00\\n\* more"')
        wire = self.client()
        wire.tries_to_send(b"a NOOP \x00\x01\x1b" + b"y" * 10000)
        self.proxy.wait_log("client sent too long command")
        for line in (self.proxy.dir / "error.log").read_bytes().split(b"\n")[:-1]:
            self.assertIsNone(re.search(rb"[\x00-\x1f\x7f]", line), line)

    def test_a_very_long_login(self):
        self.arrange("imap_client_buffer 64k;", answer=refuse("No"))
        for size in (2000, 3000, 60000):
            with self.subTest(size):
                wire = self.client()
                wire.says("a LOGIN " + "u" * size + " wonderland")
                wire.hears("a NO No")
                self.assertEqual(len(self.auth.requests[-1].header("Auth-User")), size)
        for line in self.proxy.log().removesuffix("\n").split("\n"):
            self.assertLess(len(line), 2048)

    def test_passwords_are_in_no_log_at_the_debug_level(self):
        if REFERENCE:
            self.skipTest("nginx shows them")
        backend = Backend()
        self.arrange("imap_auth plain login cram-md5;", backend=backend, level="debug",
                     answer=lambda _: accept(backend.port, Auth_Pass="other-secret"))
        self.proxy.keep_secret("wonderland", "other-secret", plain("bob", "wonderland"), "half-a-secret")
        for lines in (["a LOGIN bob wonderland"], ["a LOGIN bob {10+}", "wonderland"],
                      ["a AUTHENTICATE PLAIN " + plain("bob", "wonderland")],
                      ["a AUTHENTICATE PLAIN", plain("bob", "wonderland")], ["a AUTHENTICATE LOGIN", b64("bob"), b64("wonderland")],
                      ["a login bob wonderland extra arguments"], ["a LOGIN bob \"wonderland"], ["a LOGIN2 bob wonderland"],
                      ["LOGIN bob wonderland"], ["a LOGIN bob {10+}", "wonderlandX"], ["a AUTHENTICATE PLAIN half-a-secret"],
                      ["a LOGIN bob wonderland" + " x" * 3000]):
            with self.subTest(lines[0][:40]):
                wire = self.client()
                wire.tries_to_send("\r\n".join(lines) + "\r\n")
                wire.hears_line()
                wire.closes()


class Everything(IMAPTest):
    """All kinds of trouble at once, and one user in the middle of it who notices nothing."""

    def test_one_quiet_user_among_vandals(self):
        backend = Backend(patient=True)
        self.arrange("timeout 2s;", backend=backend, main="events { worker_connections 4096; }", workers=2)
        if REFERENCE:
            self.proxy.allow("packet length too long")
        quiet = self.log_in(self.client())
        if REFERENCE:  # it quotes what the vandals sent
            self.proxy.secrets.clear()
        port = self.proxy.ports["imap"]
        stop = threading.Event()

        def vandal(seed):
            source = random.Random(seed)
            while not stop.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
                        for _ in range(source.randrange(4)):
                            sock.sendall(source.choice([
                                b"a LOGIN bob {5}\r\n", b"\r\n" * 50, b"a NOOP\r\n" * 200, bytes(source.choices(range(256), k=500)),
                                b"a LOGIN bob wonderland\r\n", b"a AUTHENTICATE PLAIN\r\n*\r\n", b"a STARTTLS\r\n",
                                b"x" * 5000, b"a LOGOUT\r\n"]))
                        if source.random() < 0.5:
                            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                except OSError:
                    pass

        vandals = [threading.Thread(target=vandal, args=(seed,)) for seed in range(8)]
        for thread in vandals:
            thread.start()
        end = time.monotonic() + 3
        number = 0
        while time.monotonic() < end:
            number += 1
            quiet.says(f"q{number} NOOP")
            quiet.hears(f"q{number} OK done")
        stop.set()
        for thread in vandals:
            thread.join()
        self.serves_others()


if __name__ == "__main__":
    unittest.main()
