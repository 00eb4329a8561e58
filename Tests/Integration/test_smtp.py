"""SMTP: what a client can say before mail flows, what it hears, and what the server behind hears of it."""

import hashlib
import hmac
import base64
import smtplib
import socket

from certs import client_context, self_signed
from harness import REFERENCE, apus_only, b64, both_users, plain
from scripted import accept, refuse
from smtp import GREETING, INVALID, SUCCESS, SMTPBackend, SMTPTest

ARGUMENT = "501 5.5.4 Invalid argument"
SEQUENCE = "503 5.5.1 Bad sequence of commands"
ACCEPTED = "235 2.0.0 OK"
PLAIN = "AUTH PLAIN " + plain("bob", "wonderland")


class Commands(SMTPTest):

    def test_every_command_before_login(self):
        self.arrange("smtp_auth plain login none;")
        wire = self.client()
        for line, *answer in (
            ("HELO x", "250 mail.example.com"),
            ("helo", ARGUMENT),
            ("HELO x y", ARGUMENT),
            ("EHLO x", "250-mail.example.com", "250 AUTH PLAIN LOGIN"),
            ("EHLO", ARGUMENT),
            ("NOOP x", SUCCESS),
            ("RSET x", SUCCESS),
            ("VRFY x", INVALID),
            ("EXPN x", INVALID),
            ("HELP", INVALID),
            ("STARTTLS", INVALID),
            ("AUTH", ARGUMENT),
            ("AUTH GSSAPI", INVALID),
            ("AUTH CRAM-MD5", INVALID),
            *(() if REFERENCE else [("AUTH EXTERNAL " + b64("bob"), INVALID)]),
            ("RCPT TO:<a>", SEQUENCE),
            ("MAIL", ARGUMENT),
            ("MAIL FROM:<a@b> SIZE=100", SUCCESS),
            ("MAIL FROM:<a@b>", SEQUENCE),
            ("RCPT", ARGUMENT),
            ("RSET", SUCCESS),
            ("RCPT TO:<a>", SEQUENCE),
            ("QUIT now", "221 2.0.0 Bye"),
        ):
            with self.subTest(line):
                wire.says(line)
                wire.hears(*answer)
        wire.hears_end()
        self.assertEqual(self.auth.requests, [])

    def test_five_refusals_of_the_parser_end_the_session(self):
        self.arrange()
        wire = self.client()
        wire.says("VRFY a", "DATA", "BDAT 1", " NOOP", "", "NOOP 1 2 3 4 5 6 7 8 9 10 11 12", "NOOP")
        wire.hears(*[INVALID] * 6)
        wire.hears_end()
        self.proxy.wait_log(r"client sent too many invalid commands while in auth state")

    def test_too_long(self):
        self.arrange("smtp_client_buffer 64;")
        wire = self.client()
        wire.says("NOOP " + "x" * 57)
        wire.hears(SUCCESS)
        wire.sends("NOOP " + "x" * 59)
        wire.hears(INVALID)
        wire.hears_end()
        self.proxy.wait_log(r'client sent too long command "NOOP x{59}" while in auth state')
        if not REFERENCE:
            # The answer to a challenge that was not made.
            wire = self.client()
            wire.sends("dXNlcj1ib2IB" * 6)
            wire.hears(INVALID)
            self.proxy.wait_log(r'client sent too long command "\.\.\." while in auth state')

    @apus_only
    def test_control_characters_go_nowhere(self):
        self.arrange("smtp_auth none plain;")
        wire = self.client()
        for byte in ("\0", "\1", "\t", "\x1b", "\x7f"):
            with self.subTest(byte):
                wire.says(f"HELO a{byte}b", f"EHLO a{byte}b", f"MAIL a{byte}b")
                wire.hears(ARGUMENT, ARGUMENT, ARGUMENT)
                wire.says("MAIL a", f"RCPT a{byte}b", "RSET")
                wire.hears(SUCCESS, ARGUMENT, SUCCESS)
                wire.says("AUTH PLAIN " + plain(f"a{byte}b" if byte != "\0" else "\1", "x"))
                wire.hears(INVALID)
                wire.says("AUTH PLAIN " + plain("bob", f"a{byte}b"))
                wire.hears(INVALID)
        self.assertEqual(self.auth.requests, [])

    @apus_only
    def test_mail_without_a_login_is_refused(self):
        self.arrange()
        wire = self.client()
        wire.says("MAIL FROM:<a@b>", "NOOP")
        wire.hears("530 5.7.1 Authentication required", SUCCESS)
        self.proxy.wait_log(
            r'\[info\] .* client was rejected: "MAIL FROM:<a@b>\S*" while in auth state, client: 127\.0\.0\.1, server: ')

    def test_capabilities(self):
        for settings, lines in (
            ("", ["250-mail.example.com", "250 AUTH PLAIN LOGIN"]),
            ("smtp_auth none;", ["250 mail.example.com"]),
            ('smtp_capabilities "SIZE 10485760" 8BITMIME; smtp_auth external cram-md5 plain;',
             ["250-mail.example.com", "250-SIZE 10485760", "250-8BITMIME", "250 AUTH PLAIN CRAM-MD5 EXTERNAL"]),
            ("smtp_auth none; smtp_capabilities DSN;", ["250-mail.example.com", "250 DSN"]),
        ):
            with self.subTest(settings):
                self.arrange(settings)
                wire = self.client()
                wire.says("EHLO x")
                wire.hears(*lines)
                wire.closes()


