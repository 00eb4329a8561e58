"""SASL in all three protocols alike: tokens, error data, retries in every order, bad input in every mechanism."""

import base64
import hashlib
import hmac

from harness import ProxyTest, apus_only, as_bytes, b64, both_users, plain
from pop3 import POP3Backend
from scripted import AuthService, Backend, accept, refuse
from smtp import SMTPBackend


class Tongue:
    """What a protocol calls things."""

    def __init__(self, name, backend, greeting, command, more, bad, no, done, noop, hello=()):
        self.name, self.backend, self.greeting = name, backend, greeting
        self.command, self.more, self.bad, self.no, self.done, self.noop = command, more, bad, no, done, noop
        self.hello = hello

    def __repr__(self):
        return self.name


TONGUES = (
    Tongue("imap", Backend, r"\* OK IMAP4 ready", "a AUTHENTICATE ", "+ ", "a BAD invalid command", "a NO {}",
           "a OK Logged in", ("a NOOP", "a OK completed")),
    Tongue("pop3", POP3Backend, r"\+OK POP3 ready( <.*>)?", "AUTH ", "+ ", "-ERR invalid command", "-ERR {}",
           "+OK Logged in.", ("NOOP", "+OK")),
    Tongue("smtp", SMTPBackend, r"220 mail\.example\.com ESMTP ready", "AUTH ", "334 ", "500 5.5.1 Invalid command",
           "535 5.7.0 {}", "235 2.0.0 OK", ("NOOP", "250 2.0.0 OK")),
)
ALL = "plain {login} cram-md5 external xoauth2 oauthbearer"
ERROR = b64('{"status":"invalid_token","scope":"mail"}')
TOKEN = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"


def xoauth2(user, token=TOKEN):
    return b64(b"user=" + as_bytes(user) + b"\1auth=Bearer " + as_bytes(token) + b"\1\1")


def oauthbearer(user, token=TOKEN):
    name = as_bytes(user).replace(b"=", b"=3D").replace(b",", b"=2C")
    return b64(b"n,a=" + name + b",\1host=mail.example.com\1port=993\1auth=Bearer " + as_bytes(token) + b"\1\1")


BEARER = (("xoauth2", xoauth2, ""), ("oauthbearer", oauthbearer, "AQ=="))


class SASLTest(ProxyTest):

    def arrange(self, tongue, settings=None, answer=None, server="", **options):
        if settings is None:
            settings = f"{tongue.name}_auth " + ALL.format(login="" if tongue.name == "pop3" else "login") + ";"
        self.tongue = tongue
        self.backend = self.serve(tongue.backend())
        self.auth = self.serve(AuthService(accept(self.backend.port) if answer is None else answer))
        self.proxy = self.start(
            f"""
            mail {{
                server_name mail.example.com;
                auth_http 127.0.0.1:@auth@/auth;
                {settings}
                server {{ listen 127.0.0.1:@mail@; protocol {tongue.name}; {server} }}
            }}
            """, ports={"auth": self.auth.port}, **options)
        self.proxy.keep_secret(TOKEN, base64.b64encode(TOKEN.encode()).decode().rstrip("=")[:-1])
        return self.proxy

    def client(self):
        wire = self.connect(self.proxy.ports["mail"])
        match = wire.hears_match(self.tongue.greeting)
        wire.salt = (match[1] or "").strip() if match.re.groups else ""
        return wire

    def asks(self, wire, mechanism, response, initial):
        """One exchange with one response, initial or not."""
        if initial:
            wire.says(f"{self.tongue.command}{mechanism} {response}")
        else:
            wire.says(self.tongue.command + mechanism)
            wire.hears(self.tongue.more + ("VXNlcm5hbWU6" if mechanism == "EXTERNAL" else ""))
            wire.says(response)

    def still_serves(self, wire):
        wire.says(self.tongue.noop[0])
        wire.hears(self.tongue.noop[1])


