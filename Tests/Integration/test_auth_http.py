"""The auth_http contract: the request byte by byte, every answer, and what happens when the service misbehaves."""

import base64
import re
import socket
import threading
import time

from certs import Authority, client_context
from harness import REFERENCE, apus_only, as_bytes, b64, plain, wait_until
from imap import IMAPTest
from scripted import AuthService, Backend, accept, hold, http, refuse

ERROR = "* BAD internal server error"
# Decision 11: nginx sends no such header. `auth_http_keepalive 0` leaves it out.
LAST = b"" if REFERENCE else b"Connection: keep-alive\r\n"


class Requests(IMAPTest):
    """What the service is asked, to the byte."""

    def request(self, *lines, settings="", **options):
        self.arrange(settings, **options)
        wire = self.client()
        for line in lines:
            wire.says(line)
        return self.auth.wait_request().data

    def test_login(self):
        self.assertEqual(
            self.request("a LOGIN bob wonderland"),
            b"GET /auth HTTP/1.0\r\n"
            b"Host: 127.0.0.1\r\n"
            b"Auth-Method: plain\r\n"
            b"Auth-User: bob\r\n"
            b"Auth-Pass: wonderland\r\n"
            b"Auth-Protocol: imap\r\n"
            b"Auth-Login-Attempt: 1\r\n"
            b"Client-IP: 127.0.0.1\r\n" + LAST + b"\r\n")

    @apus_only
    def test_without_keepalive_it_is_nginx_to_the_byte(self):
        self.assertEqual(
            self.request("a LOGIN bob wonderland", settings="auth_http_keepalive 0;"),
            b"GET /auth HTTP/1.0\r\nHost: 127.0.0.1\r\nAuth-Method: plain\r\nAuth-User: bob\r\nAuth-Pass: wonderland\r\n"
            b"Auth-Protocol: imap\r\nAuth-Login-Attempt: 1\r\nClient-IP: 127.0.0.1\r\n\r\n")

    def test_external_with_configured_headers(self):
        self.assertEqual(
            self.request("a AUTHENTICATE EXTERNAL", b64("bob"), settings='imap_auth external; auth_http_header X-Key '
                         '"secret %20 verbatim"; auth_http_header X-Site one;'),
            b"GET /auth HTTP/1.0\r\n"
            b"Host: 127.0.0.1\r\n"
            b"Auth-Method: external\r\n"
            b"Auth-User: bob\r\n"
            b"Auth-Pass: \r\n"
            b"Auth-Protocol: imap\r\n"
            b"Auth-Login-Attempt: 1\r\n"
            b"Client-IP: 127.0.0.1\r\n"
            b"X-Key: secret %20 verbatim\r\n"
            b"X-Site: one\r\n" + LAST + b"\r\n")

    def test_cram_md5_sends_the_salt(self):
        self.arrange("imap_auth cram-md5;")
        wire = self.client()
        wire.says("a AUTHENTICATE CRAM-MD5")
        salt = base64.b64decode(wire.hears_line()[2:])
        digest = b"0123456789abcdef0123456789abcdef"
        wire.says(b64(b"bob " + digest))
        self.assertEqual(
            self.auth.wait_request().data,
            b"GET /auth HTTP/1.0\r\nHost: 127.0.0.1\r\nAuth-Method: cram-md5\r\nAuth-User: bob\r\n"
            b"Auth-Pass: " + digest + b"\r\nAuth-Salt: " + salt + b"\r\n"
            b"Auth-Protocol: imap\r\nAuth-Login-Attempt: 1\r\nClient-IP: 127.0.0.1\r\n" + LAST + b"\r\n")

    def test_escaping(self):
        self.arrange()
        wire = self.client()
        wire.sends(b'a LOGIN "b o%b\x7f\xe9+&" {12+}\r\npa ss% w\xc3\xb6rd\r\n')
        data = self.auth.wait_request().data
        self.assertIn(b"\r\nAuth-User: b%20o%25b\x7f\xe9+&\r\n", data)
        self.assertIn(b"\r\nAuth-Pass: pa%20ss%25%20w\xc3\xb6rd\r\n", data)

    def test_control_bytes_are_escaped(self):
        # LOGIN may carry them in literals; they must not end a header line.
        self.arrange()
        wire = self.client()
        wire.sends(b"a LOGIN {14+}\r\nbob\r\nX-Evil: 1 {10+}\r\np\x00\x01\x1f\tss\nwd\r\n")
        if REFERENCE:
            data = self.auth.wait_request().data
            self.assertIn(b"\r\nAuth-User: bob%0D%0AX-Evil:%201\r\n", data)
            self.assertIn(b"\r\nAuth-Pass: p%00%01%1F%09ss%0Awd\r\n", data)
        else:
            # Refused before anything leaves, or escaped: in no case a header of its own.
            answer = wire.hears_line()
            self.assertRegex(answer, r"^(a BAD invalid command|a OK Logged in|\* BAD internal server error)$")
            for request in self.auth.requests:
                self.assertNotIn(b"\r\nX-Evil", request.data)
                self.assertRegex(request.data, rb"\r\nAuth-User: bob%0D%0AX-Evil:%201\r\n")

    def test_over_tls(self):
        authority = Authority(self.dir)
        certificate, key = authority.issue("mail.example.com")
        self.arrange(f"ssl_certificate {certificate}; ssl_certificate_key {key};", listen="ssl")
        wire = self.client(tls=client_context())
        wire.says("a LOGIN bob wonderland")
        request = self.auth.wait_request()
        self.assertEqual(
            request.headers[7:10],
            [("Auth-SSL", "on"), ("Auth-SSL-Protocol", wire.sock.version()), ("Auth-SSL-Cipher", wire.sock.cipher()[0])])

    def test_the_attempt_counts(self):
        self.arrange("imap_auth plain login;", answer=refuse("No", Auth_Wait=1))
        wire = self.client()
        wire.says("a LOGIN bob wonderland", "b AUTHENTICATE PLAIN " + plain("bob", "wonderland"))
        wire.hears("a NO No", "b NO No")
        self.assertEqual([request.header("Auth-Login-Attempt") for request in self.auth.requests], ["1", "2"])

    def test_forms_of_auth_http(self):
        service = self.serve(AuthService(refuse("No")))
        at = service.port
        for url, uri, host in (
            (f"127.0.0.1:{at}", "/", "127.0.0.1"),
            (f"127.0.0.1:{at}/", "/", "127.0.0.1"),
            (f"http://127.0.0.1:{at}/a/b.cgi?x=1&y=2", "/a/b.cgi?x=1&y=2", "127.0.0.1"),
            (f"localhost:{at}/auth", "/auth", "localhost"),
        ):
            with self.subTest(url):
                proxy = self.start(f"mail {{ auth_http {url}; server {{ listen 127.0.0.1:@imap@; protocol imap; }} }}")
                before = len(service.requests)
                wire = self.connect(proxy.ports["imap"])
                wire.says("a LOGIN bob wonderland")
                request = service.wait_request(before + 1)
                self.assertEqual(request.line, f"GET {uri} HTTP/1.0")
                self.assertEqual(request.header("Host"), host)
                wire.closes()
                proxy.stop()

    def test_over_a_unix_socket(self):
        path = self.dir / "auth.sock"
        service = self.serve(AuthService(refuse("No"), path=path))
        proxy = self.start(
            f"mail {{ auth_http unix:{path}:/auth?u; server {{ listen 127.0.0.1:@imap@; protocol imap; }} }}")
        wire = self.connect(proxy.ports["imap"])
        wire.says("a LOGIN bob wonderland")
        request = service.wait_request()
        self.assertEqual((request.line, request.header("Host")), ("GET /auth?u HTTP/1.0", "localhost"))

    def test_over_ipv6_and_for_an_ipv6_client(self):
        service = self.serve(AuthService(refuse("No"), host="::1"))
        proxy = self.start(
            f"mail {{ auth_http [::1]:{service.port}/; server {{ listen [::1]:@imap@; protocol imap; }} }}")
        wire = self.connect(proxy.ports["imap"], host="::1")
        wire.says("a LOGIN bob wonderland")
        request = service.wait_request()
        self.assertEqual((request.header("Host"), request.header("Client-IP")), ("[::1]", "::1"))
        proxy.wait_log(rf"login failed: \"No\" while in http auth state, client: ::1, server: \[::1\]:{proxy.ports['imap']}, "
                       "login: \"bob\"$")

    def test_for_a_client_on_a_unix_socket(self):
        service = self.serve(AuthService(refuse("No")))
        proxy = self.start(
            f"mail {{ auth_http 127.0.0.1:{service.port}/; server {{ listen unix:@dir@/imap.sock; protocol imap; }} }}")
        wire = self.connect(str(self.dir / "imap.sock"))
        wire.says("a LOGIN bob wonderland")
        self.assertEqual(service.wait_request().header("Client-IP"), "unix:")
        proxy.wait_log(r"client unix: connected to unix:.*imap\.sock$")
        proxy.wait_log(r", client: unix:, server: unix:.*imap\.sock, login: \"bob\"$")

    def test_proxy_protocol_and_real_ip(self):
        for trusted, client in (("", "127.0.0.1"), ("set_real_ip_from 127.0.0.0/8;", "192.0.2.7")):
            with self.subTest(trusted):
                service = self.serve(AuthService(refuse("No")))
                proxy = self.start(
                    f"""
                    mail {{
                        auth_http 127.0.0.1:{service.port}/;
                        {trusted}
                        server {{ listen 127.0.0.1:@imap@ proxy_protocol; protocol imap; }}
                    }}""")
                wire = self.connect(proxy.ports["imap"])
                wire.sends("PROXY TCP4 192.0.2.7 198.51.100.1 4711 143\r\n")
                wire.hears("* OK IMAP4 ready")
                wire.says("a LOGIN bob wonderland")
                request = service.wait_request()
                self.assertEqual(request.header("Client-IP"), client)
                self.assertEqual(
                    [value for name, value in request.headers if name.startswith("Proxy-Protocol")],
                    ["192.0.2.7", "4711", "198.51.100.1", "143"])
                proxy.stop()


