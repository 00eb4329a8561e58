"""The dialog with the server behind, and the relay."""

import hashlib
import os
import random
import re
import socket
import struct
import threading
import time

from harness import REFERENCE, apus_only, as_bytes, b64, both_users, resident_kib, wait_until
from imap import IMAPTest
from scripted import Backend, accept, drain, hold, http

ERROR = "* BAD internal server error"


class Dialog(IMAPTest):
    """Literal by literal, with a server that lists no capability."""

    def listening(self, script, mail="", answer=None, **options):
        backend = Backend(script)
        self.arrange(mail, backend=backend, answer=answer or (lambda _: accept(backend.port)), **options)
        self.proxy.keep_secret("wonderland")
        return self.client()

    @staticmethod
    def first_command(wire, line):
        """Awaits the first LOGIN line; a proxy may ask for the capabilities before."""
        heard = wire.hears_line()
        if not REFERENCE and re.fullmatch(r"\S+ CAPABILITY", heard):
            wire.says(heard.split()[0] + " BAD unknown")
            heard = wire.hears_line()
        if heard != line:
            wire.fail(f"awaited {line!r}, heard {heard!r}")

    def test_literal_by_literal(self):
        def script(wire):
            wire.hears_nothing()
            wire.says("* OK ready")
            self.first_command(wire, "a1 LOGIN {3}")
            wire.hears_nothing()
            wire.says("+ go on")
            wire.hears_exactly(b"bob {10}\r\n")
            wire.hears_nothing()
            wire.says("+ go on")
            wire.hears_exactly(b"wonderland\r\n")
            wire.says("a1 OK you are in")
            wire.hears("a2 SELECT inbox")
            wire.says("a2 OK selected")
            drain(wire)

        wire = self.listening(script)
        wire.says("a1 LOGIN bob wonderland")
        wire.hears("a1 OK you are in")
        wire.says("a2 SELECT inbox")
        wire.hears("a2 OK selected")

    def test_the_tag_of_the_client_also_after_authenticate(self):
        def script(wire):
            wire.says("* OK ready")
            self.first_command(wire, "X.9-tag LOGIN {3}")
            wire.says("+ ok")
            wire.hears("bob {10}")
            wire.says("+ ok")
            wire.hears("wonderland")
            wire.says("X.9-tag OK")
            drain(wire)

        wire = self.listening(script)
        wire.says("X.9-tag AUTHENTICATE PLAIN " + b64("\0bob\0wonderland"))
        wire.hears("X.9-tag OK")

    def test_lengths_are_of_bytes(self):
        def script(wire):
            wire.says("* OK ready")
            self.first_command(wire, "a LOGIN {4}")
            wire.says("+ ok")
            wire.hears(b"b\xc3\xb6b {7}")
            wire.says("+ ok")
            wire.hears(b"x \"y\" {")
            wire.says("a OK")
            drain(wire)

        wire = self.listening(script)
        wire.sends(b'a LOGIN b\xc3\xb6b "x \\"y\\" {"\r\n')
        wire.hears("a OK")

    @apus_only  # newer than Debian's nginx
    def test_an_untagged_line_before_the_tagged_one_reaches_the_client(self):
        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.sends(f"* CAPABILITY IMAP4rev1 IDLE\r\n{tag} OK in\r\n")
            drain(wire)

        wire = self.listening(script)
        wire.says("a LOGIN bob wonderland")
        wire.hears("* CAPABILITY IMAP4rev1 IDLE", "a OK in")

    @apus_only
    def test_several_untagged_lines_too_and_in_pieces(self):
        text = b"* CAPABILITY IMAP4rev1\r\n* OK [ALERT] quota\r\n* 3 EXISTS\r\na OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"

        def script(wire):
            wire.says("* OK ready")
            wire.hears_login()
            for byte in text:
                wire.sends(bytes([byte]))
            drain(wire)

        wire = self.listening(script)
        wire.says("a LOGIN bob wonderland")
        wire.hears_exactly(text)

    @apus_only
    def test_the_greeting_in_pieces(self):
        def script(wire):
            for byte in b"* OK [CAPABILITY IMAP4rev1] ready\r\n":
                wire.sends(bytes([byte]))
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK in")
            drain(wire)

        wire = self.listening(script)
        wire.says("a LOGIN bob wonderland")
        wire.hears("a OK in")

    @apus_only
    def test_a_server_with_literal_plus_may_get_everything_at_once(self):
        for capability in ("LITERAL+", "LITERAL-", "SASL-IR AUTH=PLAIN", "LITERAL+ SASL-IR AUTH=PLAIN", "AUTH=PLAIN"):
            with self.subTest(capability):
                backend = Backend(greeting=f"* OK [CAPABILITY IMAP4rev1 {capability}] ready")
                self.arrange(backend=backend)
                wire = self.log_in(self.client())
                self.assertEqual(backend.logins, [("bob", "wonderland")])
                wire.says("b NOOP")
                wire.hears("b OK done")
                self.proxy.stop()

    @apus_only
    def test_a_capability_answer_never_reaches_the_client(self):
        def script(wire):
            wire.says("* OK ready")
            line = wire.hears_line()
            if line.endswith(" CAPABILITY"):
                wire.sends(f"* CAPABILITY IMAP4rev1 LITERAL+\r\n{line.split()[0]} OK done\r\n")
            else:
                wire.buffer[:0] = as_bytes(line) + b"\r\n"
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK in")
            drain(wire)

        wire = self.listening(script)
        wire.says("a LOGIN bob wonderland")
        wire.hears("a OK in")

    def test_pipelined_client_bytes_reach_the_backend_first_and_in_order(self):
        heard = []

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            # What the client sent behind its login must not come before the login is through.
            wire.hears_nothing()
            wire.says(f"{tag} OK in")
            for _ in range(3):
                heard.append(wire.hears_line())
            wire.says("d OK all heard")
            drain(wire)

        wire = self.listening(script, level="debug")
        wire.sends(b"a LOGIN bob wonderland\r\nb SELECT inbox\r\nc FETCH 1 BODY[]\r\n")
        wire.hears("a OK in")
        wire.says("d LOGOUT")
        wire.hears("d OK all heard")
        self.assertEqual(heard, ["b SELECT inbox", "c FETCH 1 BODY[]", "d LOGOUT"])
        wire.closes()
        if not REFERENCE:
            self.proxy.wait_log("relay ended, .*, bytes up: 44, down: 16$")

    def test_bytes_of_the_server_behind_its_ok_reach_the_client(self):
        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.sends(f"{tag} OK in\r\n")
            wire.says("* 1 EXISTS")
            drain(wire)

        wire = self.listening(script)
        wire.says("a LOGIN bob wonderland")
        wire.hears("a OK in", "* 1 EXISTS")

    def test_proxy_protocol_towards_the_backend(self):
        heard = []

        def script(wire):
            heard.append(wire.hears_line())
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK in")
            drain(wire)

        wire = self.listening(script, "proxy_protocol on;")
        host, port = wire.sock.getsockname()
        wire.says("a LOGIN bob wonderland")
        wire.hears("a OK in")
        self.assertEqual(heard, [f"PROXY TCP4 127.0.0.1 127.0.0.1 {port} {self.proxy.ports['imap']}"])

    @apus_only
    def test_proxy_protocol_v2(self):
        heard = []

        def script(wire):
            head = wire.hears_bytes(16)
            heard.append(head + wire.hears_bytes(struct.unpack(">H", head[14:])[0]))
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK in")
            drain(wire)

        wire = self.listening(script, "proxy_protocol v2;")
        host, port = wire.sock.getsockname()
        wire.says("a LOGIN bob wonderland")
        wire.hears("a OK in")
        header = heard[0]
        self.assertEqual(header[:14], b"\r\n\r\n\0\r\nQUIT\n\x21\x11")
        self.assertEqual(header[16:28], socket.inet_aton("127.0.0.1") * 2 + struct.pack(">HH", port,
                                                                                         self.proxy.ports["imap"]))
        self.assertEqual(header[28:31], b"\x03\x00\x04")