@both_users
class Auth(SMTPTest):

    def test_every_mechanism(self):
        self.arrange("smtp_auth plain login external;")
        self.proxy.keep_secret("wonderland")
        for method, lines in (
            ("plain", [(PLAIN, None)]),
            ("plain", [("AUTH PLAIN", "334 "), (plain("bob", "wonderland"), None)]),
            ("plain", [("AUTH LOGIN", "334 VXNlcm5hbWU6"), (b64("bob"), "334 UGFzc3dvcmQ6"), (b64("wonderland"), None)]),
            ("plain", [("AUTH LOGIN " + b64("bob"), "334 UGFzc3dvcmQ6"), (b64("wonderland"), None)]),
            ("external", [("AUTH EXTERNAL", "334 VXNlcm5hbWU6"), (b64("bob"), None)]),
            ("external", [("AUTH EXTERNAL " + b64("bob"), None)]),
        ):
            for way in ("whole", "bytes", "glued"):
                with self.subTest(lines, way=way):
                    wire = self.client()
                    wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    if way == "glued":
                        wire.sends("".join(line + "\r\n" for line, _ in lines))
                    for line, answer in lines:
                        if way == "whole":
                            wire.says(line)
                        elif way == "bytes":
                            for character in line + "\r\n":
                                wire.sends(character)
                        wire.hears(answer or ACCEPTED)
                    request = self.auth.requests[-1]
                    self.assertEqual(request.header("Auth-Method"), method)
                    self.assertEqual(request.header("Auth-User"), "bob")
                    self.assertEqual(request.header("Auth-Pass"), "wonderland" if method == "plain" else "")
                    self.assertEqual(request.header("Auth-Protocol"), "smtp")
                    self.assertEqual(request.header("Client-Host"), "[UNAVAILABLE]")
                    self.assertIsNone(request.header("Auth-SMTP-Helo"))
                    wire.closes()

    def test_cram_md5_once_more_after_a_refusal(self):
        self.arrange("smtp_auth cram-md5;", "proxy_smtp_auth on; xclient off;")
        self.auth.answers = [refuse("no", Auth_Wait=1), accept(self.backend.port, Auth_Pass="wonderland")]
        wire = self.client()
        salts = []
        for digest_key, answer in (("wrong", "535 5.7.0 no"), ("wonderland", ACCEPTED)):
            wire.says("AUTH CRAM-MD5")
            salt = base64.b64decode(wire.hears_match(r"334 (\S+)")[1])
            digest = hmac.new(digest_key.encode(), salt, hashlib.md5).hexdigest()
            wire.says(b64(f"bob {digest}"))
            wire.hears(answer)
            self.assertEqual(self.auth.requests[-1].header("Auth-Pass"), digest)
            self.assertEqual(self.auth.requests[-1].header("Auth-Salt"), salt.decode())
            salts.append(salt)
        self.assertEqual(salts[0], salts[1])
        self.assertEqual(self.backend.heard[0][-1], PLAIN)

    def test_refusals(self):
        self.arrange(answer=[refuse("bad"), refuse("later", Auth_Error_Code="454 4.7.0"),
                             refuse("wait", Auth_Wait=1, Auth_Error_Code="454 4.7.1"), refuse("end")])
        for answers in (["535 5.7.0 bad"], ["454 4.7.0 later"], ["454 4.7.1 wait", "535 5.7.0 end"]):
            wire = self.client()
            for answer in answers:
                wire.says(PLAIN)
                wire.hears(answer)
            wire.hears_end()

    @apus_only
    def test_an_empty_status_refuses(self):
        self.arrange()
        self.auth.answers = [accept(self.backend.port).replace(b"Auth-Status: OK", b"Auth-Status:")]
        wire = self.client()
        wire.says(PLAIN)
        wire.hears("535 5.7.0 ")
        wire.hears_end()
        self.assertEqual(self.backend.heard, [])

    def test_malformed_responses(self):
        self.arrange("max_errors 1;")
        wire = self.client()
        for lines in (["AUTH PLAIN *"], ["AUTH PLAIN", "*"], ["AUTH LOGIN", "!"], ["AUTH PLAIN x y"]):
            wire.says(*lines)
            wire.hears(*(["334 "] if lines[0] == "AUTH PLAIN" else ["334 VXNlcm5hbWU6"] if len(lines) > 1 else []),
                       INVALID)
        self.proxy.wait_log("client sent invalid base64 encoding in AUTH PLAIN command", count=2)

    @apus_only
    def test_strict(self):
        self.arrange("smtp_auth login; auth_strict on;")
        wire = self.client()
        wire.says(PLAIN, "AUTH LOGIN")
        wire.hears(INVALID, "334 VXNlcm5hbWU6")

    def test_no_password_for_the_server_behind(self):
        self.arrange("smtp_auth external; proxy_smtp_auth on; xclient off;")
        wire = self.client()
        wire.says("AUTH EXTERNAL " + b64("bob"))
        wire.hears("451 4.3.2 Internal server error")
        wire.hears_end()
        self.proxy.wait_log(r"\[error\] .*no password available while ")


