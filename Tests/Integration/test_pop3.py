"""POP3 before the login, and the login at the server behind."""

import hashlib
import hmac
import os
import poplib
import socket
import unittest

from certs import Authority, client_context
from harness import DEADLINE, REFERENCE, apus_only, b64, both_users, plain
from pop3 import BAD, POP3Backend, POP3Test
from scripted import AuthService, accept, refuse
from test_dovecot import DovecotTest

CAPABILITIES = ["+OK Capability list follows", "TOP", "USER", "UIDL", "SASL PLAIN LOGIN"]
SALT = r"<\d+\.\d+@mail\.example\.com>"


class SecurePOP3Test(POP3Test):

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.dir)
        self.certificate, self.key = self.authority.issue("mail.example.com")

    def secure(self, mail="", **options):
        return self.arrange(f"ssl_certificate {self.certificate}; ssl_certificate_key {self.key}; {mail}", **options)


@both_users
class FirstWords(POP3Test):

    def test_the_greeting(self):
        self.arrange()
        wire = self.connect(self.proxy.ports["pop3"])
        wire.hears_exactly(b"+OK POP3 ready\r\n")
        wire.hears_nothing()

    def test_commands_in_any_case_with_arguments_that_are_ignored(self):
        self.arrange()
        wire = self.client()
        for line, answer in (
            ("CAPA", CAPABILITIES + ["."]),
            ("capa one two three", CAPABILITIES + ["."]),
            ("NOOP", ["+OK"]),
            ("noop  x ", ["+OK"]),
            ("AUTH", ["+OK methods supported:", "PLAIN", "LOGIN", "."]),
            ("STLS", [BAD]),
            ("PASS x", [BAD]),
            ("USER", [BAD]),
            ("USER bob", ["+OK"]),
            ("NOOP", ["+OK"]),
            ("CAPA", CAPABILITIES + ["."]),
        ):
            with self.subTest(line):
                wire.says(line)
                wire.hears(*answer)

    def test_quit_ignores_its_arguments_and_what_follows(self):
        self.arrange()
        for line in ("QUIT\r\n", "quit now\r\nNOOP\r\n", "USER bob\r\nQUIT\r\n"):
            with self.subTest(line):
                wire = self.client()
                wire.sends(line)
                if line.startswith("USER"):
                    wire.hears("+OK")
                wire.hears("+OK")
                wire.hears_end()

    def test_every_refusal_forgets_the_user(self):
        self.arrange("max_errors 100;")
        wire = self.client()
        for line in ("USER eve", "AUTH", "AUTH PLAIN", "APOP bob digest", "STLS", "STAT", "PASS", "", " NOOP",
                     "NOOP 1 2 3 4"):
            with self.subTest(line):
                wire.says("USER bob", line, "PASS wonderland")
                wire.hears("+OK", BAD, BAD)
        self.assertEqual(self.auth.requests, [])

    def test_refusals_of_the_parser_are_counted_and_others_not(self):
        self.arrange("max_errors 2;")
        wire = self.client()
        wire.says("STLS", "PASS x", "USER", "AUTH GSSAPI", "AUTH PLAIN !", "APOP a b", "STAT", "NOOP", "RETR 1", "NOOP")
        wire.hears(*[BAD] * 7, "+OK", BAD)
        wire.hears_end()
        self.proxy.wait_log(r"\[info\] .* client sent too many invalid commands while in auth state")

    def test_a_line_may_have_128_bytes(self):
        self.arrange()
        wire = self.client()
        wire.says("USER " + "x" * 121)
        wire.hears("+OK")
        wire.says("NOOP " + "x" * 122)
        wire.hears(BAD)
        wire.hears_end()
        self.proxy.wait_log(r'client sent too long command "NOOP x+')

    @apus_only
    def test_a_password_too_long_is_not_in_the_log(self):
        self.arrange()
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.says("USER bob", "PASS " + "wonderland" * 20)
        wire.hears("+OK", BAD)
        wire.hears_end()
        self.proxy.wait_log(r'client sent too long command "PASS \.\.\." while in auth state')

    @apus_only
    def test_a_burst_of_short_commands_is_not_too_long(self):
        self.arrange()
        wire = self.client()
        wire.sends("NOOP\r\n" * 900)
        wire.hears(*["+OK"] * 900)

    def test_silence(self):
        self.arrange("timeout 300ms;")
        wire = self.client()
        wire.hears_end()
        self.proxy.wait_log(r"client timed out \(110: Connection timed out\)")


