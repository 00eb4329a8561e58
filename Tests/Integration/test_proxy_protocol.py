"""The PROXY protocol: its header from a load balancer, and the one that the server behind is sent."""

import os
import re
import socket
import ssl
import struct
import time

from certs import Authority, client_context
from harness import REFERENCE, apus_only, descriptors, resident_kib, wait_until
from imap import GREETING, IMAPTest
from scripted import AuthService, Backend, accept, drain, refuse

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 143\r\n"
ADDRESSES = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack(">HH", 4711, 143)
ADDRESSES6 = (socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "::1")
              + struct.pack(">HH", 4711, 143))


def binary(rest=ADDRESSES, command=0x21, family=0x11, length=None):
    return SIGNATURE + struct.pack(">BBH", command, family, len(rest) if length is None else length) + rest


class ProxyProtocolTest(IMAPTest):

    def balanced(self, mail="", server="", listen="", **options):
        return self.arrange(mail, server, listen="proxy_protocol " + listen, **options)

    def behind(self, header, port="imap", greeting=GREETING, **options):
        """A client whose balancer has sent `header`."""
        wire = self.connect(self.proxy.ports[port], **options)
        wire.sends(header)
        if greeting:
            wire.hears(greeting)
        return wire

    def where(self, client="127.0.0.1"):
        return (rf" while reading PROXY protocol, client: {re.escape(client)}, "
                rf"server: 127\.0\.0\.1:{self.proxy.ports['imap']}$")

    def serves_others(self):
        wire = self.behind(LINE)
        wire.says("z1 NOOP")
        wire.hears("z1 OK completed")
        wire.closes()

    def facts(self, wire, tag="a"):
        """What the authentication service is told: the client's address and the header's four values."""
        number = len(self.auth.requests) + 1
        wire.says(f"{tag} LOGIN bob wonderland")
        request = self.auth.wait_request(number)
        return (request.header("Client-IP"),
                [value for name, value in request.headers if name.startswith("Proxy-Protocol")])