@both_users
class Upstream(SMTPTest):
    """The dialog with the server behind."""

    def test_every_combination(self):
        for xclient in ("on", "off"):
            for auth in ("on", "off"):
                self.arrange(f"xclient {xclient}; proxy_smtp_auth {auth};")
                for helo in ("EHLO", "HELO", None):
                    with self.subTest(xclient=xclient, auth=auth, helo=helo):
                        wire = self.client()
                        if helo:
                            wire.says(f"{helo} me.example")
                            wire.hears(*["250-mail.example.com", "250 AUTH PLAIN LOGIN"] if helo == "EHLO"
                                       else ["250 mail.example.com"])
                        wire.says(PLAIN)
                        wire.hears(ACCEPTED)
                        wire.says("NOOP relayed")
                        wire.hears("250 ok")
                        word = "EHLO" if helo == "EHLO" or xclient == "on" else "HELO"
                        awaited = [f"{word} mail.example.com"]
                        if xclient == "on":
                            login = "" if auth == "on" else " LOGIN=bob"
                            awaited.append(f"XCLIENT ADDR=127.0.0.1{login} NAME=[UNAVAILABLE]")
                            if helo:
                                awaited.append(f"{helo} me.example")
                        if auth == "on":
                            awaited.append(PLAIN)
                        self.assertEqual(self.backend.heard[-1], awaited + ["NOOP relayed"])
                        wire.closes()

    def test_several_lines_are_awaited(self):
        self.arrange(backend=SMTPBackend({"EHLO": "250-a\r\n250-b\r\n250 c"}, greeting="220-hello\r\n220 there"))
        wire = self.client()
        wire.says("EHLO me", PLAIN)
        wire.hears("250-mail.example.com", "250 AUTH PLAIN LOGIN", ACCEPTED)
        self.assertEqual(len(self.backend.heard[0]), 3)

    @apus_only  # newer than Debian's nginx
    def test_the_login_is_written_as_xtext(self):
        self.arrange(answer=lambda request: accept(self.backend.port))
        wire = self.client()
        wire.says("AUTH PLAIN " + plain("a b+c=d\xe9", "wonderland"))
        wire.hears(ACCEPTED)
        self.assertEqual(self.backend.heard[0][1], "XCLIENT ADDR=127.0.0.1 LOGIN=a+20b+2Bc+3Dd+E9 NAME=[UNAVAILABLE]")

    def test_a_unix_client(self):
        self.arrange(listen="127.0.0.1:@smtp@; listen unix:@dir@/s")
        wire = self.connect(str(self.proxy.dir / "s"))
        wire.hears(GREETING)
        wire.says(PLAIN)
        wire.hears(ACCEPTED)
        self.assertEqual(self.auth.requests[-1].header("Client-IP"), "unix:")
        address = "unix:" if REFERENCE else "[UNAVAILABLE]"
        self.assertEqual(self.backend.heard[0][1], f"XCLIENT ADDR={address} LOGIN=bob NAME=[UNAVAILABLE]")

    def test_refusals(self):
        for passes in ("off", "on"):
            for replies, answer in (
                ({"EHLO": "550-no\r\n550 never"}, ["550-no", "550 never"]),
                ({"XCLIENT": "550 no"}, ["550 no"]),
                ({"AUTH": "535 no"}, ["535 no"]),
            ):
                with self.subTest(passes=passes, replies=replies):
                    self.arrange(f"proxy_smtp_auth on; proxy_pass_error_message {passes};",
                                 backend=SMTPBackend(replies))
                    wire = self.client()
                    wire.says(PLAIN)
                    wire.hears(*(answer if passes == "on" else ["451 4.3.2 Internal server error"]))
                    wire.hears_end()
                    self.proxy.wait_log("upstream sent invalid response: ")

    @apus_only
    def test_no_password_that_it_repeats_is_in_the_log(self):
        self.arrange("proxy_smtp_auth on;", backend=SMTPBackend({"AUTH": "500 unknown: @line@"}))
        wire = self.client()
        wire.says(PLAIN)
        wire.hears("451 4.3.2 Internal server error")
        wire.hears_end()
        self.proxy.wait_log('upstream sent invalid response: "500 unknown: AUTH PLAIN ..."')

    def test_bytes_behind_the_login_are_relayed(self):
        self.arrange("smtp_auth plain;", "xclient off;")
        wire = self.client()
        wire.sends(f"EHLO me\r\n{PLAIN}\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n")
        wire.hears("250-mail.example.com", "250 AUTH PLAIN", ACCEPTED, "250 ok", "250 ok", "354 go on")
        wire.sends(b"x\n.\n\r\n.\n\r.\r\r\n.\r\n")
        wire.hears("250 taken")
        self.assertEqual(self.backend.messages, [b"x\n.\n\r\n.\n\r.\r\r\n.\r\n"])

    def test_smtplib(self):
        self.arrange()
        with smtplib.SMTP("127.0.0.1", self.proxy.ports["smtp"], timeout=10) as session:
            session.login("bob", "wonderland")
            session.sendmail("a@b", ["c@d", "e@f"], "Subject: x\r\n\r\ntext\r\n")
        self.assertEqual(self.backend.messages, [b"Subject: x\r\n\r\ntext\r\n.\r\n"])