class Capabilities(SecurePOP3Test):

    def test_every_method(self):
        self.arrange("pop3_auth external cram-md5 apop plain; pop3_capabilities B a;")
        wire = self.connect(self.proxy.ports["pop3"])
        wire.hears_match(rf"\+OK POP3 ready {SALT}")
        wire.says("CAPA", "AUTH")
        wire.hears("+OK Capability list follows", "B", "a", "SASL PLAIN LOGIN CRAM-MD5 EXTERNAL", ".")
        wire.hears("+OK methods supported:", "PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL", ".")

    def test_no_mechanism(self):
        self.arrange("pop3_auth apop;")
        wire = self.connect(self.proxy.ports["pop3"])
        wire.hears_line()
        wire.says("CAPA", "AUTH")
        wire.hears(*CAPABILITIES[:4], "SASL", ".", "+OK methods supported:", ".")

    @apus_only
    def test_strict(self):
        self.arrange("pop3_auth external; auth_strict on;")
        wire = self.client()
        wire.says("CAPA", "USER bob", "AUTH PLAIN", "AUTH LOGIN", "AUTH PLAIN " + plain("bob", "x"))
        wire.hears("+OK Capability list follows", "TOP", "UIDL", "SASL EXTERNAL", ".", *[BAD] * 4)

    def test_starttls_on(self):
        self.secure("starttls on;")
        wire = self.client()
        wire.says("CAPA", "USER bob", "CAPA")
        wire.hears(*CAPABILITIES, "STLS", ".", "+OK", *CAPABILITIES, ".")

    def test_starttls_only(self):
        self.secure("starttls only; pop3_auth plain external;")
        wire = self.client()
        wire.says("CAPA", "USER bob", "AUTH", "AUTH PLAIN", "AUTH EXTERNAL " + b64("bob"), "APOP a b", "NOOP")
        wire.hears("+OK Capability list follows", "TOP", "UIDL", "STLS", ".", *[BAD] * 5, "+OK")


@both_users
class TLS(SecurePOP3Test):

    def test_implicit(self):
        self.secure(listen="ssl")
        wire = self.client(tls=client_context(alpn=["pop3"]))
        self.assertEqual(wire.sock.selected_alpn_protocol(), "pop3")
        wire.says("STLS", "CAPA")
        wire.hears(BAD, *CAPABILITIES, ".")
        self.log_in(wire)
        self.assertEqual(self.auth.requests[0].header("Auth-SSL"), "on")

    def test_stls(self):
        for policy in ("on", "only"):
            with self.subTest(policy):
                self.setUp()
                self.secure(f"starttls {policy};")
                wire = self.client()
                wire.says("STLS")
                wire.hears("+OK")
                wire.starts_tls(client_context())
                wire.hears_nothing()  # no second greeting
                wire.says("CAPA", "STLS")
                wire.hears(*CAPABILITIES, ".", BAD)
                self.log_in(wire)
                self.proxy.wait_log(r"client logged in, client: 127\.0\.0\.1 using starttls, ")

    def test_bytes_behind_stls_are_discarded(self):
        self.secure("starttls on;")
        wire = self.client()
        wire.sends("STLS\r\nUSER mallory\r\nPASS wonderland\r\n")
        wire.hears("+OK")
        wire.starts_tls(client_context())
        wire.hears_nothing()
        wire.says("PASS wonderland", "NOOP")
        wire.hears(BAD, "+OK")
        self.assertEqual(self.auth.requests, [])

    def test_a_certificate_that_is_missing(self):
        self.secure(f"ssl_verify_client on; ssl_client_certificate {self.authority.certificate};", listen="ssl")
        wire = self.client(tls=client_context(), greeting="-ERR No required SSL certificate")
        wire.hears_end()