class Broken(ProxyProtocolTest):
    """Nothing is said to whoever sends something else; the log says what it was."""

    def refuses(self, rows):
        self.balanced()
        for number, (data, message) in enumerate(rows, 1):
            with self.subTest(data[:60]):
                wire = self.connect(self.proxy.ports["imap"])
                wire.tries_to_send(data)
                wire.hears_end()
                self.assertEqual(bytes(wire.received), b"")
                if message and REFERENCE:  # Debian's shows the line ends too, and what is behind them
                    self.proxy.wait_log(rf"\[error\] \d+#\d+: \*{number} {re.escape(message.rstrip(chr(34)))}")
                elif message:
                    self.proxy.wait_log(rf"\[error\] \d+#\d+: \*{number} {re.escape(message)}" + self.where())
        said = len([message for _, message in rows if message])
        self.serves_others()
        self.assertEqual(len(self.proxy.lines(r"\[(warn|error|crit|alert|emerg)\]")), said)
        self.assertEqual(self.auth.requests, [])

    def test_lines(self):
        self.refuses([(line + end, f'broken header: "{line}"') for line, end in (
            ("GET / HTTP/1.0", "\r\n\r\n"),
            ("a LOGIN bob", "\r\n"),
            ("proxy TCP4 192.0.2.7 198.51.100.1 4711 143", "\r\n"),
            ("PROXY", "\r\n\r\n"),
            ("PROXY ", "\r\n"),
            ("PROXY  TCP4 192.0.2.7 198.51.100.1 4711 143", "\r\n"),
            ("PROXY unknown", "\r\n"),
            ("PROXY TCP5 192.0.2.7 198.51.100.1 4711 143", "\r\n"),
            ("PROXY UDP4 192.0.2.7 198.51.100.1 4711 143", "\r\n"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 4711 143", "\n"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 4711 143", "\rx"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 4711 143 9", "\r\n"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1  4711 143", "\r\n"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 4711", "\r\n"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 65536 143", "\r\n"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 4711 99999999999999999999999", "\r\n"),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 -1 143", "\r\n"),
            ("PROXY TCP4 mail.example.com 198.51.100.1 4711 143", "\r\n"),
        )])

    @apus_only  # newer than Debian's nginx
    def test_binary(self):
        self.refuses([
            (binary(command=0x11), "unknown PROXY protocol version: 1"),
            (binary(command=0xF1), "unknown PROXY protocol version: 15"),
            (binary(length=4081), "header is too large"),
            (binary(length=65535), "header is too large"),
            (binary(ADDRESSES[:11]), None),
            (binary(ADDRESSES, family=0x21), None),
            (binary(b""), None),
        ])

    @apus_only  # newer than Debian's nginx
    def test_an_endless_line(self):
        self.balanced()
        for data in ("PROXY UNKNOWN " + "x" * 8000, "PROXY TCP4 " + "1" * 8000):
            wire = self.connect(self.proxy.ports["imap"])
            wire.tries_to_send(data)
            wire.hears_end()
        # A line of the log is cut at 2048 bytes.
        self.proxy.wait_log(r'\[error\] \d+#\d+: \*\d+ broken header: "PROXY UNKNOWN x{1000}')
        self.proxy.wait_log(r'\[error\] \d+#\d+: \*\d+ broken header: "PROXY TCP4 1{1000}')
        self.serves_others()

    @apus_only  # newer than Debian's nginx
    def test_the_client_leaves_before(self):
        self.balanced()
        for number, (data, message) in enumerate((
                ("", 'broken header: ""'),
                ("PROXY TCP4 192.0.2.7", 'broken header: "PROXY TCP4 192.0.2.7"'),
                (SIGNATURE, 'broken header: ""'),
                (binary()[:15], 'broken header: ""'),
                (binary()[:20], "header is too large"),
                (binary(length=100), "header is too large")), 1):
            with self.subTest(data):
                wire = self.connect(self.proxy.ports["imap"])
                if data:
                    wire.sends(data)
                wire.ends_sending()
                wire.hears_end()
                self.proxy.wait_log(rf"\*{number} {re.escape(message)}" + self.where())
        self.serves_others()

    def test_a_reset(self):
        self.balanced()
        wire = self.connect(self.proxy.ports["imap"])
        wire.resets()
        self.proxy.wait_log(
            r"\[info\] \d+#\d+: \*1 recv\(\) failed \(104: Connection reset by peer\)" + self.where())
        self.serves_others()

    @apus_only
    def test_control_characters_are_escaped(self):
        self.balanced()
        wire = self.connect(self.proxy.ports["imap"])
        wire.sends(b"\x1b[31m\0\t\r\n")
        wire.hears_end()
        self.proxy.wait_log(r'broken header: "\\x1b\[31m\\x00\\t"' + self.where())

    def test_noise(self):
        self.balanced("timeout 500ms;")
        if REFERENCE:
            self.proxy.allow("PROXY")
        for size in (1, 7, 12, 16, 200, 5000):
            for start in (b"", b"PROXY ", SIGNATURE):
                wire = self.connect(self.proxy.ports["imap"])
                wire.tries_to_send(start + os.urandom(size))
                wire.hears_end()
        self.serves_others()

    def test_hundreds_leave_nothing_behind(self):
        self.balanced()
        rounds = ("GET / HTTP/1.0\r\n\r\n", "PROXY " + "x" * 5000, binary(length=65535), binary(b""))

        def flood(count):
            for index in range(count):
                wire = self.connect(self.proxy.ports["imap"])
                wire.tries_to_send(rounds[index % len(rounds)])
                wire.hears_rest()
                wire.closes()

        worker = self.proxy.workers()[0]
        flood(100)
        before = descriptors(worker), resident_kib(worker)
        flood(500)
        wait_until(lambda: descriptors(worker) <= before[0], "descriptors to be closed")
        self.assertLess(resident_kib(worker), before[1] + 1024)
        self.serves_others()