@apus_only
@both_users
class Tokens(SASLTest):
    """XOAUTH2 and OAUTHBEARER"""

    def test_they_reach_the_service_and_the_server(self):
        for tongue in TONGUES:
            self.arrange(tongue, server="proxy_smtp_auth on; xclient off;" if tongue.name == "smtp" else "",
                         level="debug")
            for mechanism, response, _ in BEARER:
                for initial in (True, False):
                    with self.subTest(tongue, mechanism=mechanism, initial=initial):
                        wire = self.client()
                        self.asks(wire, mechanism.upper() if initial else mechanism, response("b=o,b"), initial)
                        wire.hears(tongue.done)
                        request = self.auth.requests[-1]
                        self.assertEqual(
                            [request.header("Auth-" + name) for name in ("Method", "User", "Pass", "Salt", "Protocol")],
                            [mechanism, "b=o,b", TOKEN, None, tongue.name])
                        if tongue.name == "smtp":
                            self.assertEqual(self.backend.heard[-1][-1], "AUTH PLAIN " + plain("b=o,b", TOKEN))
                            self.proxy.keep_secret(plain("b=o,b", TOKEN))
                        else:
                            self.assertEqual(self.backend.logins[-1], ("b=o,b", TOKEN))
                        wire.closes()

    def test_the_service_gives_a_password_instead(self):
        for tongue in TONGUES[:2]:
            self.arrange(tongue)
            self.auth.answers = [accept(self.backend.port, Auth_Pass="wonderland", Auth_User="robert")]
            self.proxy.keep_secret("wonderland")
            wire = self.client()
            self.asks(wire, "XOAUTH2", xoauth2("bob"), True)
            wire.hears(tongue.done)
            self.assertEqual(self.backend.logins, [("robert", "wonderland")])

    def test_they_are_advertised_last_and_only_when_listed(self):
        imap, pop3, smtp = TONGUES
        self.arrange(imap, "imap_auth oauthbearer xoauth2 external cram-md5 login plain;")
        wire = self.client()
        wire.says("a CAPABILITY")
        wire.hears("* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=EXTERNAL AUTH=XOAUTH2 "
                   "AUTH=OAUTHBEARER", "a OK completed")
        self.arrange(pop3, "pop3_auth oauthbearer xoauth2 external plain;")
        wire = self.client()
        wire.says("CAPA", "AUTH")
        wire.hears("+OK Capability list follows", "TOP", "USER", "UIDL", "SASL PLAIN LOGIN EXTERNAL XOAUTH2 OAUTHBEARER", ".",
                   "+OK methods supported:", "PLAIN", "LOGIN", "EXTERNAL", "XOAUTH2", "OAUTHBEARER", ".")
        self.arrange(smtp, "smtp_auth oauthbearer xoauth2;")
        wire = self.client()
        wire.says("EHLO me")
        wire.hears("250-mail.example.com", "250 AUTH XOAUTH2 OAUTHBEARER")

    def test_unlisted_they_are_refused_in_both_forms(self):
        for tongue in TONGUES:
            for strict in ("off", "on"):
                self.arrange(tongue, f"{tongue.name}_auth plain; auth_strict {strict};")
                wire = self.client()
                for mechanism, response, _ in BEARER:
                    with self.subTest(tongue, mechanism=mechanism, strict=strict):
                        wire.says(tongue.command + mechanism, f"{tongue.command}{mechanism} {response('bob')}")
                        wire.hears(tongue.bad, tongue.bad)
                self.assertEqual(self.auth.requests, [])

    def test_a_long_token(self):
        token = "t" * 9000
        for tongue in TONGUES:
            self.arrange(tongue)
            self.proxy.keep_secret(token[:100])
            for mechanism, response, _ in BEARER:
                for initial in (True, False):
                    with self.subTest(tongue, mechanism=mechanism, initial=initial):
                        wire = self.client()
                        self.asks(wire, mechanism, response("bob", token), initial)
                        wire.hears(tongue.done)
                        self.assertEqual(self.auth.requests[-1].header("Auth-Pass"), token)
                        wire.closes()

    def test_malformed_responses(self):
        cases = (
            ("XOAUTH2", "*", "base64 encoding"), ("XOAUTH2", b64("bob"), "login"),
            ("XOAUTH2", b64("user=bob\1auth=Basic x\1\1"), "token"), ("XOAUTH2", b64("user=bob\1auth=Bearer t\1"), "token"),
            ("OAUTHBEARER", "!", "base64 encoding"), ("OAUTHBEARER", b64("n,,\1auth=Bearer t\1\1"), "login"),
            ("OAUTHBEARER", b64("n,a=b=3Fb,\1auth=Bearer t\1\1"), "login"),
            ("OAUTHBEARER", b64("n,a=bob,\1auth=Bearer \1\1"), "token"),
            ("OAUTHBEARER", b64("n,a=bob,\1host=x\1\1"), "token"),
        )
        for tongue in TONGUES:
            self.arrange(tongue, f"max_errors 1; {tongue.name}_auth xoauth2 oauthbearer;")
            wire = self.client()
            count = 0
            for mechanism, response, what in cases:
                for initial in (True, False):
                    with self.subTest(tongue, mechanism=mechanism, response=response, initial=initial):
                        self.asks(wire, mechanism, response, initial)
                        wire.hears(tongue.bad)
                        count += 1
                        line = self.proxy.wait_log("client sent invalid", count)[-1]
                        self.assertIn(f"client sent invalid {what} in AUTH {mechanism} command while in auth state", line)
                        self.assertIn("[info]", line)
            self.assertEqual(self.auth.requests, [])