@both_users
class Login(POP3Test):

    FORMS = (
        (b"USER bob\r\nPASS wonderland\r\n", ["+OK"], "bob", "wonderland"),
        (b"user bob\npass wonderland\n", ["+OK"], "bob", "wonderland"),
        (b"USER  b o b\r\nPASS  won der  land \r\n", ["+OK"], "b o b", "won der  land "),
        (b"USER b\xc3\xb6b\r\nPASS w\xe9\r\n", ["+OK"], "b\xc3\xb6b", "w\xe9"),
        (f"AUTH PLAIN\r\n{plain('bob', 'wonderland')}\r\n", ["+ "], "bob", "wonderland"),
        (f"auth plain {plain('bob', 'wonderland')}\r\n", [], "bob", "wonderland"),
        (f"AUTH LOGIN\r\n{b64('bob')}\r\n{b64('wonderland')}\r\n", ["+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6"], "bob",
         "wonderland"),
        (f"AUTH LOGIN {b64('bob')}\r\n{b64('wonderland')}\r\n", ["+ UGFzc3dvcmQ6"], "bob", "wonderland"),
    )

    def logs_in(self, send):
        self.arrange()
        self.proxy.keep_secret("wonderland")
        for data, replies, user, password in self.FORMS:
            with self.subTest(data):
                wire = self.client()
                data = data if isinstance(data, bytes) else data.encode()
                send(wire, data)
                wire.hears(*replies, "+OK Logged in.")
                self.assertEqual(self.backend.logins[-1], (user, password))
                self.assertEqual(self.auth.requests[-1].header("Auth-Method"), "plain")
                self.assertEqual(self.auth.requests[-1].header("Auth-Protocol"), "pop3")
                wire.says("STAT")
                wire.hears("+OK done")
                wire.says("QUIT")
                wire.hears("+OK bye")
                wire.hears_end()

    def test_whole(self):
        self.logs_in(lambda wire, data: wire.sends(data))

    def test_byte_by_byte(self):
        def slowly(wire, data):
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in data:
                wire.sends(bytes([byte]))

        self.logs_in(slowly)

    def test_split_at_every_byte(self):
        self.arrange()
        self.proxy.keep_secret("wonderland")
        data = b"USER bob\r\nPASS wonderland\r\nSTAT\r\n"
        for cut in range(1, len(data)):
            wire = self.client()
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.sends(data[:cut])
            if cut >= 10:
                wire.hears("+OK")
            wire.sends(data[cut:])
            if cut < 10:
                wire.hears("+OK")
            wire.hears("+OK Logged in.", "+OK done")
            wire.closes()
        self.assertEqual(set(self.backend.logins), {("bob", "wonderland")})

    def test_pipelined_commands_go_to_the_server_behind(self):
        self.arrange()
        wire = self.client()
        wire.says("CAPA", "NOOP", "USER bob", "PASS wonderland", "STAT", "LIST", "QUIT")
        wire.hears(*CAPABILITIES, ".", "+OK", "+OK", "+OK Logged in.", "+OK done", "+OK done", "+OK bye")
        wire.hears_end()

    def test_the_service_replaces_user_and_password(self):
        backend = POP3Backend()
        self.arrange(backend=backend, answer=lambda _: accept(backend.port, Auth_User="robert", Auth_Pass="other one"))
        self.log_in(self.client())
        self.assertEqual(backend.logins, [("robert", "other one")])

    @apus_only
    def test_control_characters_reach_nobody(self):
        self.arrange("pop3_auth plain apop external;")
        wire = self.connect(self.proxy.ports["pop3"])
        wire.hears_line()
        for line in ("USER b\0b", "USER b\tb", "AUTH PLAIN " + plain("bob\r\nDELE 1", "x"),
                     "AUTH PLAIN " + plain("bob", "x\r\nDELE 1"), "AUTH EXTERNAL " + b64("bob\n"), "APOP b\1b digest"):
            with self.subTest(line):
                wire.says(line)
                wire.hears(BAD)
        for password in ("x\0", "x\ty", "x\x7f"):
            wire.says("USER bob", "PASS " + password)
            wire.hears("+OK", BAD)
        wire.says("USER bob", "PASS x\rDELE 1")
        wire.hears("+OK", BAD)
        self.assertEqual((self.auth.requests, self.backend.connections), ([], []))

    @apus_only
    def test_a_long_response_within_its_own_limit(self):
        self.arrange()
        secret = "p" * 6000
        self.proxy.keep_secret(secret)
        for lines, reply in ((["AUTH PLAIN", plain("bob", secret)], ["+ "]), (["AUTH PLAIN " + plain("bob", secret)], [])):
            wire = self.client()
            wire.says(*lines)
            wire.hears(*reply, "+OK Logged in.")
            self.assertEqual(self.backend.logins[-1], ("bob", secret))

    def test_a_response_beyond_any_limit(self):
        self.arrange()
        wire = self.client()
        wire.says("AUTH PLAIN")
        wire.hears("+ ")
        wire.tries_to_send("A" * 20000 + "\r\n")
        wire.hears(BAD)
        wire.hears_end()
        self.assertEqual(self.auth.requests, [])