class WithoutLogin(SMTPTest):
    """`smtp_auth none`: in front of servers that receive mail."""

    def test_the_envelope_reaches_the_service_and_the_server(self):
        self.arrange("smtp_auth none; xclient off;", backend=SMTPBackend({"RCPT": "550-no\r\n550 such"}))
        wire = self.client()
        wire.says("EHLO me", "MAIL FROM:<a@b> SIZE=1  ", "rcpt to:<c@d>", "RCPT TO:<e@f>")
        wire.hears("250 mail.example.com", SUCCESS, "550-no", "550 such", "550-no", "550 such")
        request = self.auth.requests[0]
        self.assertEqual([(name, value) for name, value in request.headers if not name.startswith(("Host", "Conn"))], [
            ("Auth-Method", "none"), ("Auth-User", ""), ("Auth-Pass", ""), ("Auth-Protocol", "smtp"),
            ("Auth-Login-Attempt", "1"), ("Client-IP", "127.0.0.1"), ("Client-Host", "[UNAVAILABLE]"),
            ("Auth-SMTP-Helo", "me"), ("Auth-SMTP-From", "MAIL FROM:<a@b> SIZE=1"), ("Auth-SMTP-To", "rcpt to:<c@d>")])
        self.assertEqual(self.backend.heard[0],
                         ["EHLO mail.example.com", "MAIL FROM:<a@b> SIZE=1", "rcpt to:<c@d>", "RCPT TO:<e@f>"])

    def test_another_recipient_after_a_refusal(self):
        self.arrange("smtp_auth none;")
        self.auth.answers = [refuse("not here", Auth_Wait=1, Auth_Error_Code="550 5.1.1"),
                             accept(self.backend.port, Auth_User="relay")]
        wire = self.client()
        wire.says("MAIL FROM:<a>", "RCPT TO:<b>", "RCPT TO:<c>")
        wire.hears(SUCCESS, "550 5.1.1 not here", "250 ok")
        self.assertEqual(self.auth.requests[1].header("Auth-Login-Attempt"), "2")
        self.assertEqual(self.backend.heard[0],
                         ["EHLO mail.example.com", "XCLIENT ADDR=127.0.0.1 LOGIN=relay NAME=[UNAVAILABLE]",
                          "MAIL FROM:<a>", "RCPT TO:<c>"])

    @apus_only  # newer than Debian's nginx
    def test_nothing_is_left_of_a_failed_login(self):
        self.arrange("smtp_auth none;")
        wire = self.client()
        wire.says("AUTH LOGIN " + b64("bob"), "!", "MAIL FROM:<a>", "RCPT TO:<b>")
        wire.hears("334 UGFzc3dvcmQ6", INVALID, SUCCESS, "250 ok")
        self.assertEqual(self.auth.requests[0].header("Auth-User"), "")
        self.assertEqual(self.auth.requests[0].header("Auth-Pass"), "")

    def test_split_at_every_byte(self):
        self.arrange("smtp_auth none; xclient off;")
        session = "EHLO me\r\nBOGUS\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nNOOP\r\n"
        for end in range(1, len(session)):
            wire = self.client()
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.sends(session[:end])
            wire.sends(session[end:])
            wire.hears("250 mail.example.com", INVALID, SUCCESS, "250 ok", "250 ok")
            wire.closes()


