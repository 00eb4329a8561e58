"""Protocols and providers of other packages that misbehave (Tests/Misbehaving): refused at start with a message that names
them, or one session ends; never the worker."""

import contextlib
import os
import subprocess
import time
import unittest

from certs import client_context, self_signed
from harness import ConnectionEnded, ProxyTest, resident_kib
from scripted import AuthService, Server, accept, drain, refuse

BINARY = os.environ.get("APUS_MISBEHAVING_BINARY")
REASON = "contrib/test builds the program and names it in APUS_MISBEHAVING_BINARY"
ERROR = "internal error"
PROMISE = r"\[alert\].*broken promise: "


@unittest.skipUnless(BINARY, REASON)
class Declarations(unittest.TestCase):
    """What can be told without a configuration is told at once, whatever the program is started for."""

    def test_refused_at_start(self):
        for fault, message in (
            ("none", "no protocol is declared"),
            ("five ports", 'protocol "misbehaving": 5 ports, and there can be no more than 4'),
            ("port 0", 'protocol "misbehaving": 0 is no port'),
            ("twice a port", 'protocol "misbehaving": port 9 belongs to protocol "misbehaving" already'),
            ("port of another", 'protocol "other": port 9 belongs to protocol "misbehaving" already'),
            ("name of another", 'protocol "misbehaving" is declared twice'),
            ("capitals", 'protocol "Misbehaving": a name is made of lower-case letters, digits, "_" and "-"'),
            ("no name", 'protocol "": a name is made of lower-case letters, digits, "_" and "-"'),
            ("long name", 'protocol "misbehaving": the name for TLS\'s protocol negotiation is longer than 255 bytes'),
            ("taken directive", 'protocol "misbehaving": directive "timeout" belongs to Apus already'),
            ("taken block", 'protocol "misbehaving": directive "server" belongs to Apus already'),
            ("directive of the loader", 'protocol "misbehaving": directive "include" belongs to Apus already'),
            ("directive of its own", 'protocol "misbehaving": directive "misbehaviour" belongs to protocol "misbehaving" already'),
            ("directive for nowhere", 'protocol "misbehaving": directive "nowhere" may stand nowhere'),
            ("directive without arguments",
             'protocol "misbehaving": directive "impossible" takes no number of arguments'),
            ("directive without a name", 'protocol "misbehaving": "two words" is no name for a directive'),
            ("provider without its directive",
             'authentication provider "auth_other": there is no directive of that name among its own'),
            ("provider with a directive of a protocol",
             'authentication provider "auth_unreliable": directive "misbehaviour" belongs to protocol "misbehaving" already'),
            ("provider with a directive of Apus",
             'authentication provider "auth_http": directive "auth_http" belongs to Apus already'),
            ("provider in main",
             'authentication provider "auth_main": its directive must stand in "mail" or "server"'),
        ):
            for arguments in ([], ["-t"], ["-v"]):
                with self.subTest(fault=fault, arguments=arguments):
                    done = subprocess.run(
                        [BINARY, *arguments], env={**os.environ, "APUS_MISDECLARED": fault}, capture_output=True, text=True,
                        timeout=20)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(f"apus: [emerg] {message}", done.stderr)
                    self.assertEqual(len(done.stderr.splitlines()), 1)