class BadResponses(POP3Test):

    CASES = (
        ("PLAIN", ["*"], "invalid base64 encoding in AUTH PLAIN"),
        ("PLAIN", [""], "invalid login in AUTH PLAIN"),
        ("PLAIN", [b64("\0bob")], "invalid password in AUTH PLAIN"),
        ("LOGIN", ["!"], "invalid base64 encoding in AUTH LOGIN"),
        ("LOGIN", [b64("bob"), "*"], "invalid base64 encoding in AUTH LOGIN"),
        ("CRAM-MD5", ["*"], "invalid base64 encoding in AUTH CRAM-MD5"),
        ("CRAM-MD5", [b64("bob 1234")], "invalid CRAM-MD5 hash in AUTH CRAM-MD5"),
        ("EXTERNAL", ["*"], "invalid base64 encoding in AUTH EXTERNAL"),
    )

    def test_each(self):
        self.arrange("pop3_auth plain cram-md5 external; max_errors 1;")
        wire = self.connect(self.proxy.ports["pop3"])
        wire.hears_line()
        for number, (mechanism, responses, message) in enumerate(self.CASES, 1):
            with self.subTest(mechanism=mechanism, responses=responses):
                wire.says(f"AUTH {mechanism}")
                for response in responses:
                    wire.hears_match(r"\+ .*")
                    wire.says(response)
                wire.hears(BAD)
                line = self.proxy.wait_log("client sent invalid", number)[-1]
                self.assertIn(f"client sent {message} command while in auth state", line)
        wire.says("AUTH CRAM-MD5 " + b64("bob"), "AUTH PLAIN a b", "AUTH LOGIN a b", "AUTH GSSAPI", "NOOP")
        wire.hears(*[BAD] * 4, "+OK")