@apus_only
class ErrorData(SASLTest):
    """`Auth-Error-SASL`"""

    def test_without_a_wait_the_session_ends_after_the_exchange(self):
        for tongue in TONGUES:
            self.arrange(tongue, answer=refuse("Expired", Auth_Error_SASL=ERROR))
            for mechanism, response, acknowledgement in BEARER:
                for initial in (True, False):
                    for answer, final in ((acknowledgement, tongue.no.format("Expired")), ("*", tongue.bad),
                                          ("AQ==" if not acknowledgement else "", tongue.bad)):
                        with self.subTest(tongue, mechanism=mechanism, initial=initial, answer=answer):
                            wire = self.client()
                            self.asks(wire, mechanism, response("bob"), initial)
                            wire.hears(tongue.more + ERROR)
                            wire.says(answer)
                            wire.hears(final)
                            wire.hears_end()
            self.assertEqual(self.backend.connections, [])
            self.proxy.wait_log(r'client login failed: "Expired" while in http auth state, .*login: "bob"$')

    def test_an_answer_with_a_literal(self):
        self.arrange(TONGUES[0], answer=refuse("Expired", Auth_Error_SASL=ERROR))
        for answer, final in (("AQ== {3}", TONGUES[0].no.format("Expired")), (" {3}", TONGUES[0].bad)):
            with self.subTest(answer):
                wire = self.client()
                self.asks(wire, "OAUTHBEARER", oauthbearer("bob"), True)
                wire.hears(TONGUES[0].more + ERROR)
                wire.says(answer)
                wire.hears("+ OK")
                wire.says("abc")
                wire.hears(final)
                wire.hears_end()

    def test_with_a_wait_the_session_goes_on(self):
        for tongue in TONGUES:
            self.arrange(tongue)
            for mechanism, response, acknowledgement in BEARER:
                self.auth.requests.clear()
                self.auth.answers = [refuse("Expired", Auth_Error_SASL=ERROR, Auth_Wait=1)] * 2 + [accept(self.backend.port)]
                with self.subTest(tongue, mechanism=mechanism):
                    wire = self.client()
                    self.asks(wire, mechanism, response("bob"), True)
                    wire.hears(tongue.more + ERROR)
                    wire.says(acknowledgement)
                    wire.hears(tongue.no.format("Expired"))
                    self.still_serves(wire)
                    self.asks(wire, mechanism, response("bob"), False)
                    wire.hears(tongue.more + ERROR)
                    wire.says("what?")
                    wire.hears(tongue.bad)
                    self.still_serves(wire)
                    self.asks(wire, mechanism, response("bob"), False)
                    wire.hears(tongue.done)
                    wire.closes()
                    self.assertEqual([request.header("Auth-Login-Attempt") for request in self.auth.requests], ["1", "2", "3"])

    def test_the_answer_may_come_before_the_question(self):
        for tongue in TONGUES:
            self.arrange(tongue, answer=refuse("Expired", Auth_Error_SASL=ERROR, Auth_Wait=1))
            wire = self.client()
            wire.says(f"{tongue.command}XOAUTH2 {xoauth2('bob')}", "", tongue.noop[0])
            wire.hears(tongue.more + ERROR, tongue.no.format("Expired"), tongue.noop[1])

    def test_other_methods_do_not_know_it(self):
        for tongue in TONGUES:
            self.arrange(tongue, answer=refuse("No", Auth_Error_SASL=ERROR))
            for mechanism, response in (("PLAIN", plain("bob", "wonderland")), ("EXTERNAL", b64("bob"))):
                with self.subTest(tongue, mechanism=mechanism):
                    wire = self.client()
                    self.asks(wire, mechanism, response, True)
                    wire.hears(tongue.no.format("No"))
                    wire.hears_end()

    def test_without_it_a_token_is_refused_as_anything_else(self):
        for tongue in TONGUES:
            for data in (None, ""):
                self.arrange(tongue, answer=refuse("No", Auth_Error_SASL=data))
                wire = self.client()
                self.asks(wire, "XOAUTH2", xoauth2("bob"), True)
                wire.hears(tongue.no.format("No"))
                wire.hears_end()

    def test_an_accepted_login_ignores_it(self):
        tongue = TONGUES[0]
        self.arrange(tongue)
        self.auth.answers = [accept(self.backend.port, Auth_Error_SASL=ERROR)]
        wire = self.client()
        self.asks(wire, "OAUTHBEARER", oauthbearer("bob"), True)
        wire.hears(tongue.done)

    def test_control_bytes_in_it_are_an_error(self):
        tongue = TONGUES[1]
        self.arrange(tongue, answer=refuse("No", Auth_Error_SASL="e30=\x01"))
        wire = self.client()
        self.asks(wire, "XOAUTH2", xoauth2("bob"), True)
        wire.hears("-ERR internal server error")
        wire.hears_end()
        self.proxy.wait_log("sent control characters in Auth-Error-SASL")

    def test_smtp_codes_come_at_the_end(self):
        self.arrange(TONGUES[2], answer=refuse("Expired", Auth_Error_SASL=ERROR, Auth_Error_Code="454 4.7.0"))
        wire = self.client()
        self.asks(wire, "XOAUTH2", xoauth2("bob"), True)
        wire.hears("334 " + ERROR)
        wire.says("")
        wire.hears("454 4.7.0 Expired")
        wire.hears_end()

    def test_a_client_that_does_not_answer_is_closed_after_timeout(self):
        for tongue in TONGUES:
            self.arrange(tongue, server="timeout 1s;", answer=refuse("Expired", Auth_Error_SASL=ERROR))
            wire = self.client()
            self.asks(wire, "XOAUTH2", xoauth2("bob"), True)
            wire.hears(tongue.more + ERROR)
            wire.hears_end()
            self.proxy.wait_log(r"client timed out \(110: Connection timed out\) while in auth state")

    def test_an_answer_without_end(self):
        for tongue in TONGUES:
            self.arrange(tongue, answer=refuse("Expired", Auth_Error_SASL=ERROR))
            wire = self.client()
            self.asks(wire, "XOAUTH2", xoauth2("bob"), True)
            wire.hears(tongue.more + ERROR)
            wire.tries_to_send("A" * 20_000)
            wire.hears(tongue.bad)
            wire.hears_end()
            self.proxy.wait_log(r'client sent too long command "\.\.\." while in auth state')