class Failures(IMAPTest):
    """What goes wrong between greeting and login: the client hears of it, the log says why, others are served."""

    def fails(self, script, message=None, level="error", mail="", hears=ERROR, action=None, one_line=True):
        backend = script if isinstance(script, Backend) else Backend(script)
        self.arrange(mail, backend=backend, answer=lambda _: accept(backend.port))
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        if hears is not None:
            wire.hears(*([hears] if isinstance(hears, str) else hears))
        wire.hears_end()
        if message:
            tail = (rf", client: 127\.0\.0\.1, server: 127\.0\.0\.1:{self.proxy.ports['imap']}, login: \"bob\", "
                    rf"upstream: 127\.0\.0\.1:{backend.port}$")
            where = f" while {action}" if action else " while [^,]*"
            self.proxy.wait_log(rf"\[{level}\] \d+#\d+: \*1 {message}{where}{tail}")
        bad = self.proxy.lines(r"\[(warn|error|crit|alert|emerg)\]")
        if one_line:
            self.assertEqual(len(bad), 1 if message and level == "error" else 0, bad)
        self.assertEqual(self.proxy.lines("client logged in|proxied session done"), [])
        self.serves_others()

    def test_refused(self):
        backend = Backend()
        backend.vanish()
        port = backend.port
        self.backend = backend
        from scripted import AuthService
        self.auth = self.serve(AuthService(accept(port)))
        self.run_proxy()
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears(ERROR)
        wire.hears_end()
        self.proxy.wait_log(
            rf"\[error\] \d+#\d+: \*1 (connect\(\) to 127\.0\.0\.1:{port} failed|recv\(\) failed|send\(\) failed) "
            r"\(111: Connection refused\) while (connecting to upstream|reading response from upstream), client: "
            rf"127\.0\.0\.1, server: 127\.0\.0\.1:\d+, login: \"bob\", upstream: 127\.0\.0\.1:{port}$")
        self.assertEqual(len(self.proxy.lines(r"\[error\]")), 1)
        self.serves_others()

    def test_silent(self):
        self.fails(hold, r"upstream timed out \(110: Connection timed out\)", "info", "timeout 500ms;",
                   action="connecting to upstream")

    def test_silent_after_the_user_name(self):
        def script(wire):
            wire.says("* OK ready")
            Dialog.first_command(wire, "a LOGIN {3}")
            hold(wire)

        self.fails(script, r"upstream timed out \(110: Connection timed out\)", "info", "timeout 500ms;")

    def test_a_trickling_greeting_does_not_extend_the_timeout(self):
        def script(wire):
            wire.sends("* OK ")
            end = time.monotonic() + 4
            while time.monotonic() < end:
                wire.sends("x")
                time.sleep(0.05)

        begin = time.monotonic()
        self.fails(script, r"upstream timed out \(110: Connection timed out\)", "info", "timeout 500ms;")
        self.assertLess(time.monotonic() - begin, 3)

    LEFT = None if REFERENCE else "upstream prematurely closed connection"

    def test_closes_at_once(self):
        self.fails(lambda wire: None, self.LEFT)

    def test_closes_within_the_greeting(self):
        self.fails(lambda wire: wire.sends("* OK re"), self.LEFT)

    def test_closes_after_the_greeting(self):
        def script(wire):
            wire.says("* OK ready")
            wire.hears_line()

        self.fails(script, self.LEFT)

    def test_closes_instead_of_the_tagged_answer(self):
        def script(wire):
            wire.says("* OK ready")
            wire.hears_login()

        self.fails(script, self.LEFT)

    def test_closes_within_the_tagged_answer(self):
        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.sends(f"{tag} O")

        self.fails(script, self.LEFT)

    def test_reset_after_the_greeting(self):
        def script(wire):
            wire.says("* OK ready")
            wire.hears_line()
            wire.resets()

        self.fails(script, r"recv\(\) failed \(104: Connection reset by peer\)")

    def test_an_endless_greeting(self):
        def script(wire):
            wire.sends("* OK ")
            for _ in range(64):
                wire.sock.sendall(b"x" * 65536)
            drain(wire)

        # (The log line is cut at 2048 bytes.)
        self.fails(script, None, one_line=False)
        self.proxy.wait_log(r'\[error\] \d+#\d+: \*1 upstream sent too long response line: "\* OK xxx')
        self.assertLess(resident_kib(self.proxy.workers()[0]), 64 << 10)

    def test_endless_untagged_lines_instead_of_the_answer(self):
        def script(wire):
            wire.says("* OK ready")
            wire.hears_login()
            for _ in range(200):
                wire.sock.sendall(b"* OK still thinking\r\n" * 1000)
            drain(wire)

        backend = Backend(script)
        self.arrange("timeout 2s;", backend=backend, answer=lambda _: accept(backend.port))
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        self.assertNotIn(b"a OK", wire.hears_rest())
        self.assertLess(resident_kib(self.proxy.workers()[0]), 64 << 10)
        self.serves_others()

    def test_other_greetings(self):
        for greeting in ("* BYE go away", "* PREAUTH welcome", "* ok lower case", "+OK POP3", "220 smtp ESMTP", "hello",
                         "* NO"):
            with self.subTest(greeting):
                self.fails(lambda wire, greeting=greeting: (wire.says(greeting), drain(wire)),
                           'upstream sent invalid response: "' + re.escape(greeting) + '"',
                           action="reading response from upstream")
                self.proxy.stop()

    def test_garbage(self):
        noise = bytes(random.Random(7).choices(range(256), k=600)).replace(b"\n", b"x") + b"\r\n"

        def script(wire):
            wire.sends(noise)
            drain(wire)

        backend = Backend(script)
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears(ERROR)
        wire.hears_end()
        self.proxy.wait_log("upstream sent invalid response")
        self.serves_others()

    def test_refusing_the_login(self):
        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} NO [AUTHENTICATIONFAILED] wrong")
            drain(wire)

        self.fails(script, r'upstream sent invalid response: "(a )?NO \[AUTHENTICATIONFAILED\] wrong"',
                   action="reading response from upstream")

    def test_refusing_the_literal(self):
        def script(wire):
            wire.says("* OK ready")
            Dialog.first_command(wire, "a LOGIN {3}")
            wire.says("a BAD no literals here")
            drain(wire)

        self.fails(script, 'upstream sent invalid response: "a BAD no literals here"')

    @apus_only
    def test_no_password_that_it_repeats_is_in_the_log(self):
        def repeats(wire):
            wire.says("* OK ready")
            tag, user, password = wire.hears_login()
            wire.says(f"{tag} BAD unknown: LOGIN {user.decode()} {password.decode()}")
            drain(wire)

        def endless(wire):
            wire.says("* OK ready")
            tag, user, password = wire.hears_login()
            wire.sends(f"{tag} BAD unknown: LOGIN {user.decode()} {password.decode()}" + "x" * 9000)
            drain(wire)

        for script, shown in ((repeats, 'invalid response: "a BAD unknown: LOGIN bob ..."'),
                              (endless, 'too long response line: "a BAD unknown: LOGIN bob ..."')):
            with self.subTest(shown):
                self.fails(script, "upstream sent " + shown)
                self.proxy.stop()
                self.proxy.check()

    def test_the_wrong_tag(self):
        def script(wire):
            wire.says("* OK ready")
            wire.hears_login()
            wire.says("b OK in")
            drain(wire)

        self.fails(script, 'upstream sent invalid response: "b OK in"')

    def test_passing_the_refusal_on(self):
        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} NO [AUTHENTICATIONFAILED] wrong")
            drain(wire)

        self.fails(script, r'upstream sent invalid response: "(a )?NO \[AUTHENTICATIONFAILED\] wrong"', "info",
                   "proxy_pass_error_message on;", "a NO [AUTHENTICATIONFAILED] wrong")

    @apus_only
    def test_passing_a_refusal_on_with_its_untagged_line(self):
        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.sends(f"* OK [ALERT] maintenance\r\n{tag} NO later\r\n")
            drain(wire)

        self.fails(script, None, "info", "proxy_pass_error_message on;", ["* OK [ALERT] maintenance", "a NO later"])
        self.proxy.wait_log(r'\[info\] .*upstream sent invalid response: "a NO later" while ')

    @apus_only
    def test_a_buffer_of_no_bytes(self):
        self.fails(lambda wire: (wire.says("* OK ready"), drain(wire)), 'upstream sent too long response line: "\\*"',
                   mail="proxy_buffer 0;")

    @apus_only
    def test_a_password_that_is_not_the_clients_is_not_passed_on(self):
        for refusal, shown in ((lambda password: f"BAD unknown: LOGIN {password}", "a BAD unknown: LOGIN ..."),
                               (lambda password: "NO later", "a NO later")):
            with self.subTest(shown):
                def script(wire, refusal=refusal):
                    wire.says("* OK ready")
                    tag, _, password = wire.hears_login()
                    wire.says(f"{tag} {refusal(password.decode())}")
                    drain(wire)

                backend = Backend(script)
                self.arrange("proxy_pass_error_message on;", backend=backend,
                             answer=lambda _, backend=backend: accept(backend.port, Auth_Pass="master-4711"))
                self.proxy.keep_secret("wonderland", "master-4711")
                wire = self.client()
                wire.says("a LOGIN bob wonderland")
                wire.hears(ERROR if "..." in shown else shown)
                wire.hears_end()
                self.proxy.wait_log(f'upstream sent invalid response: "{shown}"')
                self.proxy.stop()
                self.proxy.check()

    def test_passing_a_bad_greeting_on(self):
        self.fails(lambda wire: (wire.says("* BYE too many connections"), drain(wire)),
                   r'upstream sent invalid response: "\* BYE too many connections"', "info",
                   "proxy_pass_error_message on;", "* BYE too many connections")

    @apus_only
    def test_a_client_that_talks_but_does_not_read_the_last_reply(self):
        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} NO " + "x" * 900_000)

        backend = Backend(script)
        self.arrange("timeout 500ms; proxy_buffer 1m; proxy_pass_error_message on;", backend=backend,
                     answer=lambda _: accept(backend.port), listen="sndbuf=4k")
        wire = self.client(buffer=4096)
        wire.says("a LOGIN bob wonderland")
        self.proxy.keep_secret("wonderland")
        begin = time.monotonic()
        while not self.proxy.lines("client timed out"):
            self.assertLess(time.monotonic() - begin, 4, self.proxy.log())
            wire.tries_to_send("x")
            time.sleep(0.1)

    def test_a_client_that_leaves_during_the_dialog(self):
        reached = threading.Event()

        def script(wire):
            wire.says("* OK ready")
            wire.hears_line()
            reached.set()
            drain(wire)

        backend = Backend(script)
        self.arrange("timeout 2s;", backend=backend, answer=lambda _: accept(backend.port))
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        self.assertTrue(reached.wait(5))
        wire.resets()
        self.serves_others()
        self.assertTrue(backend.connections[0].done.wait(5))