class Answers(IMAPTest):
    """Each answer the service may give, and what the client and the log make of it."""

    def answered(self, answer, settings="", **options):
        self.arrange(settings, answer=answer, **options)
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        return wire

    def accepted(self, answer):
        """`answer` is a function of the backend's port."""
        backend = Backend()
        wire = self.answered(lambda _: answer(backend.port), backend=backend)
        wire.hears("a OK Logged in")
        return backend.logins[0]

    def internal_error(self, answer, message=None, level="error", **options):
        wire = self.answered(answer, **options)
        wire.hears(ERROR)
        wire.hears_end()
        where = (rf" while in http auth state, client: 127\.0\.0\.1, server: 127\.0\.0\.1:{self.proxy.ports['imap']}, "
                 'login: "bob"')
        if message:
            message = message.replace("AUTH", re.escape(f"127.0.0.1:{self.auth.port}"))
            self.proxy.wait_log(rf"\[{level}\] \d+#\d+: \*1 {message}{where}")
        errors = self.proxy.lines(r"\[(warn|error|crit|alert|emerg)\]")
        self.assertLessEqual(len(errors), 1, errors)
        self.assertEqual(len(self.backend.connections), 0)
        self.serves_others()

    # acceptance

    def test_accepted_in_every_form(self):
        forms = {
            "HTTP/1.0": lambda port: accept(port),
            "HTTP/1.1 with a body": lambda port: http(
                version="1.1", Content_Length=5, Content_Type="text/html", Auth_Status="OK", Auth_Server="127.0.0.1",
                Auth_Port=port, body=b"hello"),
            "204": lambda port: http("204 No Content", version="1.1", Auth_Status="OK", Auth_Server="127.0.0.1",
                                     Auth_Port=port),
            "LF only": lambda port: as_bytes(
                f"HTTP/1.0 200 OK\nAuth-Status: OK\nAuth-Server: 127.0.0.1\nAuth-Port: {port}\n\n"),
            "lower case, any order, spaces": lambda port: as_bytes(
                f"HTTP/1.0 200 OK\r\nauth-port:   {port}  \r\nX-Other: y\r\nAUTH-SERVER:127.0.0.1\r\n"
                "auth-status:    OK   \r\n\r\n"),
            "no status line": lambda port: as_bytes(
                f"Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {port}\r\n\r\n"),
            "a name without a colon": lambda port: as_bytes(
                f"HTTP/1.0 200 OK\r\nX-Flag\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {port}\r\n\r\n"),
            "the last of repeated headers": lambda port: as_bytes(
                "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.9\r\nAuth-Port: 1\r\n"
                f"Auth-Server: 127.0.0.1\r\nAuth-Port: {port}\r\n\r\n"),
            "leading zeros in the address": lambda port: accept(port, address="127.000.0.01"),
            "error code and wait, which mean nothing here": lambda port: accept(port, Auth_Error_Code="535 x"),
        }
        for name, form in forms.items():
            with self.subTest(name):
                self.assertEqual(self.accepted(form), ("bob", "wonderland"))
                self.proxy.stop()

    def test_user_and_password_are_replaced(self):
        self.assertEqual(
            self.accepted(lambda port: accept(port, Auth_User="robert", Auth_Pass="curious")), ("robert", "curious"))
        self.proxy.keep_secret("curious")
        self.proxy.wait_log(r'client logged in, client: 127\.0\.0\.1, server: [0-9.:]+, login: "robert", upstream: ')

    def test_an_empty_password_counts(self):
        self.assertEqual(self.accepted(lambda port: accept(port, Auth_Pass="")), ("bob", ""))

    def test_values_are_not_unescaped(self):
        self.assertEqual(self.accepted(lambda port: accept(port, Auth_User="a%20b")), ("a%20b", "wonderland"))

    def test_the_answer_in_pieces_of_one_byte(self):
        backend = Backend()

        def trickle(request):
            for byte in accept(backend.port):
                request.connection.sock.sendall(bytes([byte]))
            return b""

        wire = self.answered(trickle, backend=backend)
        wire.hears("a OK Logged in")

    def test_the_connection_may_stay_open_behind_the_answer(self):
        backend = Backend()

        def linger(request):
            request.connection.sends(accept(backend.port))
            return hold

        wire = self.answered(linger, backend=backend)
        wire.hears("a OK Logged in")

    @apus_only
    def test_16_kib_of_headers_are_read(self):
        padding = {f"X_Padding_{number}": "p" * 1000 for number in range(15)}
        self.assertEqual(self.accepted(lambda port: accept(port, **padding)), ("bob", "wonderland"))

    @apus_only
    def test_an_ipv6_backend(self):
        backend = Backend(host="::1")
        wire = self.answered(lambda _: accept(backend.port, address="::1"), backend=backend)
        wire.hears("a OK Logged in")
        self.proxy.wait_log(rf"client logged in, .*, upstream: ::1:{backend.port}$")

    # refusal

    def test_a_refusal_is_not_undone_by_a_later_ok(self):
        wire = self.answered(b"HTTP/1.0 200 OK\r\nAuth-Status: No such user\r\nAuth-Status: OK\r\n"
                             b"Auth-Server: 127.0.0.1\r\nAuth-Port: 1\r\n\r\n")
        wire.hears("a NO No such user")
        wire.hears_end()

    def test_lower_case_ok_is_a_refusal(self):
        wire = self.answered(http(Auth_Status="ok", Auth_Server="127.0.0.1", Auth_Port=1))
        wire.hears("a NO ok")

    def test_a_refusal_replaces_the_login_in_the_log(self):
        wire = self.answered(http(Auth_Status="Blocked", Auth_User="robert"))
        wire.hears("a NO Blocked")
        self.proxy.wait_log(r'client login failed: "Blocked" while in http auth state, .*, login: "robert"$')

    def test_8_bit_and_long_texts(self):
        text = "Zugang gesperrt: \xfc" + "x" * 400
        wire = self.answered(refuse(text))
        wire.hears("a NO " + text)

    @apus_only
    def test_a_refusal_with_another_status_is_honoured(self):
        for status in ("401 Unauthorized", "403 Forbidden", "500 Oops"):
            with self.subTest(status):
                wire = self.answered(http(status, Auth_Status="Denied"))
                wire.hears("a NO Denied")
                wire.hears_end()
                self.proxy.stop()

    # internal errors

    @apus_only
    def test_no_status_is_an_error(self):
        self.internal_error(http(Auth_Server="127.0.0.1", Auth_Port=1), r"auth http server AUTH [^,]*Auth-Status[^,]*")

    @apus_only
    def test_other_than_2xx_never_accepts(self):
        for status in ("500 Internal Server Error", "302 Found", "404 Not Found", "401 Unauthorized", "100 Continue",
                       "abc", "99999999999999999999 OK", ""):
            with self.subTest(status):
                backend = Backend()
                self.internal_error(
                    lambda _, status=status, backend=backend: http(
                        status, Auth_Status="OK", Auth_Server="127.0.0.1", Auth_Port=backend.port),
                    r"auth http server AUTH [^,]*", backend=backend)
                self.proxy.stop()

    def test_no_server_or_port(self):
        for answer in (http(Auth_Status="OK"), http(Auth_Status="OK", Auth_Server="127.0.0.1"),
                       http(Auth_Status="OK", Auth_Port="143"),
                       http(Auth_Status="OK", Auth_Server="", Auth_Port="143"),
                       http(Auth_Status="OK", Auth_Server="127.0.0.1", Auth_Port="")):
            with self.subTest(answer):
                self.internal_error(answer, "auth http server AUTH did not send server or port")
                self.proxy.stop()

    def test_bad_addresses(self):
        for address in ("256.0.0.1", "127.0.0", "localhost.invalid", "unix:/tmp/x", "[::1]", "127.0.0.1:143", "::g",
                        "1:2:3:4:5:6:7:8:9", "127.0.0.1 "  + "x", "-"):
            with self.subTest(address):
                self.internal_error(
                    http(Auth_Status="OK", Auth_Server=address, Auth_Port=143),
                    r'auth http server AUTH sent invalid server address:"' + re.escape(address.strip()) + '"')
                self.proxy.stop()

    def test_bad_ports(self):
        for port in ("0", "65536", "-1", "143x", "imap", "99999999999999999999", "0x8f"):
            with self.subTest(port):
                self.internal_error(
                    http(Auth_Status="OK", Auth_Server="127.0.0.1", Auth_Port=port),
                    r'auth http server AUTH sent invalid server port:"' + re.escape(port) + '"')
                self.proxy.stop()

    def test_no_password_known(self):
        self.arrange("imap_auth external;")
        wire = self.client()
        wire.says("a AUTHENTICATE EXTERNAL " + b64("bob"))
        wire.hears(ERROR)
        wire.hears_end()
        self.proxy.wait_log(rf"\[error\] .*\*1 auth http server 127\.0\.0\.1:{self.auth.port} did not send password while in "
                            "http auth state, client: ")
        self.assertEqual(len(self.backend.connections), 0)

    def test_malformed_headers(self):
        for line in (b"Bad_Name: x", b"Auth-Status : OK", b" leading: x", b"-x: y", b"X: y\rz", b"(x): y",
                     b"X\0Y: z", b":"):
            with self.subTest(line):
                self.internal_error(
                    b"HTTP/1.0 200 OK\r\n" + line + b"\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: 1\r\n\r\n",
                    "auth http server AUTH sent invalid header in response")
                self.proxy.stop()

    def test_a_malformed_status_line(self):
        self.internal_error(b"HTTP/1.0 200\rOK\r\nAuth-Status: OK\r\n\r\n", "auth http server AUTH sent invalid response")

    @apus_only
    def test_control_bytes_in_any_field_are_refused(self):
        for header in (b"Auth-Status: No\x01such user", b"Auth-Status: N\0o", b"Auth-User: bob\x1b[2J",
                       b"Auth-Pass: won\x00derland", b"Auth-User: b\tob", b"Auth-Pass: x\x7f\x01y"):
            with self.subTest(header):
                self.internal_error(
                    lambda _, header=header: b"HTTP/1.0 200 OK\r\n" + (
                        b"" if header.startswith(b"Auth-Status") else b"Auth-Status: OK\r\n") + header
                    + b"\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: " + as_bytes(str(self.backend.port)) + b"\r\n\r\n",
                    r"auth http server AUTH [^\x00-\x1f]*")
                self.proxy.stop()