@apus_only
class PasswordFile(SASLTest):

    def test_it_takes_no_tokens_but_a_password_after_one(self):
        for tongue in TONGUES:
            with self.subTest(tongue):
                self.tongue = tongue
                backend = self.serve(tongue.backend())
                self.file("users", "bob:{PLAIN}wonderland::::::\n")
                self.proxy = self.start(
                    f"""
                    mail {{
                        server_name mail.example.com;
                        proxy_pass 127.0.0.1:{backend.port};
                        auth_passwd_file {self.dir}/users;
                        {tongue.name}_auth plain xoauth2 oauthbearer;
                        server {{ listen 127.0.0.1:@mail@; protocol {tongue.name}; }}
                    }}
                    """)
                self.proxy.keep_secret("wonderland", TOKEN)
                wire = self.client()
                for mechanism, response, _ in BEARER:
                    self.asks(wire, mechanism, response("bob"), True)
                    wire.hears(tongue.no.format("Tokens are not supported, use a password."))
                self.asks(wire, "PLAIN", plain("bob", "wonderland"), True)
                wire.hears(tongue.done)


@both_users
class Retries(SASLTest):
    """CVE-2026-27651: what is left of one attempt is nothing to the next, whatever the two mechanisms are."""

    def mechanisms(self):
        found = [self.with_password, self.with_login, self.with_cram_md5, self.with_external]
        if self.tongue.name == "imap":
            found.append(self.with_imap_login)
        if self.tongue.name == "pop3":
            found += [self.with_user_and_pass, self.with_apop]
        return found

    def with_password(self, wire, user):
        self.asks(wire, "PLAIN", plain(user, "wonderland"), False)
        return ["plain", user, "wonderland", None]

    def with_login(self, wire, user):
        wire.says(self.tongue.command + "LOGIN", b64(user), b64("wonderland"))
        wire.hears(self.tongue.more + "VXNlcm5hbWU6", self.tongue.more + "UGFzc3dvcmQ6")
        return ["plain", user, "wonderland", None]

    def with_external(self, wire, user):
        self.asks(wire, "EXTERNAL", b64(user), True)
        return ["external", user, "", None]

    def with_cram_md5(self, wire, user):
        wire.says(self.tongue.command + "CRAM-MD5")
        salt = base64.b64decode(wire.hears_line()[len(self.tongue.more):])
        digest = hmac.new(b"wonderland", salt, hashlib.md5).hexdigest()
        wire.says(b64(f"{user} {digest}"))
        return ["cram-md5", user, digest, salt.decode()]

    def with_imap_login(self, wire, user):
        wire.says(f"a LOGIN {user} wonderland")
        return ["plain", user, "wonderland", None]

    def with_user_and_pass(self, wire, user):
        wire.says(f"USER {user}", "PASS wonderland")
        wire.hears("+OK")
        return ["plain", user, "wonderland", None]

    def with_apop(self, wire, user):
        digest = hashlib.md5((wire.salt + "wonderland").encode()).hexdigest()
        wire.says(f"APOP {user} {digest}")
        return ["apop", user, digest, wire.salt]

    def with_xoauth2(self, wire, user):
        self.asks(wire, "XOAUTH2", xoauth2(user), True)
        wire.says("")
        wire.awaited = [self.tongue.more + ERROR]
        return ["xoauth2", user, TOKEN, None]

    def with_oauthbearer(self, wire, user):
        self.asks(wire, "OAUTHBEARER", oauthbearer(user), False)
        wire.says("AQ==")
        wire.awaited = [self.tongue.more + ERROR]
        return ["oauthbearer", user, TOKEN, None]

    def try_every_pair(self, tongue, settings=None, more=()):
        # Each refusal waits for a second: each pair has a connection of its own, and all of them wait together.
        extra = " apop" if tongue.name == "pop3" else ""
        login = "" if tongue.name == "pop3" else "login"
        settings = settings or f"{tongue.name}_auth plain {login} cram-md5 external{extra};"
        self.arrange(tongue, settings, answer=refuse("No", Auth_Wait=1, Auth_Error_SASL=ERROR))
        self.proxy.keep_secret("wonderland")
        if tongue.name == "pop3":
            self.tongue = Tongue(**{**vars(tongue), "greeting": r"\+OK POP3 ready (<.*>)"})
        names = self.mechanisms() + [getattr(self, name) for name in more]
        pairs = [(first, second) for first in names for second in names]
        awaited = []
        wires = []
        for number, (first, _) in enumerate(pairs):
            wire = self.client()
            wire.awaited = []
            wires.append(wire)
            awaited.append(first(wire, f"first{number}"))
        for wire in wires:
            wire.hears(*wire.awaited, tongue.no.format("No"))
            wire.awaited = []
        for number, (wire, (_, second)) in enumerate(zip(wires, pairs)):
            awaited.append(second(wire, f"second{number}"))
        for wire in wires:
            wire.hears(*wire.awaited, tongue.no.format("No"))
            self.still_serves(wire)
        told = sorted([str(request.header("Auth-" + name)) for name in ("User", "Method", "Pass", "Salt", "Login-Attempt")]
                      for request in self.auth.requests)
        self.assertEqual(told, sorted(
            [user, method, secret, str(salt), "1" if user.startswith("first") else "2"]
            for method, user, secret, salt in awaited))

    def test_imap(self):
        self.try_every_pair(TONGUES[0])

    def test_pop3(self):
        self.try_every_pair(TONGUES[1])

    def test_smtp(self):
        self.try_every_pair(TONGUES[2])

    @apus_only
    def test_tokens_too(self):
        for tongue in TONGUES:
            login = "apop" if tongue.name == "pop3" else "login"
            self.try_every_pair(tongue, f"{tongue.name}_auth plain {login} cram-md5 external xoauth2 oauthbearer;",
                                ("with_xoauth2", "with_oauthbearer"))