class Slow(ProxyProtocolTest):
    """A header may take its time."""

    def test_silence(self):
        self.balanced("timeout 400ms;")
        wire = self.connect(self.proxy.ports["imap"])
        begin = time.monotonic()
        wire.hears_end()
        self.assertLess(abs(time.monotonic() - begin - 0.4), 0.35)
        self.proxy.wait_log(r"\[info\] \d+#\d+: \*1 client timed out \(110: Connection timed out\)" + self.where())

    @apus_only
    def test_half_a_header(self):
        self.balanced("timeout 400ms;")
        for data in ("PROXY TCP4 192.0.2.7 ", SIGNATURE, binary(length=100), "P"):
            with self.subTest(data):
                wire = self.connect(self.proxy.ports["imap"])
                wire.sends(data)
                wire.hears_end()
        self.proxy.wait_log(r"\[info\] .*client timed out \(110: Connection timed out\)" + self.where(), count=4)
        self.assertEqual(self.proxy.lines(r"\[error\]"), [])

    @apus_only
    def test_trickling_does_not_extend_the_timeout(self):
        self.balanced("timeout 500ms;")
        wire = self.connect(self.proxy.ports["imap"])
        begin = time.monotonic()
        wire.sends("PROXY UNKNOWN ")
        while time.monotonic() - begin < 2 and not self.proxy.lines("client timed out"):
            wire.tries_to_send("x")
            time.sleep(0.02)
        self.assertLess(time.monotonic() - begin, 1.2)
        wire.hears_end()

    @apus_only
    def test_split_at_every_byte(self):
        self.balanced("set_real_ip_from 127.0.0.1;")
        self.auth.answers = [refuse("No")]
        for header in (LINE.encode(), binary(ADDRESSES + b"\3\0\4abcd"), b"PROXY UNKNOWN some\r\n"):
            with self.subTest(header):
                data = header + b"a NOOP\r\n"
                wires = []
                for cut in range(1, len(data)):
                    wire = self.connect(self.proxy.ports["imap"])
                    wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    wire.sends(data[:cut])
                    wires.append(wire)
                # Long enough for the worker to have seen the first part of each.
                wires[len(header) - 2].hears_nothing(0.3)
                for cut, wire in enumerate(wires, 1):
                    wire.sends(data[cut:])
                for wire in wires:
                    wire.hears(GREETING, "a OK completed")
                if not header.startswith(b"PROXY UNKNOWN"):
                    self.assertEqual(
                        self.facts(wires[5]), ("192.0.2.7", ["192.0.2.7", "4711", "198.51.100.1", "143"]))
                for wire in wires:
                    wire.closes()
        self.assertEqual(self.proxy.lines(r"\[error\]"), [])

    @apus_only
    def test_one_byte_at_a_time(self):
        self.balanced()
        for header in (LINE.encode(), binary()):
            wire = self.connect(self.proxy.ports["imap"])
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in header + b"a NOOP\r\n":
                wire.sends(bytes([byte]))
                time.sleep(0.001)
            wire.hears(GREETING, "a OK completed")