class GreetingDelay(SMTPTest):

    def test_who_speaks_too_early_is_refused(self):
        self.arrange("smtp_greeting_delay 5s;")
        wire = self.client(greeting=None)
        wire.sends("EHLO x\r\nMAIL FROM:<a>\r\n")
        wire.hears("503 5.5.0 Improper use of SMTP command pipelining")
        wire.hears_end()
        self.proxy.wait_log(
            r'\[info\] .*client was rejected before greeting: "EHLO x__MAIL FROM:<a>__" '
            r"while in delay pipelining state, client: 127\.0\.0\.1, server: ")

    @apus_only
    def test_no_password_is_logged(self):
        self.arrange("smtp_greeting_delay 5s;")
        self.proxy.keep_secret("wonderland")
        wire = self.client(greeting=None)
        wire.says(PLAIN)
        wire.hears("503 5.5.0 Improper use of SMTP command pipelining")
        self.proxy.wait_log(r'before greeting: "AUTH PLAIN \.\.\."')

    def test_who_waits_is_greeted(self):
        self.arrange("smtp_greeting_delay 200ms;")
        wire = self.client(greeting=None)
        wire.hears_nothing(0.1)
        wire.hears(GREETING)
        wire.says("NOOP")
        wire.hears(SUCCESS)

    def test_who_leaves_is_forgotten(self):
        self.arrange("smtp_greeting_delay 300ms;")
        self.client(greeting=None).closes()
        wire = self.client()
        self.assertEqual(self.proxy.lines("rejected"), [])
        wire.closes()