class Leftovers(SASLTest):

    def test_nothing_of_a_bad_response_goes_with_mail_that_needs_no_login(self):
        # CVE-2025-53859
        self.arrange(TONGUES[2], "smtp_auth none plain login cram-md5 external;", server="xclient off;",
                     answer=refuse("No", Auth_Wait=1))
        # The CVE's sort: nothing decodes, a part decodes, the user name does and the password does not.
        attempts = (
            ["AUTH PLAIN ****"], ["AUTH PLAIN AGJvYgBzZWNyZXQ*"], ["AUTH LOGIN *"], ["AUTH LOGIN", "*"],
            ["AUTH LOGIN " + b64("mallory"), "*"], ["AUTH LOGIN", b64("mallory"), "c2VjcmV0*"], ["AUTH CRAM-MD5", "*"],
            ["AUTH EXTERNAL ****"], ["AUTH PLAIN " + b64("\0mallory")], ["AUTH PLAIN", "A" * 5001],
        )
        wires = []
        for lines in attempts:
            wire = self.client()
            wires.append(wire)
            for number, line in enumerate(lines):
                wire.says(line)
                answer = wire.hears_line()
                self.assertEqual(answer[:3], "500" if number == len(lines) - 1 else "334", lines)
            wire.says("MAIL FROM:<a@b>", "RCPT TO:<c@d>")
        for wire in wires:
            wire.hears("250 2.0.0 OK", "535 5.7.0 No")
        self.assertEqual(len(self.auth.requests), len(attempts))
        for request in self.auth.requests:
            self.assertEqual(
                [request.header(name) for name in ("Auth-Method", "Auth-User", "Auth-Pass", "Auth-Salt", "Auth-SMTP-Helo",
                                                   "Auth-SMTP-From", "Auth-SMTP-To")],
                ["none", "", "", None, "", "MAIL FROM:<a@b>", "RCPT TO:<c@d>"])
            self.assertNotIn(b"mallory", request.data)

    @apus_only
    def test_nothing_of_a_token_goes_with_it_either(self):
        self.arrange(TONGUES[2], "smtp_auth none xoauth2 oauthbearer;", server="xclient off;",
                     answer=refuse("No", Auth_Wait=1))
        wires = []
        for line in ("AUTH XOAUTH2 " + xoauth2("mallory")[:-1] + "*", "AUTH OAUTHBEARER " + b64("n,a=mallory,\1auth=x\1\1")):
            wire = self.client()
            wire.says(line)
            wire.hears("500 5.5.1 Invalid command")
            wire.says("MAIL FROM:<a@b>", "RCPT TO:<c@d>")
            wires.append(wire)
        for wire in wires:
            wire.hears("250 2.0.0 OK", "535 5.7.0 No")
        for request in self.auth.requests:
            self.assertEqual([request.header("Auth-" + name) for name in ("Method", "User", "Pass")], ["none", "", ""])
            self.assertNotIn(b"mallory", request.data)