class Accepted(ProxyProtocolTest):
    """What a header says, and whom it is believed."""

    def refusing(self, mail="", **options):
        self.balanced(mail, answer=refuse("No"), **options)

    @apus_only  # newer than Debian's nginx
    def test_versions(self):
        self.refusing("set_real_ip_from 127.0.0.1;")
        four, six = ["192.0.2.7", "4711", "198.51.100.1", "143"], ["2001:db8::7", "4711", "::1", "143"]
        for header, client, facts in (
                (LINE, "192.0.2.7", four),
                ("PROXY TCP6 2001:DB8::7 ::1 4711 143\r\n", "2001:db8::7", ["2001:DB8::7", *six[1:]]),
                ("PROXY TCP6 192.0.2.7 198.51.100.1 4711 143\r\n", "192.0.2.7", four),
                ("PROXY TCP4 2001:db8::7 ::1 4711 143\r\n", "2001:db8::7", six),
                (binary(), "192.0.2.7", four),
                (binary(ADDRESSES6, family=0x21), "2001:db8::7", six),
                (binary(ADDRESSES + b"\3\0\4abcd" + b"\xEA\0\1x"), "192.0.2.7", four),
                (binary(ADDRESSES + bytes(4068)), "192.0.2.7", four)):
            with self.subTest(header[:50]):
                self.assertEqual(self.facts(self.behind(header)), (client, facts))
                self.proxy.wait_log(rf'client login failed: "No" while in http auth state, client: {client}, server: ')
        # What connected is logged as what it is.
        self.assertEqual(len(self.proxy.lines(r"client 127\.0\.0\.1:\d+ connected to 127\.0\.0\.1:\d+$")), 8)

    @apus_only  # newer than Debian's nginx
    def test_headers_that_say_nothing(self):
        self.refusing("set_real_ip_from 127.0.0.1;")
        for header in (
                "PROXY UNKNOWN\r\n", "PROXY UNKNOWNx\r\n", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
                binary(b"", command=0x20, family=0x00), binary(command=0x20), binary(command=0x2F),
                binary(family=0x12), binary(b"", family=0x01), binary(bytes(216), family=0x31)):
            with self.subTest(header):
                self.assertEqual(self.facts(self.behind(header)), ("127.0.0.1", []))

    def test_an_untrusted_peer_stays_who_it_is(self):
        for mail, server in (
                ("", ""), ("set_real_ip_from 127.0.0.2; set_real_ip_from 10.0.0.0/8; set_real_ip_from unix:;", ""),
                ("set_real_ip_from 127.0.0.0/8;", "set_real_ip_from 10.0.0.0/8;")):
            with self.subTest(mail):
                self.refusing(mail, server=server)
                wire = self.behind(LINE)
                self.assertEqual(self.facts(wire), ("127.0.0.1", ["192.0.2.7", "4711", "198.51.100.1", "143"]))
                wire.hears("a NO No")
                self.proxy.wait_log("client login failed: .*, client: 127.0.0.1, server: ")
                self.assertEqual(self.proxy.lines("client: 192.0.2.7"), [])

    def test_who_is_trusted(self):
        for trusted in ("127.0.0.1", "127.0.0.0/8", "127.1.2.3/8", "0.0.0.0/0", "localhost",
                        "10.0.0.0/8; set_real_ip_from 127.0.0.1"):
            with self.subTest(trusted):
                self.refusing(f"set_real_ip_from {trusted};")
                self.assertEqual(self.facts(self.behind(LINE))[0], "192.0.2.7")
        self.refusing(server="set_real_ip_from 127.0.0.1;")
        self.assertEqual(self.facts(self.behind(LINE))[0], "192.0.2.7")

    @apus_only  # newer than Debian's nginx
    def test_an_address_that_is_none(self):
        self.refusing("set_real_ip_from 127.0.0.1;")
        for source in ("abc", "", "1.2.3", "1.2.3.256", "::1::", "1" * 300):
            with self.subTest(source):
                client, facts = self.facts(self.behind(f"PROXY TCP4 {source} 198.51.100.1 4711 143\r\n"))
                self.assertEqual((client, facts[0]), ("127.0.0.1", source))

    def test_ipv4_inside_ipv6_is_ipv4(self):
        service = self.serve(AuthService(refuse("No")))
        proxy = self.start(
            f"""
            mail {{
                auth_http 127.0.0.1:{service.port}/;
                set_real_ip_from 127.0.0.0/8;
                server {{ listen [::]:@imap@ proxy_protocol ipv6only=off; protocol imap; }}
            }}""")
        for number, (host, client) in enumerate((("127.0.0.1", "192.0.2.7"), ("::1", "::1")), 1):
            wire = self.connect(proxy.ports["imap"], host=host)
            wire.sends(LINE)
            wire.hears("* OK IMAP4 ready")
            wire.says("a LOGIN bob wonderland")
            self.assertEqual(service.wait_request(number).header("Client-IP"), client)

    def test_unix_sockets(self):
        for trusted, client in (("", "unix:"), ("set_real_ip_from unix:;", "192.0.2.7")):
            with self.subTest(trusted):
                service = self.serve(AuthService(refuse("No")))
                proxy = self.start(
                    f"""
                    mail {{
                        auth_http 127.0.0.1:{service.port}/;
                        {trusted}
                        server {{ listen unix:@dir@/imap.sock proxy_protocol; protocol imap; }}
                    }}""")
                wire = self.connect(str(proxy.dir / "imap.sock"))
                wire.sends(LINE)
                wire.hears("* OK IMAP4 ready")
                wire.says("a LOGIN bob wonderland")
                self.assertEqual(service.wait_request().header("Client-IP"), client)

    @apus_only  # nginx waits for more input first
    def test_commands_behind_the_header(self):
        self.balanced()
        wire = self.connect(self.proxy.ports["imap"])
        self.proxy.keep_secret("wonderland")
        wire.sends(LINE + "a NOOP\r\nb LOGIN bob wonderland\r\nc NOOP\r\n")
        wire.hears(GREETING, "a OK completed", "b OK Logged in", "c OK done")

    def test_other_listeners_expect_none(self):
        self.balanced(server="listen 127.0.0.1:@plain@;")
        self.log_in(self.client("plain"))
        self.log_in(self.behind(LINE))

    def test_the_relay_knows_the_address(self):
        self.balanced("set_real_ip_from 127.0.0.1;")
        wire = self.log_in(self.behind(LINE))
        wire.closes()
        for text in ("client logged in", "proxied session done"):
            self.proxy.wait_log(rf"{text}, client: 192\.0\.2\.7, server: 127\.0\.0\.1:\d+, login: \"bob\", upstream: ")