@unittest.skipUnless(BINARY, REASON)
class MisbehavingTest(ProxyTest):

    def arrange(self, fault="", server="", mail="", answer=None, behind=None, auth="auth_http 127.0.0.1:@auth@/;", **options):
        self.backend = self.serve(Server(behind or self.behaves))
        self.auth = self.serve(AuthService(answer or accept(self.backend.port)))
        self.proxy = self.start(
            f"""
            mail {{
                server_name mail.example.com;
                {auth}
                auth_unreliable_port {self.backend.port};
                {mail}
                server {{ listen 127.0.0.1:@bad@; protocol misbehaving; misbehaviour "{fault}"; {server} }}
                server {{ listen 127.0.0.1:@good@; protocol misbehaving; auth_http 127.0.0.1:@auth@/; }}
            }}
            """, ports={"auth": self.auth.port}, binary=BINARY, **options)
        self.proxy.keep_secret("wonderland")
        # A session that is open before, and goes on after whatever happens.
        self.neighbour = self.connect(self.proxy.ports["good"])
        self.neighbour.hears("hello")
        return self.proxy

    @staticmethod
    def behaves(wire):
        wire.says("ready")
        wire.hears_match("USER .*")
        wire.says("ok")
        drain(wire)

    def bad(self, greeting="hello"):
        wire = self.connect(self.proxy.ports["bad"])
        if greeting:
            wire.hears(greeting)
        return wire

    def goes_on(self):
        self.neighbour.says("NOOP")
        self.neighbour.hears("fine")
        self.neighbour.says("BYE")
        self.neighbour.hears("bye")
        self.neighbour.hears_end()

    def ends(self, wire, *last, promise=None):
        wire.hears(*last)
        wire.hears_end()
        if promise:
            self.proxy.allow(PROMISE)
            self.proxy.wait_log(PROMISE + promise)
        self.goes_on()