class STARTTLS(SMTPTest):

    def secure(self, settings="", **options):
        certificate, key = self.dir / "server.pem", self.dir / "server.key"
        self_signed(certificate, key, "mail.example.com")
        self.context = client_context()
        self.arrange(f"ssl_certificate {certificate}; ssl_certificate_key {key}; {settings}", **options)

    def test_what_was_said_in_clear_is_forgotten(self):
        self.secure("starttls on; smtp_auth none plain; xclient on;")
        wire = self.client()
        wire.says("EHLO me", "MAIL FROM:<a>", "STARTTLS")
        wire.hears("250-mail.example.com", "250-AUTH PLAIN", "250 STARTTLS", SUCCESS, "220 2.0.0 Start TLS")
        wire.starts_tls(self.context, "mail.example.com")
        wire.says("RCPT TO:<b>", "STARTTLS", PLAIN)
        wire.hears(SEQUENCE, INVALID, ACCEPTED)
        # No name, so that the server hears no second EHLO.
        self.assertEqual(len(self.backend.heard[0]), 2)
        self.assertEqual(self.auth.requests[0].header("Auth-SSL"), "on")

    def test_bytes_behind_it_are_discarded(self):
        self.secure("starttls on;")
        wire = self.client()
        wire.sends(f"STARTTLS\r\nNOOP\r\n{PLAIN}\r\n")
        wire.hears("220 2.0.0 Start TLS")
        wire.starts_tls(self.context, "mail.example.com")
        wire.hears_nothing()
        wire.says("EHLO x")
        wire.hears("250-mail.example.com", "250 AUTH PLAIN LOGIN")
        self.assertEqual(self.auth.requests, [])

    def test_only(self):
        self.secure("starttls only;")
        wire = self.client()
        wire.says("EHLO x", PLAIN, "AUTH")
        wire.hears("250-mail.example.com", "250 STARTTLS", INVALID, INVALID)
        wire.says("STARTTLS")
        wire.hears("220 2.0.0 Start TLS")
        wire.starts_tls(self.context, "mail.example.com")
        wire.says(PLAIN)
        wire.hears(ACCEPTED)

    def test_tls_at_connect_with_a_delay(self):
        self.secure("smtp_greeting_delay 100ms;", listen="127.0.0.1:@smtp@ ssl")
        wire = self.client(tls=self.context, name="mail.example.com")
        wire.says("STARTTLS", PLAIN)
        wire.hears(INVALID, ACCEPTED)
        early = self.connect(self.proxy.ports["smtp"], tls=self.context, name="mail.example.com")
        early.says("EHLO x")
        early.hears("503 5.5.0 Improper use of SMTP command pipelining")
        early.hears_end()