class Wait(IMAPTest):
    """`Auth-Status: WAIT`: ask again."""

    @apus_only
    def test_the_same_request_again_after_the_wait(self):
        backend = Backend()
        self.arrange(backend=backend, answer=[http(Auth_Status="WAIT", Auth_Wait=1), http(Auth_Status="WAIT", Auth_Wait=1),
                                              lambda _: accept(backend.port)])
        wire = self.client()
        begin = time.monotonic()
        wire.says("a LOGIN bob wonderland")
        wire.hears("a OK Logged in")
        self.assertGreaterEqual(time.monotonic() - begin, 1.8)
        self.assertEqual(len({request.data for request in self.auth.requests}), 1)
        self.assertEqual(len(self.auth.requests), 3)

    def test_then_a_refusal(self):
        self.arrange(answer=[http(Auth_Status="WAIT", Auth_Wait=1), refuse("No")])
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears("a NO No")
        wire.hears_end()

    @apus_only
    def test_without_auth_wait_there_is_a_pause_and_an_end(self):
        # nginx asks again at once, for ever.
        self.arrange("timeout 3s; auth_http_timeout 3s;", answer=http(Auth_Status="WAIT"))
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.sock.settimeout(60)
        answer = wire.hears_line()
        self.assertRegex(answer, r"^(\* BAD internal server error|a NO .*)$")
        wire.hears_end()
        self.assertLess(len(self.auth.requests), 100)

    @apus_only
    def test_waiting_for_ever_is_bounded(self):
        self.arrange("timeout 2s;", answer=http(Auth_Status="WAIT", Auth_Wait="999999999999"))
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        self.auth.wait_request()
        wire.closes()
        self.serves_others()