class Dialogs(MisbehavingTest):

    def test_a_greeting_that_throws(self):
        self.arrange("greeting throws")
        self.ends(self.bad(None), ERROR, promise="a greeting that does not throw at apus_misbehaving/Misbehaving.swift")

    def test_a_command_that_throws(self):
        self.arrange("receive throws")
        wire = self.bad()
        wire.says("NOOP")
        self.ends(wire, ERROR, promise="a receive that does not throw")

    def test_words_before_the_greeting_that_throw(self):
        self.arrange("spokeTooEarly throws")
        wire = self.bad(None)
        wire.says("NOOP")
        self.ends(wire, ERROR, promise="a spokeTooEarly that does not throw")

    def test_too_long_a_command_that_throws(self):
        self.arrange("inputTooLong throws")
        wire = self.bad()
        wire.sends("x" * 64)
        self.ends(wire, ERROR, promise="a inputTooLong that does not throw")

    def test_a_refusal_that_throws(self):
        self.arrange("refused throws", answer=refuse("no", Auth_Wait=1))
        wire = self.bad()
        wire.says("LOGIN bob wonderland")
        self.ends(wire, ERROR, promise="a refused that does not throw")

    def test_a_login_that_throws(self):
        self.arrange("makeBackendDialog throws")
        wire = self.bad()
        wire.says("LOGIN bob wonderland")
        self.ends(wire, ERROR, promise="a makeBackendDialog that does not throw")

    def test_tls_that_throws(self):
        certificate, key = self_signed(self.dir / "mail.pem", self.dir / "mail.key", "mail.example.com")
        for fault in ("startedTLS", "greetingInTLS"):
            with self.subTest(fault):
                self.arrange(f"{fault} throws", server=f"starttls on; ssl_certificate {certificate}; ssl_certificate_key {key};")
                wire = self.bad()
                wire.says("TLS")
                wire.hears("go on")
                wire.starts_tls(client_context())
                self.ends(wire, ERROR, promise=f"a {fault} that does not throw")

    def test_tls_where_there_is_none_and_twice(self):
        self.arrange()
        wire = self.bad()
        wire.says("TLS")
        self.ends(wire, ERROR, promise="TLS is started where the policy has it")
        certificate, key = self_signed(self.dir / "mail.pem", self.dir / "mail.key", "mail.example.com")
        self.arrange(server=f"starttls on; ssl_certificate {certificate}; ssl_certificate_key {key};")
        wire = self.bad()
        wire.says("TLS")
        wire.hears("go on")
        wire.starts_tls(client_context())
        wire.says("TLS")
        self.ends(wire, ERROR, promise="TLS is started once")

    def test_more_input_for_ever(self):
        self.arrange("hungry")
        worker = self.proxy.workers()[0]
        before = resident_kib(worker)
        wire = self.bad()
        # More than is ever held; the rest cannot be sent any more.
        try:
            for _ in range(64):
                wire.sends("x" * 65536)
        except OSError:
            pass
        self.proxy.wait_log("client sent too long command")
        self.assertLess(resident_kib(worker) - before, 4096)
        self.goes_on()

    def test_input_without_an_answer_ends_in_time(self):
        self.arrange("swallows", server="timeout 1s;")
        wire = self.bad()
        begin = time.monotonic()
        wire.sends("x" * 1000)
        wire.hears_end()
        self.assertLess(time.monotonic() - begin, 3)
        self.goes_on()

    def test_no_room_for_input(self):
        for fault in ("no room", "less than no room"):
            with self.subTest(fault):
                self.arrange(fault)
                wire = self.bad()
                wire.says("NOOP")
                self.ends(wire, ERROR, promise="a dialog has room for input")

    def test_using_up_what_is_not_there(self):
        for fault in ("uses up too much", "uses up less than nothing"):
            with self.subTest(fault):
                self.arrange(fault)
                wire = self.bad()
                wire.says("NOOP")
                self.ends(wire, ERROR, promise="a dialog uses up what is there")

    def test_not_moving_on(self):
        self.arrange("stands still")
        wire = self.bad()
        wire.says("NOOP")
        self.ends(wire, *["again"] * 8, ERROR, promise="a dialog uses input up")
        self.arrange("stands still in silence")
        wire = self.bad()
        wire.says("NOOP")
        self.ends(wire, ERROR, promise="a dialog uses input up")

    def test_replies_after_the_end(self):
        self.arrange("replies after the end")
        wire = self.bad()
        wire.says("NOOP", "BYE", "NOOP", "NOOP")
        self.ends(wire, "fine", "bye")

    def test_more_commands_than_there_may_be(self):
        self.arrange(server="max_commands 3;")
        wire = self.bad()
        wire.says(*["NOOP"] * 5)
        self.ends(wire, *["fine"] * 3, "too long")
        self.proxy.wait_log("client sent too many commands")

    def test_an_end_of_a_refusal_that_there_was_not(self):
        self.arrange()
        wire = self.bad()
        wire.says("END")
        self.ends(wire, ERROR, promise="the end of a refusal answers its error data")

    def test_going_on_after_error_data(self):
        for wait in (1, None):
            with self.subTest(wait=wait):
                self.arrange("error data for ever", answer=refuse("no", Auth_Wait=wait))
                wire = self.bad()
                wire.says("LOGIN bob wonderland")
                wire.hears("data")
                wire.says("more")
                self.ends(wire, ERROR, promise="error data of a refusal is answered by its end")
                self.assertEqual(len(self.auth.requests), 1)

    def test_logins_without_end(self):
        self.arrange("logs in without using anything up", answer=refuse("no", Auth_Wait=1), server="max_commands 2;")
        wire = self.bad()
        wire.says("NOOP")
        wire.hears("no: no", "no: no", "too long")
        wire.hears_end()
        self.proxy.wait_log("client sent too many commands")
        self.assertEqual(len(self.auth.requests), 2)
        self.goes_on()

    def test_a_login_in_clear_where_TLS_must_be_started(self):
        certificate, key = self_signed(self.dir / "mail.pem", self.dir / "mail.key", "mail.example.com")
        self.arrange(server=f"starttls only; ssl_certificate {certificate}; ssl_certificate_key {key};")
        wire = self.bad()
        wire.says("LOGIN bob wonderland")
        self.ends(wire, ERROR, promise="nobody logs in before TLS where it must be started")
        self.assertEqual(self.auth.requests, [])
        wire = self.bad()
        wire.says("TLS")
        wire.hears("go on")
        wire.starts_tls(client_context())
        wire.says("LOGIN bob wonderland")
        wire.hears("welcome")

    def test_credentials_with_line_ends(self):
        self.arrange(answer=refuse("no"))
        wire = self.bad()
        wire.says("RAW")
        self.ends(wire, "no: no")
        request = self.auth.requests[0]
        self.assertEqual((request.header("Auth-User"), request.header("Auth-Pass")), ("a%0D%0Ab", "c%0D%0Ad"))

    def test_delays_that_are_none(self):
        self.arrange("negative delay")
        wire = self.bad()
        wire.says("BYE")
        self.ends(wire, "bye")
        for fault in ("endless delay", "immeasurable delay"):
            with self.subTest(fault):
                self.arrange(fault)
                wire = self.bad(None)
                wire.hears_nothing()
                wire.says("NOOP")
                self.ends(wire, "too early")