class WithTLS(ProxyProtocolTest):

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.dir)
        self.certificate, self.key = self.authority.issue("mail.example.com")

    def secure(self, mail="", listen="ssl", **options):
        return self.balanced(
            f"ssl_certificate {self.certificate}; ssl_certificate_key {self.key}; {mail}", listen=listen, **options)

    def test_the_header_comes_in_clear_before_tls(self):
        self.secure("set_real_ip_from 127.0.0.1;", answer=refuse("No"))
        for header in (LINE, binary()):
            wire = self.behind(header, greeting=None)
            wire.starts_tls(client_context())
            wire.hears(GREETING)
            self.assertEqual(self.facts(wire)[0], "192.0.2.7")
            self.assertEqual(self.auth.requests[-1].header("Auth-SSL"), "on")

    @apus_only  # newer than Debian's nginx
    def test_header_and_client_hello_in_one_segment(self):
        self.secure()
        for header in (LINE.encode(), binary(ADDRESSES + bytes(3000))):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client_context().wrap_bio(incoming, outgoing)
            wire = self.connect(self.proxy.ports["imap"])
            sock, sent = wire.sock, header

            def step(call):
                nonlocal sent
                while True:
                    try:
                        return call()
                    except ssl.SSLWantReadError:
                        sock.sendall(sent + outgoing.read())
                        sent = b""
                        data = sock.recv(65536)
                        if not data:
                            self.fail("the connection ended in the handshake")
                        incoming.write(data)

            step(tls.do_handshake)
            sock.sendall(outgoing.read())
            self.assertEqual(step(lambda: tls.read(100)), b"* OK IMAP4 ready\r\n")

    def test_one_timeout_for_both(self):
        self.secure("timeout 700ms;")
        wire = self.connect(self.proxy.ports["imap"])
        begin = time.monotonic()
        time.sleep(0.4)
        wire.sends(LINE)
        wire.hears_end()
        self.assertLess(time.monotonic() - begin, 1.05)
        self.assertEqual(self.proxy.lines("timed out"), [])

    @apus_only  # newer than Debian's nginx
    def test_a_client_that_begins_with_tls(self):
        self.secure()
        wire = self.connect(self.proxy.ports["imap"])
        with self.assertRaises((ssl.SSLError, OSError)):
            wire.starts_tls(client_context())
        self.proxy.wait_log(r"\[error\] .* broken header: \".*while reading PROXY protocol, client: ")
        self.assertEqual(self.proxy.lines("SSL"), [])

    def test_starttls(self):
        self.secure("starttls on; set_real_ip_from 127.0.0.1;", listen="")
        wire = self.behind(LINE)
        wire.says("a STARTTLS")
        wire.hears("a OK completed")
        wire.starts_tls(client_context())
        self.log_in(wire)
        self.assertEqual(self.auth.requests[-1].header("Client-IP"), "192.0.2.7")


def crc32c(data):
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