@both_users
class Digests(POP3Test):

    def greeted(self, methods, answer):
        self.backend = POP3Backend()
        self.arrange(f"pop3_auth {methods};", backend=self.backend, answer=answer)
        self.proxy.keep_secret("the-clear-one")
        wire = self.connect(self.proxy.ports["pop3"])
        return wire, wire.hears_match(rf"\+OK POP3 ready ({SALT})")[1]

    def accepts(self, _):
        return accept(self.backend.port, Auth_Pass="the-clear-one")

    def told(self, number):
        request = self.auth.requests[number]
        return [request.header("Auth-" + name) for name in ("Method", "User", "Pass", "Salt", "Login-Attempt")]

    def test_apop_after_a_refusal(self):
        wire, salt = self.greeted("plain apop", [refuse("Not yet", Auth_Wait=1), self.accepts])
        digest = hashlib.md5((salt + "wonderland").encode()).hexdigest()
        wire.says(f"APOP bob {digest}")
        wire.hears("-ERR Not yet")
        wire.says("PASS x", f"apop bob {digest}")
        wire.hears(BAD, "+OK Logged in.")
        self.assertEqual(self.told(0), ["apop", "bob", digest, salt, "1"])
        self.assertEqual(self.told(1), ["apop", "bob", digest, salt, "2"])
        self.assertEqual(self.backend.logins, [("bob", "the-clear-one")])

    def test_cram_md5_after_a_refusal(self):
        wire, salt = self.greeted("cram-md5", [refuse("Not yet", Auth_Wait=1), self.accepts])
        digest = hmac.new(b"wonderland", salt.encode(), hashlib.md5).hexdigest()
        for answer in ("-ERR Not yet", "+OK Logged in."):
            wire.says("AUTH CRAM-MD5")
            wire.hears("+ " + b64(salt))
            wire.says(b64(f"bob {digest}"))
            wire.hears(answer)
        self.assertEqual(self.told(0), ["cram-md5", "bob", digest, salt, "1"])
        self.assertEqual(self.told(1), ["cram-md5", "bob", digest, salt, "2"])
        self.assertEqual(self.backend.logins, [("bob", "the-clear-one")])

    def test_salts_differ_between_sessions(self):
        wire, salt = self.greeted("apop", self.accepts)
        other = self.connect(self.proxy.ports["pop3"])
        self.assertNotEqual(other.hears_line(), f"+OK POP3 ready {salt}")

    def test_without_a_password_from_the_service(self):
        wire, _ = self.greeted("apop", lambda _: accept(self.backend.port))
        wire.says("APOP bob digest")
        wire.hears("-ERR internal server error")
        wire.hears_end()
        self.proxy.wait_log(r"\[error\] .*auth http server .* did not send password")

    def test_they_must_be_listed(self):
        self.arrange()
        wire = self.client()
        wire.says("APOP bob digest", "AUTH CRAM-MD5", "AUTH EXTERNAL")
        wire.hears(BAD, BAD, BAD)

    def test_external(self):
        self.backend = POP3Backend()
        self.arrange("pop3_auth external;", backend=self.backend, answer=self.accepts)
        wire = self.client()
        wire.says("AUTH EXTERNAL", b64("bob"))
        wire.hears("+ VXNlcm5hbWU6", "+OK Logged in.")
        self.assertEqual(self.told(0), ["external", "bob", "", None, "1"])
        wire = self.client()
        wire.says("AUTH EXTERNAL " + b64("bob"))
        wire.hears("+OK Logged in.")

    @apus_only
    def test_a_password_file_without_clear_passwords_has_none(self):
        self.backend = self.serve(POP3Backend())
        self.file("users", "bob:{PLAIN}wonderland::::::\n")
        self.file("hashed", "bob:{SHA512-CRYPT}$6$x$y::::::\n")
        self.proxy = self.start(
            f"""
            mail {{
                server_name mail.example.com; pop3_auth plain apop cram-md5; proxy_pass 127.0.0.1:{self.backend.port};
                server {{ listen 127.0.0.1:@clear@; protocol pop3; auth_passwd_file {self.dir}/users; }}
                server {{ listen 127.0.0.1:@hashed@; protocol pop3; auth_passwd_file {self.dir}/hashed; }}
            }}
            """)
        self.proxy.keep_secret("wonderland")
        wire = self.client("hashed")
        wire.says("CAPA", "APOP bob digest")
        wire.hears(*CAPABILITIES, ".", BAD)
        wire = self.connect(self.proxy.ports["clear"])
        salt = wire.hears_match(rf"\+OK POP3 ready ({SALT})")[1]
        wire.says("APOP bob " + hashlib.md5((salt + "wonderland").encode()).hexdigest())
        wire.hears("+OK Logged in.")
        self.assertEqual(self.backend.logins, [("bob", "wonderland")])