class DialogsBehind(MisbehavingTest):

    def fails(self, fault, log, server="", behind=None):
        self.arrange(fault, server=server, behind=behind)
        wire = self.bad()
        wire.says("LOGIN bob wonderland")
        if log.startswith("broken promise"):
            self.proxy.allow(PROMISE)
        wire.hears(ERROR)
        wire.hears_end()
        self.proxy.wait_log(log)
        self.goes_on()

    def test_throws(self):
        self.fails("backend throws", "broken promise: a backend dialog that does not throw",
                   behind=lambda wire: (wire.says("ready"), drain(wire)))

    def test_more_input_for_ever(self):
        def endless(wire):
            while True:
                wire.sends("x" * 4096)
        self.fails("backend hungry", "upstream sent too long response line", server="proxy_buffer 4k;", behind=endless)

    def test_sends_for_ever(self):
        def answers(wire):
            wire.says("ready")
            with contextlib.suppress(ConnectionEnded):
                while wire.hears_line():
                    wire.says("more")
        self.fails("backend sends for ever", "upstream timed out", server="timeout 1s;", behind=answers)

    def test_sends_nothing(self):
        self.fails("backend sends nothing", "upstream timed out", server="timeout 1s;",
                   behind=lambda wire: (wire.says("ready"), drain(wire)))

    def test_quotes_what_is_not_there(self):
        for fault in ("backend quotes too much", "backend calls nonsense what is not there"):
            with self.subTest(fault):
                self.fails(fault, 'upstream sent invalid response: "',
                           behind=lambda wire: (wire.says("ready"), drain(wire)))

    def test_gives_up(self):
        self.fails("backend gives up", "the backend dialog gives up",
                   behind=lambda wire: (wire.says("ready"), drain(wire)))

    def test_speaks_first(self):
        def first(wire):
            wire.hears("USER bob")
            wire.says("ok")
            wire.hears("ping")
            wire.says("pong")
        for setting in ("", "proxy_protocol on;"):
            with self.subTest(setting):
                self.arrange("clients speak first", server=setting,
                             behind=[lambda wire: setting and wire.hears_match("PROXY .*"), first])
                wire = self.bad(None)
                wire.hears_nothing()
                wire.says("LOGIN bob wonderland")
                wire.hears("welcome")
                wire.says("ping")
                wire.hears("pong")
                self.goes_on()

    def test_speaks_first_where_nobody_listens(self):
        self.arrange("clients speak first")
        self.backend.vanish()
        wire = self.bad(None)
        wire.says("LOGIN bob wonderland")
        wire.hears(ERROR)
        wire.hears_end()
        self.proxy.wait_log("Connection refused")
        self.goes_on()

    def test_an_opening_that_throws(self):
        self.fails("opening throws", "broken promise: an opening that does not throw")

    def test_is_silent(self):
        def relayed(wire):
            wire.says("ready")
            wire.hears("ping")
            wire.says("pong")
        self.arrange("backend is silent", behind=relayed)
        wire = self.bad()
        wire.says("LOGIN bob wonderland", "ping")
        wire.hears("pong")
        self.goes_on()