class Told(ProxyProtocolTest):
    """The header that the server behind is sent."""

    def setUp(self):
        super().setUp()
        self.heard = []

    def hears_v1(self, wire):
        self.heard.append(wire.hears_line())
        self.logs_in(wire)

    def hears_v2(self, wire):
        head = wire.hears_bytes(16)
        self.heard.append(head + wire.hears_bytes(struct.unpack(">H", head[14:])[0]))
        self.logs_in(wire)

    @staticmethod
    def logs_in(wire):
        wire.says("* OK ready")
        tag, _, _ = wire.hears_login()
        wire.says(f"{tag} OK Logged in")
        drain(wire)

    def told(self, script, mail, **options):
        self.balanced(f"set_real_ip_from 127.0.0.1; {mail}", backend=Backend(script), **options)

    def values(self, data):
        found = []
        while data:
            kind, length = struct.unpack(">BH", data[:3])
            found.append((kind, data[3:3 + length]))
            data = data[3 + length:]
        return found

    def parts(self, header):
        """Command and family, addresses, and the types and values, whose checksum is right."""
        self.assertEqual(header[:12], SIGNATURE)
        values = self.values(header[16 + {0x11: 12, 0x21: 36, 0: 0}[header[13]]:])
        self.assertEqual(values[-1], (3, struct.pack(">I", crc32c(header[:-4] + bytes(4)))))
        return header[12:14], header[16:16 + {0x11: 12, 0x21: 36, 0: 0}[header[13]]], values[:-1]

    def test_version_1(self):
        self.told(self.hears_v1, "proxy_protocol on;")
        port = self.proxy.ports["imap"]
        for header, heard in (
                (LINE, f"PROXY TCP4 192.0.2.7 127.0.0.1 4711 {port}"),
                ("PROXY TCP6 2001:db8::7 ::1 4711 143\r\n", f"PROXY TCP6 2001:db8::7 127.0.0.1 4711 {port}")):
            self.log_in(self.behind(header))
            self.assertEqual(self.heard[-1], heard)
        wire = self.behind("PROXY UNKNOWN\r\n")
        own = wire.sock.getsockname()[1]
        self.log_in(wire)
        self.assertEqual(self.heard[-1], f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {port}")

    def test_the_local_address_is_not_the_wildcard(self):
        backend = self.serve(Backend(self.hears_v1))
        service = self.serve(AuthService(accept(backend.port)))
        self.proxy = self.start(
            f"""
            mail {{
                auth_http 127.0.0.1:{service.port}/;
                proxy_protocol on;
                server {{ listen @imap@; protocol imap; }}
                server {{ listen unix:@dir@/imap.sock; protocol imap; }}
            }}""")
        port = self.proxy.ports["imap"]
        wire = self.connect(port, host="127.0.0.3", source="127.0.0.4")
        own = wire.sock.getsockname()[1]
        wire.hears("* OK IMAP4 ready")
        self.log_in(wire)
        wire = self.connect(str(self.proxy.dir / "imap.sock"))
        wire.hears("* OK IMAP4 ready")
        self.log_in(wire)
        self.assertEqual(self.heard, [f"PROXY TCP4 127.0.0.4 127.0.0.3 {own} {port}", "PROXY UNKNOWN"])

    @apus_only
    def test_version_2(self):
        self.told(self.hears_v2, "proxy_protocol v2;")
        port = struct.pack(">H", self.proxy.ports["imap"])
        local = socket.inet_aton("127.0.0.1")
        self.log_in(self.behind(LINE))
        self.assertEqual(
            self.parts(self.heard[-1]),
            (b"\x21\x11", socket.inet_aton("192.0.2.7") + local + struct.pack(">H", 4711) + port, []))
        self.log_in(self.behind("PROXY TCP6 2001:db8::7 ::1 4711 143\r\n"))
        self.assertEqual(
            self.parts(self.heard[-1]),
            (b"\x21\x21", ADDRESSES6[:16] + bytes(10) + b"\xff\xff" + local + struct.pack(">H", 4711) + port, []))

    @apus_only
    def test_version_2_for_unix_sockets(self):
        backend = self.serve(Backend(self.hears_v2))
        service = self.serve(AuthService(accept(backend.port)))
        self.proxy = self.start(
            f"""
            mail {{
                auth_http 127.0.0.1:{service.port}/;
                proxy_protocol v2;
                server {{ listen unix:@dir@/imap.sock; protocol imap; }}
            }}""")
        wire = self.connect(str(self.proxy.dir / "imap.sock"))
        wire.hears("* OK IMAP4 ready")
        self.log_in(wire)
        self.assertEqual(self.parts(self.heard[-1]), (b"\x20\x00", b"", []))

    def secure(self, mail, rsa=False):
        self.authority = Authority(self.dir)
        certificate, key = self.authority.issue("mail.example.com", rsa=rsa)
        self.told(
            self.hears_v2,
            f"proxy_protocol v2; starttls on; ssl_certificate {certificate}; ssl_certificate_key {key}; {mail}",
            listen="ssl", server="listen 127.0.0.1:@plain@;")

    def ssl_values(self, context, name=None, session=None):
        wire = self.behind(LINE, greeting=None)
        wire.starts_tls(context, name, session)
        wire.hears(GREETING)
        self.log_in(wire)
        self.last = wire
        values = self.parts(self.heard[-1])[2]
        self.assertEqual(values[-1][0], 0x20)
        details = values[-1][1]
        return values[:-1], details[0], struct.unpack(">I", details[1:5])[0], self.values(details[5:])

    @apus_only
    def test_tls(self):
        self.secure("")
        outer, flags, verified, inner = self.ssl_values(client_context(alpn=["imap"]), "mail.example.com")
        self.assertEqual(outer, [(2, b"mail.example.com"), (1, b"imap")])
        self.assertEqual((flags, verified), (1, 1))
        self.assertEqual(inner, [(0x21, b"TLSv1.3"), (0x23, self.last.sock.cipher()[0].encode()),
                                 (0x24, b"ecdsa-with-SHA256"), (0x25, b"EC256")])
        outer, flags, verified, inner = self.ssl_values(client_context(maximum=ssl.TLSVersion.TLSv1_2))
        self.assertEqual((outer, flags, verified, inner[0]), ([], 1, 1, (0x21, b"TLSv1.2")))

    @apus_only
    def test_starttls_and_an_rsa_key(self):
        self.secure("", rsa=True)
        wire = self.client("plain")
        wire.says("a STARTTLS")
        wire.hears("a OK completed")
        wire.starts_tls(client_context())
        self.log_in(wire)
        (kind, details), = self.parts(self.heard[-1])[2]
        # Its issuer's key is an EC one, its own is not.
        self.assertEqual(self.values(details[5:])[-2:], [(0x24, b"ecdsa-with-SHA256"), (0x25, b"RSA2048")])

    @apus_only
    def test_client_certificates(self):
        self.secure("ssl_verify_client optional_no_ca; ssl_client_certificate @dir@/test-ca.pem;")
        certificate, key = self.authority.issue("bob", subject="/O=x/CN=b\udcf8b")  # Latin-1, to become UTF-8
        stranger = Authority(self.dir, "Other CA").issue("eve")
        context = client_context(certificate, key, maximum=ssl.TLSVersion.TLSv1_2)
        _, flags, verified, inner = self.ssl_values(context)
        self.assertEqual((flags, verified, inner[1]), (7, 0, (0x22, "bøb".encode())))
        _, flags, verified, inner = self.ssl_values(context, session=self.last.sock.session)
        self.assertTrue(self.last.sock.session_reused)
        self.assertEqual((flags, verified, inner[1]), (5, 0, (0x22, "bøb".encode())))
        _, flags, verified, inner = self.ssl_values(client_context(*stranger))
        self.assertEqual((flags, inner[1]), (7, (0x22, b"eve")))
        self.assertNotIn(verified, (0, 1))

    def test_a_server_that_refuses(self):
        backend = Backend()
        backend.vanish()
        self.balanced("proxy_protocol on;", backend=None, answer=accept(backend.port))
        wire = self.behind(LINE)
        wire.says("a LOGIN bob wonderland")
        wire.hears("* BAD internal server error")
        wire.hears_end()
        self.proxy.wait_log(
            rf"\[error\] \d+#\d+: \*1 (send|connect)\(\)( to 127\.0\.0\.1:\d+)? failed \(111: Connection refused\) while "
            rf"(sending PROXY protocol header|connecting) to upstream, client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+, "
            rf"login: \"bob\", upstream: 127\.0\.0\.1:{backend.port}$")
        self.serves_others()