@both_users
class Relay(IMAPTest):
    """Bytes both ways, unchanged."""

    SIZE = 8 << 20

    def echoing(self, mail="", **options):
        backend = Backend()
        backend.scripts = [backend.echo]
        self.arrange(mail, backend=backend, **options)
        return self.log_in(self.client())

    def test_8_mib_both_ways_at_once(self):
        wire = self.echoing()
        data = os.urandom(self.SIZE)
        sender = threading.Thread(target=wire.sock.sendall, args=(data,))
        sender.start()
        got = wire.hears_bytes(len(data))
        sender.join()
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(data).digest())

    def test_8_mib_down(self):
        data = os.urandom(self.SIZE)

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            wire.hears("a2 FETCH 1 BODY[]")
            wire.sends(data)
            drain(wire)

        backend = Backend(script)
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        wire = self.log_in(self.client())
        wire.says("a2 FETCH 1 BODY[]")
        self.assertEqual(hashlib.sha256(wire.hears_bytes(len(data))).digest(), hashlib.sha256(data).digest())

    def test_8_mib_up(self):
        data = os.urandom(self.SIZE)
        digest = []

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            digest.append(hashlib.sha256(wire.hears_bytes(len(data))).digest())
            wire.says("a2 OK stored")
            drain(wire)

        backend = Backend(script)
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        wire = self.log_in(self.client())
        wire.sends(data)
        wire.hears("a2 OK stored")
        self.assertEqual(digest, [hashlib.sha256(data).digest()])

    def test_small_buffers(self):
        wire = self.echoing("proxy_buffer 128; imap_client_buffer 128;")
        data = os.urandom(256 << 10)
        sender = threading.Thread(target=wire.sock.sendall, args=(data,))
        sender.start()
        self.assertEqual(wire.hears_bytes(len(data)), data)
        sender.join()

    def test_every_byte_value_and_single_bytes(self):
        wire = self.echoing()
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in range(256):
            wire.sends(bytes([byte]))
            wire.hears_exactly(bytes([byte]))

    def test_the_client_closes(self):
        wire = self.echoing()
        wire.sends("last words")
        wire.ends_sending()
        self.assertIn(wire.hears_rest(), (b"", b"last words"))
        self.assertTrue(self.backend.connections[0].done.wait(5))
        self.proxy.wait_log(r"\[info\] \d+#\d+: \*1 proxied session done, client: 127\.0\.0\.1, server: [0-9.:]+, "
                            rf'login: "bob", upstream: 127\.0\.0\.1:{self.backend.port}$')

    def test_the_last_words_of_a_client_reach_the_backend(self):
        heard = []

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            heard.append(wire.hears_rest())

        backend = Backend(script)
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        wire = self.log_in(self.client())
        wire.sends(b"x" * 100000)
        wire.ends_sending()
        self.assertTrue(backend.connections[0].done.wait(5))
        self.assertEqual(len(heard[0]), 100000)

    def test_the_last_words_of_the_backend_reach_the_client(self):
        data = os.urandom(1 << 20)

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            wire.hears("b LOGOUT")
            wire.sends(data)

        backend = Backend(script)
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        wire = self.log_in(self.client())
        wire.says("b LOGOUT")
        self.assertEqual(wire.hears_rest(), data)
        self.proxy.wait_log("proxied session done")

    def test_reset_by_the_client(self):
        wire = self.echoing()
        wire.resets()
        self.assertTrue(self.backend.connections[0].done.wait(5))
        self.proxy.wait_log(r"\[info\] .*recv\(\) failed \(104: Connection reset by peer\) while proxying( and reading from "
                            r"client)?, client: ")

    def test_reset_by_the_backend(self):
        go = threading.Event()

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            go.wait(5)
            wire.resets()

        backend = Backend(script)
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        wire = self.log_in(self.client())
        go.set()
        wire.hears_end()
        self.proxy.wait_log(r"\[error\] .*recv\(\) failed \(104: Connection reset by peer\) while proxying( and reading from "
                            r"upstream)?, client: .*, upstream: ")
        self.serves_others()

    def test_proxy_timeout(self):
        wire = self.echoing("proxy_timeout 400ms;")
        wire.hears_end()
        self.assertTrue(self.backend.connections[0].done.wait(5))
        self.proxy.wait_log(r"\[info\] \d+#\d+: \*1 client timed out \(110: Connection timed out\) while proxying, client: "
                            rf"127\.0\.0\.1, server: [0-9.:]+, login: \"bob\", upstream: 127\.0\.0\.1:{self.backend.port}$")
        self.assertEqual(self.proxy.lines("proxied session done"), [])

    def test_traffic_keeps_a_session_beyond_proxy_timeout(self):
        wire = self.echoing("proxy_timeout 800ms;")
        begin = time.monotonic()
        while time.monotonic() - begin < 2:
            wire.sends("x")
            wire.hears_exactly(b"x")
            time.sleep(0.1)

    @apus_only
    def test_traffic_from_the_backend_alone_does_too(self):
        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            for _ in range(20):
                wire.says("* OK still here")
                time.sleep(0.1)
            wire.says("* BYE")

        backend = Backend(script)
        self.arrange("proxy_timeout 800ms;", backend=backend, answer=lambda _: accept(backend.port))
        wire = self.log_in(self.client())
        wire.hears(*["* OK still here"] * 20, "* BYE")

    @apus_only
    def test_a_client_that_reads_slowly_does_too(self):
        amount = 160_000

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            wire.sends(b"x" * amount)
            wire.hears_rest()

        backend = Backend(script)
        self.arrange("proxy_timeout 800ms;", backend=backend, answer=lambda _: accept(backend.port),
                     listen="sndbuf=4k")
        wire = self.log_in(self.client(buffer=4096))
        wire.buffer.clear()
        heard = len(wire.received)
        while heard < amount:
            data = wire.sock.recv(4096)
            self.assertTrue(data, f"ended after {heard} of {amount} bytes")
            heard += len(data)
            time.sleep(0.1)

    def test_timeout_of_the_command_phase_does_not_end_a_relay(self):
        wire = self.echoing("timeout 500ms;")
        time.sleep(1)
        wire.sends("x")
        wire.hears_exactly(b"x")