class Providers(MisbehavingTest):

    def unreliable(self, fault, server="timeout 2s;", **options):
        self.arrange(server=f'auth_unreliable "{fault}"; {server}', **options)
        wire = self.bad()
        wire.says("LOGIN bob wonderland")
        return wire

    def fails(self, fault, log):
        wire = self.unreliable(fault)
        self.ends(wire, ERROR)
        self.proxy.wait_log(r"\[error\].*" + log)

    def test_none_of_it(self):
        self.unreliable("").hears("welcome")
        self.goes_on()

    def test_right_after_all_is_not_for_the_next_attempt(self):
        wire = self.unreliable("answers twice", server="timeout 5s;")
        wire.hears("no: wrong")
        wire.says("LOGIN bob wonderland")
        wire.hears_nothing(0.6)
        self.assertEqual(len(self.backend.connections), 0)
        wire.hears("no: wrong again")
        wire.hears_end()
        self.goes_on()

    def test_from_inside_the_question(self):
        self.unreliable("answers at once").hears("welcome")
        self.goes_on()
        wire = self.unreliable("answers at once, and again")
        wire.hears("no: wrong")
        wire.hears_nothing()
        wire.says("BYE")
        self.ends(wire, "bye")
        self.assertEqual(len(self.backend.connections), 0)

    def test_never(self):
        self.fails("never answers", 'authentication provider "auth_unreliable" did not answer in time')

    def test_after_it_was_cancelled(self):
        wire = self.unreliable("answers the dead", server="timeout 1s;")
        wire.hears(ERROR)
        wire.hears_end()
        # It answers half a second later. What must not come of it is nothing to wait for.
        time.sleep(1)
        self.assertEqual(len(self.backend.connections), 0)
        self.goes_on()

    def test_control_characters(self):
        for fault in ("two lines", "two lines of a name", "two lines of a password", "two lines in the log",
                      "two lines of a code", "two lines of error data", "two lines of who waits"):
            with self.subTest(fault):
                self.fails(fault, 'authentication provider "auth_unreliable" answered with control characters')
        self.fails("fails", r"two\\nlines")

    def test_no_address(self):
        for fault in ("no address", "port 0", "port 65536"):
            with self.subTest(fault):
                self.fails(fault, 'authentication provider "auth_unreliable" gave no valid address')

    def test_a_refusal_that_looks_like_success(self):
        self.fails("code of success", 'authentication provider "auth_unreliable" refused with a reply code that does not begin with 4 or 5')

    def test_no_password_where_the_client_gave_none(self):
        self.arrange(server='auth_unreliable ""; timeout 2s;')
        wire = self.bad()
        wire.says("EXTERNAL")
        self.ends(wire, ERROR)
        self.proxy.wait_log('authentication provider "auth_unreliable" gave no password')

    def test_an_endless_delay(self):
        wire = self.unreliable("endless delay")
        wire.hears_nothing()
        wire.closes()
        self.goes_on()

    def test_asking_again_at_once(self):
        wire = self.unreliable("is to be asked again at once", server="timeout 200ms;", level="debug")
        self.ends(wire, ERROR)
        self.proxy.wait_log("auth service asked to wait for too long")
        # Five times the timeout, a tenth of a second each.
        self.assertLess(len(self.proxy.lines("verdict received")), 15)

    def test_a_timer_that_sets_itself_anew(self):
        wire = self.unreliable("sets a timer that sets itself anew", server="timeout 500ms;")
        self.neighbour.says("NOOP")
        self.neighbour.hears("fine")
        self.ends(wire, ERROR)

    def test_cancelling_once_more(self):
        self.unreliable("cancels what it cancels").hears("welcome")
        self.goes_on()

    def test_a_descriptor_closed_while_it_is_watched(self):
        wire = self.unreliable("closes what it watches")
        # These get its number, and the one beside it.
        others = [self.bad(), self.bad()]
        wire.hears("no: no")
        wire.hears_end()
        for other in others:
            other.says("NOOP")
            other.hears("fine")
        self.goes_on()

    def test_a_negative_delay_is_the_end(self):
        wire = self.unreliable("negative delay")
        self.ends(wire, "no: no")

    def test_waiting_for_ever(self):
        wire = self.unreliable("waits for ever", server="timeout 300ms;")
        self.ends(wire, ERROR)
        self.proxy.wait_log("auth service asked to wait for too long")

    def test_the_loop(self):
        self.unreliable("uses the loop").hears("welcome")
        self.goes_on()

    def test_a_check_that_refuses(self):
        proxy = self.prepare(
            'mail { server_name four; server { listen 127.0.0.1:@bad@; protocol misbehaving; auth_unreliable "x"; } }',
            binary=BINARY, env={"APUS_MISDECLARED": "check"})
        done = proxy.run("-t")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\[emerg\] 4 letters are no name in \S+apus.conf:\d+")
        self.assertIn("[notice] take another", done.stderr)
        proxy.env = {"APUS_MISDECLARED": "provider's check"}
        done = proxy.run("-t")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\[emerg\] nobody is known to 4 letters in \S+apus.conf:\d+")


if __name__ == "__main__":
    unittest.main()