class Refused(POP3Test):

    def test_the_text_then_the_end(self):
        self.arrange(answer=refuse("Invalid login or password"))
        wire = self.client()
        # nginx loses its reply in a reset when more was sent.
        wire.says("USER bob", "PASS wrong", *([] if REFERENCE else ["NOOP"]))
        wire.hears("+OK", "-ERR Invalid login or password")
        wire.hears_end()
        self.proxy.wait_log(r'client login failed: "Invalid login or password" while in http auth state, .*login: "bob"$')

    def test_with_a_wait_the_session_goes_on_at_its_start(self):
        backend = POP3Backend()
        self.arrange(backend=backend, answer=[refuse("No", Auth_Wait=1), lambda _: accept(backend.port)])
        wire = self.client()
        wire.says("USER bob", "PASS wrong", "PASS wonderland", "USER bob", "PASS wonderland")
        wire.hears("+OK", "-ERR No", BAD, "+OK", "+OK Logged in.")


class ServerBehind(POP3Test):

    def meets(self, script, mail=""):
        self.arrange(mail, backend=POP3Backend(script, patient=True))
        wire = self.client()
        wire.says("USER bob", "PASS wonderland")
        wire.hears("+OK")
        return wire

    @staticmethod
    def refuses(*replies):
        def script(wire):
            for reply in replies[:-1]:
                wire.says(reply)
                wire.hears_line()
            wire.says(replies[-1])
            wire.hears_end()
        return script

    CASES = (("-ERR busy",), ("* OK imap",), ("+OK hi", "-ERR no"), ("+OK hi", "+OK", "-ERR [AUTH] wrong"))

    def test_what_it_refuses_is_an_internal_error(self):
        for replies in self.CASES:
            with self.subTest(replies):
                self.setUp()
                wire = self.meets(self.refuses(*replies))
                wire.hears("-ERR internal server error")
                wire.hears_end()
                self.proxy.wait_log(r'\[error\] .*upstream sent invalid response: "' + replies[-1].replace(
                    "[", r"\[").replace("*", r"\*") + '" while reading response from upstream')

    @apus_only
    def test_no_password_that_it_repeats_is_in_the_log(self):
        def script(wire):
            wire.says("+OK hi")
            wire.hears_line()
            wire.says("+OK")
            wire.says("-ERR unknown: " + wire.hears_line())
            wire.hears_end()

        wire = self.meets(script)
        wire.hears("-ERR internal server error")
        wire.hears_end()
        self.proxy.wait_log('upstream sent invalid response: "-ERR unknown: PASS ..."')

    def test_its_words_with_proxy_pass_error_message(self):
        for replies in self.CASES:
            with self.subTest(replies):
                self.setUp()
                wire = self.meets(self.refuses(*replies), "proxy_pass_error_message on;")
                wire.hears(replies[-1])
                wire.hears_end()
                self.proxy.wait_log(r"\[info\] .*upstream sent invalid response: ")

    def test_replies_in_pieces(self):
        def script(wire):
            for reply in (b"+OK hi\r\n", b"+OK\r\n", b"+OK in\r\n"):
                for byte in reply:
                    wire.sends(bytes([byte]))
                if reply != b"+OK in\r\n":
                    wire.hears_line()
            wire.hears_end()

        wire = self.meets(script)
        wire.hears("+OK in")
        wire.closes()

    def test_silence(self):
        for replies, activity in ((("+OK",), "sending user name to upstream"),
                                  (("+OK", "+OK"), "sending password to upstream")):
            with self.subTest(activity):
                self.setUp()

                def script(wire):
                    for reply in replies:
                        wire.says(reply)
                        wire.hears_line()
                    wire.hears_end()

                wire = self.meets(script, "timeout 500ms;")
                wire.hears("-ERR internal server error")
                wire.hears_end()
                self.proxy.wait_log(rf"upstream timed out \(110: Connection timed out\) while {activity}, ")