@apus_only
@both_users
class ControlBytes(SASLTest):
    """In a decoded login or password of any mechanism: nobody hears of it."""

    BYTES = [*range(1, 32), 0x7F]

    def test_in_every_mechanism(self):
        for tongue in TONGUES:
            self.arrange(tongue)
            wire = self.client()
            for byte in [0, *self.BYTES]:
                bad = b"x" + bytes([byte]) + b"RSET"
                cases = [
                    ("PLAIN", plain("bob", bad)), ("EXTERNAL", b64(bad)), ("XOAUTH2", xoauth2("bob", bad)),
                    ("OAUTHBEARER", oauthbearer(bad)), ("OAUTHBEARER", oauthbearer("bob", b"t" + bytes([byte]))),
                    ("XOAUTH2", xoauth2(bad)),
                ]
                if byte:  # a NUL would end the login
                    cases.append(("PLAIN", plain(bad, "wonderland")))
                for mechanism, response in cases:
                    if mechanism == "OAUTHBEARER" and byte == 1 and response == cases[4][1]:
                        continue  # the separator ends the token
                    with self.subTest(tongue, mechanism=mechanism, byte=byte):
                        self.asks(wire, mechanism, response, byte % 2 == 0)
                        wire.hears(tongue.bad)
                with self.subTest(tongue, mechanism="LOGIN", byte=byte):
                    wire.says(tongue.command + "LOGIN " + b64(bad))
                    wire.hears(tongue.bad)
                    wire.says(tongue.command + "LOGIN " + b64("bob"), b64(bad))
                    wire.hears(tongue.more + "UGFzc3dvcmQ6", tongue.bad)
                with self.subTest(tongue, mechanism="CRAM-MD5", byte=byte):
                    wire.says(tongue.command + "CRAM-MD5")
                    wire.hears_line()
                    wire.says(b64(bad + b" 0123456789abcdef0123456789abcdef"))
                    wire.hears(tongue.bad)
                    wire.says(tongue.command + "CRAM-MD5")
                    wire.hears_line()
                    wire.says(b64(b"bob 0123456789abcdef0123456789abcd" + bytes([byte]) + b"f"))
                    wire.hears(tongue.bad)
            self.assertEqual((self.auth.requests, self.backend.connections), ([], []))
            for line in (self.proxy.dir / "error.log").read_bytes().split(b"\n"):
                self.assertFalse(any(byte < 32 or byte == 0x7F for byte in line), line)