class Misbehaving(IMAPTest):
    """A service that is absent, silent, or talks nonsense: the client hears an internal error, one line says why."""

    def fails(self, answer, settings="", message=None, level="error"):
        Answers.internal_error(self, answer, message, level, settings=settings)

    answered = Answers.answered

    def test_absent(self):
        service = AuthService()
        self.auth = service
        service.vanish()
        self.backend = self.serve(Backend())
        self.run_proxy()
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears(ERROR)
        wire.hears_end()
        lines = self.proxy.wait_log(r"\[error\]")
        self.assertEqual(len(lines), 1)
        self.assertRegex(lines[0], rf"\[error\] \d+#\d+: \*1 (connect\(\) to 127\.0\.0\.1:{service.port} failed|recv\(\) failed|"
                                   rf"send\(\) failed) \(111: Connection refused\) while in http auth state, client: "
                                   rf"127\.0\.0\.1, server: 127\.0\.0\.1:\d+, login: \"bob\"$")
        self.serves_others()

    def test_silent(self):
        self.fails(hold, "auth_http_timeout 300ms;",
                   r"auth http server AUTH timed out \(110: Connection timed out\)")

    def test_half_an_answer_then_silence(self):
        def half(request):
            request.connection.sends(b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Ser")
            return hold

        self.fails(half, "auth_http_timeout 300ms;", r"auth http server AUTH timed out \(110: Connection timed out\)")

    def test_half_an_answer_then_the_end(self):
        # Even when what came would let the user in.
        # (Debian's nginx can miss an end that comes together with the bytes before it.)
        for half in (b"",) if REFERENCE else (b"", b"HTTP/1.0", b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: 143\r\n",
                     b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: 143"):
            with self.subTest(half):
                # nginx says nothing of it.
                self.fails(half, message=None if REFERENCE else "auth http server AUTH prematurely closed connection")
                self.proxy.stop()

    def test_a_trickle_does_not_extend_the_timeout(self):
        def trickle(request):
            with_end = threading.Event()
            end = time.monotonic() + 3
            request.connection.sends(b"HTTP/1.0 200 OK\r\n")
            while time.monotonic() < end and not with_end.wait(0.05):
                request.connection.sends(b"X-More: y\r\n")
            return None

        begin = time.monotonic()
        self.fails(trickle, "auth_http_timeout 400ms;", r"auth http server AUTH timed out \(110: Connection timed out\)")
        self.assertLess(time.monotonic() - begin, 2.5)

    def test_8_mib_of_header(self):
        from harness import resident_kib

        def flood(request):
            try:
                request.connection.sends(b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nX-Long: ")
                for _ in range(8 * 16):
                    request.connection.sock.sendall(b"x" * (1 << 16))
            except OSError:
                pass
            return None

        self.fails(flood)
        self.assertLess(resident_kib(self.proxy.workers()[0]), 64 << 10)

    def test_8_mib_of_many_headers(self):
        def flood(request):
            try:
                request.connection.sends(b"HTTP/1.0 200 OK\r\n")
                for number in range(8 * 16):
                    request.connection.sock.sendall(b"X-Line: y\r\n" * 6000)
            except OSError:
                pass
            return None

        self.fails(flood)

    def test_reset(self):
        def reset(request):
            request.connection.resets()
            return None

        self.fails(reset, message=r"recv\(\) failed \(104: Connection reset by peer\)")

    def test_garbage(self):
        self.fails(bytes(range(256)) * 8)

    def test_closing_before_the_request_is_read(self):
        self.backend = self.serve(Backend())

        class Slammer(AuthService):
            def serve(self, wire, script):
                wire.resets()

        self.auth = self.serve(Slammer())
        self.run_proxy()
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears(ERROR)
        wire.hears_end()
        self.serves_others()

    def test_a_client_that_leaves_while_the_service_thinks(self):
        self.arrange(answer=hold)
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        self.auth.wait_request()
        wire.resets()
        self.serves_others()


@apus_only
class KeptConnections(IMAPTest):
    """Decision 11: connections to the service are kept, and never carry one user's verdict to another."""

    def logs_in(self, user="bob", password="wonderland"):
        wire = self.client()
        self.proxy.keep_secret(password)
        wire.says(f"a LOGIN {user} {password}")
        wire.hears("a OK Logged in")
        wire.closes()

    def keeping(self, build, settings=""):
        """A service that leaves the choice to the proxy; `build` makes the answer from the backend's port."""
        backend = Backend()
        self.arrange(settings, backend=backend, answer=lambda _: build(backend.port), keep=True)

    def connections_after(self, logins):
        for number in range(logins):
            self.logs_in(f"user{number}", f"password{number}")
        self.assertEqual(len(self.auth.requests), logins)
        self.assertEqual([request.header("Auth-User") for request in self.auth.requests],
                         [f"user{number}" for number in range(logins)])
        self.assertEqual(self.backend.logins, [(f"user{number}", f"password{number}") for number in range(logins)])
        return len(self.auth.connections)

    def test_reused_when_the_answer_allows_it(self):
        forms = {
            "1.1 with length": lambda port: http(version="1.1", Content_Length=0, Auth_Status="OK",
                                                 Auth_Server="127.0.0.1", Auth_Port=port),
            "1.1 with a body that says so": lambda port: http(
                version="1.1", Connection="keep-alive", Content_Length=7, Auth_Status="OK",
                                                 Auth_Server="127.0.0.1", Auth_Port=port, body=b"welcome"),
            "1.0 keep-alive": lambda port: accept(port, Content_Length=0, Connection="keep-alive"),
            "1.1 204": lambda port: http("204 No Content", version="1.1", Connection="Keep-Alive", Auth_Status="OK", Auth_Server="127.0.0.1",
                                         Auth_Port=port),
        }
        for name, build in forms.items():
            with self.subTest(name):
                self.keeping(build)
                self.assertEqual(self.connections_after(5), 1)
                self.proxy.stop()

    def test_not_reused_otherwise(self):
        def ok(port, connection="keep-alive", **more):
            return http(version="1.1", Connection=connection, Auth_Status="OK", Auth_Server="127.0.0.1", Auth_Port=port, **more)

        forms = {
            "1.0 without a word": lambda port: accept(port, Content_Length=0),
            "1.1 close": lambda port: ok(port, "close", Content_Length=0),
            "no length": lambda port: ok(port),
            "chunked": lambda port: ok(port, Transfer_Encoding="chunked", body=b"0\r\n\r\n"),
            "chunked and length": lambda port: ok(port, Transfer_Encoding="chunked", Content_Length=5, body=b"0\r\n\r\n"),
            "two lengths": lambda port: as_bytes(
                "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\nContent-Length: 4\r\nAuth-Status: OK\r\n"
                f"Auth-Server: 127.0.0.1\r\nAuth-Port: {port}\r\n\r\nbody"),
            "bad length": lambda port: ok(port, Content_Length="-1"),
            "no number": lambda port: ok(port, Content_Length="zero"),
            "huge length": lambda port: ok(port, Content_Length="99999999999999999999999"),
            "left over": lambda port: ok(port, Content_Length=0, body=b"HTTP/1.1 200 OK\r\nAuth-Status: OK\r\n"),
            "no status line": lambda port: as_bytes(
                f"Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {port}\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
        }
        for name, build in forms.items():
            with self.subTest(name):
                self.keeping(build)
                self.assertEqual(self.connections_after(3), 3)
                self.proxy.stop()

    def test_keepalive_0_is_nginx(self):
        self.keeping(lambda port: http(version="1.1", Connection="keep-alive", Content_Length=0, Auth_Status="OK", Auth_Server="127.0.0.1",
                                       Auth_Port=port), "auth_http_keepalive 0;")
        self.assertEqual(self.connections_after(3), 3)
        self.assertNotIn(b"Connection:", self.auth.requests[0].data)

    def test_one_request_in_flight_each(self):
        # Two logins at once use two connections: nothing is pipelined.
        backend = Backend()
        gate = threading.Event()

        def slow(request):
            gate.wait(10)
            return http(version="1.1", Connection="keep-alive", Content_Length=0, Auth_Status="OK", Auth_Server="127.0.0.1",
                        Auth_Port=backend.port)

        self.arrange(backend=backend, answer=None, keep=True)
        service = self.auth

        # Answers are computed outside the lock here, so that two may wait at once.
        service.answers = [slow]
        one, two = self.client(), self.client()
        one.says("a LOGIN one wonderland")
        service.wait_request(1)
        two.says("b LOGIN two wonderland")
        service.wait_request(2)
        self.assertEqual(len(service.connections), 2)
        gate.set()
        one.hears("a OK Logged in")
        two.hears("b OK Logged in")

    def test_a_kept_connection_that_closed_is_replaced(self):
        backend = Backend()
        self.arrange(backend=backend, keep=True, answer=lambda request: http(
            version="1.1", Connection="keep-alive", Content_Length=0, Auth_Status="OK", Auth_Server="127.0.0.1", Auth_Port=backend.port))
        self.logs_in()
        self.auth.connections[0].sock.shutdown(socket.SHUT_RDWR)
        self.auth.connections[0].done.wait(5)
        self.logs_in()
        self.assertEqual(len(self.auth.connections), 2)
        self.assertEqual(self.proxy.lines(r"\[(error|crit|alert)\]"), [])

    def test_one_that_closes_before_the_first_byte_is_retried_once(self):
        backend = Backend()
        ok = lambda _: http(version="1.1", Connection="keep-alive", Content_Length=0, Auth_Status="OK", Auth_Server="127.0.0.1",  # noqa: E731
                            Auth_Port=backend.port)
        # The second request is answered by the end of the kept connection, its repetition by OK.
        self.arrange(backend=backend, keep=True, answer=[ok, None, ok])
        self.logs_in("one")
        self.logs_in("two")
        self.assertEqual([request.header("Auth-User") for request in self.auth.requests], ["one", "two", "two"])
        self.assertEqual(len(self.auth.connections), 2)

    def test_a_fresh_one_is_not_retried(self):
        self.arrange(keep=True, answer=[None, b""])
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears(ERROR)
        wire.hears_end()
        self.assertEqual(len(self.auth.requests), 1)

    def test_one_that_closes_within_the_answer_is_not_retried(self):
        backend = Backend()

        def half(request):
            request.connection.sends(b"HTTP/1.1 200 OK\r\nAuth-Sta")
            return None

        self.arrange(backend=backend, keep=True, answer=[
            lambda _: http(version="1.1", Connection="keep-alive", Content_Length=0, Auth_Status="OK", Auth_Server="127.0.0.1",
                           Auth_Port=backend.port), half])
        self.logs_in()
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears(ERROR)
        wire.hears_end()
        self.assertEqual(len(self.auth.requests), 2)

    def test_a_second_failure_is_not_retried_again(self):
        backend = Backend()
        self.arrange(backend=backend, keep=True, answer=[
            lambda _: http(version="1.1", Connection="keep-alive", Content_Length=0, Auth_Status="OK", Auth_Server="127.0.0.1",
                           Auth_Port=backend.port), None])
        self.logs_in()
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears(ERROR)
        wire.hears_end()
        self.assertEqual(len(self.auth.requests), 3)

    def test_bytes_on_an_idle_connection_close_it_and_are_no_ones_verdict(self):
        backend = Backend()
        ok = lambda _: http(version="1.1", Connection="keep-alive", Content_Length=0, Auth_Status="OK", Auth_Server="127.0.0.1",  # noqa: E731
                            Auth_Port=backend.port)
        self.arrange(backend=backend, keep=True, answer=[ok, refuse("Who are you?")])
        self.logs_in()
        # An answer nobody asked for, long after the first.
        first = self.auth.connections[0]
        first.sock.sendall(ok(None))
        first.done.wait(5)
        wire = self.client()
        wire.says("a LOGIN mallory wonderland")
        wire.hears("a NO Who are you?")
        self.assertEqual(len(self.auth.connections), 2)

    def test_a_kept_connection_does_not_keep_a_quitting_worker_alive(self):
        import signal
        backend = Backend()
        self.arrange(backend=backend, keep=True, answer=lambda _: http(
            version="1.1", Connection="keep-alive", Content_Length=0, Auth_Status="OK", Auth_Server="127.0.0.1", Auth_Port=backend.port))
        self.logs_in()
        wait_until(lambda: self.proxy.lines("proxied session done"), "the end of the session")
        self.proxy.send_signal(signal.SIGQUIT)
        self.assertEqual(self.proxy.wait_end(), 0)

    def test_nothing_is_connected_before_a_login_needs_it(self):
        self.arrange()
        wire = self.client()
        wire.says("a NOOP")
        wire.hears("a OK completed")
        self.assertEqual((len(self.auth.connections), len(self.backend.connections)), (0, 0))