class RealServer(DovecotTest):
    """poplib and curl read real mail from Dovecot through the proxy."""

    @classmethod
    def setUpClass(cls):
        if not os.access("/usr/lib/dovecot/pop3", os.X_OK):
            raise unittest.SkipTest("needs Dovecot's POP3 (apt-get install dovecot-pop3d)")
        super().setUpClass()

    def arrange(self):
        # Passwords reach Dovecot through the service's answer, so that digests can be used too.
        def verdict(request):
            method, given = request.header("Auth-Method"), request.header("Auth-Pass")
            salt = request.header("Auth-Salt")
            known = self.dovecot.password
            awaited = hashlib.md5((salt + known).encode()).hexdigest() if method == "apop" else (
                hmac.new(known.encode(), salt.encode(), hashlib.md5).hexdigest() if method == "cram-md5" else known)
            return accept(self.dovecot.pop3_port, Auth_Pass=known) if given == awaited else refuse("Wrong")

        self.auth = self.serve(AuthService(verdict))
        self.proxy = self.start(
            f"""
            mail {{
                auth_http 127.0.0.1:{self.auth.port}/auth;
                server_name mail.example.com;
                pop3_auth plain apop cram-md5;
                ssl_certificate {self.certificate};
                ssl_certificate_key {self.key};
                server {{ listen 127.0.0.1:@pop3@; protocol pop3; starttls on; }}
                server {{ listen 127.0.0.1:@pop3s@ ssl; protocol pop3; }}
            }}
            """)
        self.proxy.keep_secret(self.dovecot.password)

    def reads(self, client):
        self.addCleanup(client.close)
        self.assertEqual(client.stat()[0], 3)
        for number in (1, 2, 3):
            self.assertEqual(b"\r\n".join(client.retr(number)[1]) + b"\r\n", self.dovecot.messages[number - 1])
        client.quit()

    def test_poplib(self):
        self.arrange()
        ports = self.proxy.ports
        client = poplib.POP3("127.0.0.1", ports["pop3"], timeout=DEADLINE)
        self.assertIn("STLS", client.capa())
        client.user("bob")
        client.pass_(self.dovecot.password)
        self.reads(client)
        client = poplib.POP3("127.0.0.1", ports["pop3"], timeout=DEADLINE)
        client.stls(client_context())
        client.user("bob")
        client.pass_(self.dovecot.password)
        self.reads(client)
        client = poplib.POP3_SSL("127.0.0.1", ports["pop3s"], timeout=DEADLINE, context=client_context())
        client.apop("bob", self.dovecot.password)
        self.reads(client)

    def test_poplib_with_a_wrong_password(self):
        self.arrange()
        client = poplib.POP3("127.0.0.1", self.proxy.ports["pop3"], timeout=DEADLINE)
        client.user("bob")
        with self.assertRaisesRegex(poplib.error_proto, "Wrong"):
            client.pass_("something else")
        client.close()

    def test_curl(self):
        self.arrange()
        ports = self.proxy.ports
        for url, words in (
            (f"pop3://127.0.0.1:{ports['pop3']}", ("--login-options", "AUTH=PLAIN")),
            (f"pop3://127.0.0.1:{ports['pop3']}", ("--login-options", "AUTH=LOGIN")),
            (f"pop3://127.0.0.1:{ports['pop3']}", ("--login-options", "AUTH=CRAM-MD5")),
            (f"pop3://127.0.0.1:{ports['pop3']}", ("--login-options", "AUTH=+APOP")),
            (f"pop3://127.0.0.1:{ports['pop3']}", ("--login-options", "AUTH=PLAIN", "--sasl-ir")),
            (f"pop3://localhost:{ports['pop3']}", ("-4", "--ssl-reqd")),
            (f"pop3s://localhost:{ports['pop3s']}", ("-4",)),
        ):
            with self.subTest(url=url, words=words):
                self.assertEqual(self.curl(url + "/1", *words), self.dovecot.messages[0])


del DovecotTest  # it is another file's

if __name__ == "__main__":
    unittest.main()