@apus_only
class Commands(SASLTest):
    """max_commands"""

    def test_the_one_that_exceeds_the_limit_ends_the_session(self):
        for tongue in TONGUES:
            with self.subTest(tongue):
                self.arrange(tongue, server="max_commands 3;")
                wire = self.client()
                noop, done = tongue.noop
                wire.says(*[noop] * 5)
                wire.hears(*[done] * 3, tongue.bad)
                wire.hears_end()
                self.proxy.wait_log(r"\[info\] .* client sent too many commands while in auth state, client: 127\.0\.0\.1, ")

    def test_what_the_parser_refuses_counts_for_max_errors(self):
        for tongue in TONGUES:
            with self.subTest(tongue):
                self.arrange(tongue, server="max_commands 2; max_errors 10;")
                wire = self.client()
                noop, done = tongue.noop
                prefix = "a " if tongue.name == "imap" else ""
                wire.says(*[prefix + "BOGUS"] * 8, noop, noop, prefix + "BOGUS", noop)
                wire.hears(*[tongue.bad] * 8, done, done, tongue.bad, tongue.bad)
                wire.hears_end()

    def test_lines_of_an_exchange_count(self):
        for tongue in TONGUES:
            with self.subTest(tongue):
                self.arrange(tongue, server="max_commands 3;")
                wire = self.client()
                wire.says(tongue.command + "LOGIN", b64("bob"), b64("wonderland"))
                wire.hears(tongue.more + "VXNlcm5hbWU6", tongue.more + "UGFzc3dvcmQ6", tongue.done)
                wire.closes()
                wire = self.client()
                wire.says(tongue.noop[0], tongue.command + "LOGIN", b64("bob"), b64("wonderland"))
                wire.hears(tongue.noop[1], tongue.more + "VXNlcm5hbWU6", tongue.more + "UGFzc3dvcmQ6", tongue.bad)
                wire.hears_end()
                self.assertEqual(len(self.auth.requests), 1)

    def test_a_thousand_by_default(self):
        tongue = TONGUES[1]
        self.arrange(tongue)
        wire = self.client()
        wire.says(*["NOOP"] * 1000)
        wire.hears(*["+OK"] * 1000)
        wire.says("NOOP", "NOOP")
        wire.hears(tongue.bad)
        wire.hears_end()

    def test_0_is_none_at_all(self):
        self.arrange(TONGUES[2], server="max_commands 0;")
        wire = self.client()
        wire.says("QUIT")
        wire.hears("500 5.5.1 Invalid command")
        wire.hears_end()


class Pipelining(SASLTest):

    @apus_only
    def test_a_burst_longer_than_the_buffer(self):
        # Each command fits; all of them together are many times the buffer.
        for tongue in TONGUES:
            with self.subTest(tongue):
                self.arrange(tongue, server="" if tongue.name == "pop3" else f"{tongue.name}_client_buffer 128;")
                wire = self.client()
                noop, done = tongue.noop
                wire.says(*[noop + " " + "x" * 90] * 900)
                wire.hears(*[done] * 900)
                self.asks(wire, "PLAIN", plain("bob", "wonderland"), True)
                wire.hears(tongue.done)

    @apus_only
    def test_one_burst_does_not_hold_up_others(self):
        tongue = TONGUES[0]
        self.arrange(tongue, server="max_commands 1000000;")
        loud = self.client()
        loud.sock.setblocking(False)
        burst = b"a NOOP\r\n" * 40_000
        sent = 0
        try:
            while sent < len(burst):
                sent += loud.sock.send(burst[sent:])
        except BlockingIOError:
            pass
        quiet = self.client()
        self.still_serves(quiet)