class BackPressure(IMAPTest):
    """One side that does not read: the other is held back, the worker's memory does not grow."""

    AMOUNT = 64 << 20

    def test_a_client_that_does_not_read(self):
        sent = [0]

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            wire.sock.settimeout(1)
            try:
                while sent[0] < self.AMOUNT:
                    sent[0] += wire.sock.send(b"x" * 65536)
            except (TimeoutError, socket.timeout):
                pass
            wire.sock.settimeout(10)
            drain(wire)

        backend = Backend(script)
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        worker = self.proxy.workers()[0]
        wire = self.log_in(self.client(buffer=65536))
        before = resident_kib(worker)
        last = [-1]

        def stalled():
            time.sleep(0.3)
            still = sent[0] == last[0] and sent[0] > 0
            last[0] = sent[0]
            return still

        wait_until(stalled, "the backend to be held back")
        self.assertLess(sent[0], self.AMOUNT, "the proxy swallowed everything")
        self.assertLess(resident_kib(worker) - before, 4096)
        self.serves_others()
        # And once the client reads, everything comes; what came with the login's reply was read already.
        total = len(wire.buffer)
        while total < sent[0]:
            total += len(wire.sock.recv(1 << 20))
        self.assertGreaterEqual(total, sent[0])

    def test_a_backend_that_does_not_read(self):
        release = threading.Event()
        count = [0]

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            release.wait(20)
            while True:
                data = wire.sock.recv(1 << 20)
                if not data:
                    return
                count[0] += len(data)

        backend = Backend(script)
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        worker = self.proxy.workers()[0]
        wire = self.log_in(self.client())
        before = resident_kib(worker)
        wire.sock.settimeout(0.7)
        sent = 0
        try:
            while sent < self.AMOUNT:
                sent += wire.sock.send(b"y" * 65536)
        except (TimeoutError, socket.timeout):
            pass
        self.assertLess(sent, self.AMOUNT)
        self.assertLess(resident_kib(worker) - before, 4096)
        self.serves_others()
        release.set()
        wire.ends_sending()
        self.assertTrue(backend.connections[0].done.wait(10))
        self.assertEqual(count[0], sent)

    def test_100_stalled_sessions(self):
        sessions = 100

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            wire.sock.settimeout(0.5)
            try:
                while True:
                    wire.sock.send(b"x" * 65536)
            except (TimeoutError, socket.timeout):
                pass
            wire.sock.settimeout(20)
            drain(wire)

        backend = Backend(script)
        self.arrange(backend=backend, answer=lambda _: accept(backend.port))
        worker = self.proxy.workers()[0]
        before = resident_kib(worker)
        wires = [self.client(buffer=4096) for _ in range(sessions)]
        for number, wire in enumerate(wires):
            wire.says(f"a LOGIN user{number} wonderland")
        for wire in wires:
            wire.hears_bytes(14)
        time.sleep(0.7)
        self.assertLess(resident_kib(worker) - before, sessions * 160)
        self.serves_others()
