"""PROXY protocol headers from a load balancer in front (`listen ... proxy_protocol`)."""

import os
import socket
import struct

from certs import Authority, client_context
from harness import REFERENCE, apus_only
from imap import GREETING, IMAPTest
from scripted import refuse

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 143\r\n"


def v2(addresses=None, command=0x21, family=0x11, extra=b""):
    if addresses is None:
        addresses = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack(">HH", 4711, 143)
    body = addresses + extra
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body)) + body


class Headers(IMAPTest):

    def behind(self, more="", listen="proxy_protocol"):
        self.arrange(f"set_real_ip_from 127.0.0.0/8; {more}", listen=listen, answer=refuse("No"))

    def asks_for(self, header):
        """What the auth service hears of a client that came with this header: address, and what the header said."""
        before = len(self.auth.requests)
        wire = self.client(greeting=None)
        wire.sends(header)
        wire.hears(GREETING)
        wire.says("a LOGIN bob wonderland")
        wire.hears("a NO No")
        request = self.auth.wait_request(before + 1)
        return request.header("Client-IP"), [value for name, value in request.headers if name.startswith("Proxy-Protocol")]

    FACTS = ("192.0.2.7", ["192.0.2.7", "4711", "198.51.100.1", "143"])

    def test_version_1(self):
        self.behind()
        self.assertEqual(self.asks_for(V1), self.FACTS)
        self.proxy.wait_log(r", client: 192\.0\.2\.7, server: 127\.0\.0\.1:\d+, login: \"bob\"$")
        self.assertEqual(self.asks_for(b"PROXY TCP6 2001:DB8::7 ::1 1 65535\r\n"),
                         ("2001:db8::7", ["2001:DB8::7", "1", "::1", "65535"]))
        self.assertEqual(self.asks_for(b"PROXY UNKNOWN whatever else\r\n"), ("127.0.0.1", []))

    def test_version_2(self):
        self.behind()
        self.assertEqual(self.asks_for(v2()), self.FACTS)
        self.assertEqual(self.asks_for(v2(extra=b"\x20\x00\x02xx\x04\x00\x00")), self.FACTS)
        six = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "::1") + struct.pack(
            ">HH", 1, 2)
        self.assertEqual(self.asks_for(v2(six, family=0x21)), ("2001:db8::7", ["2001:db8::7", "1", "::1", "2"]))
        self.assertEqual(self.asks_for(v2(b"", command=0x20, family=0)), ("127.0.0.1", []))

    @apus_only  # Debian's nginx does not look at what came together with the header
    def test_what_follows_in_the_same_segment_counts(self):
        self.behind()
        for header in (V1, v2()):
            wire = self.client(greeting=None)
            wire.sends(header + b"a NOOP\r\n")
            wire.hears(GREETING, "a OK completed")

    @apus_only
    def test_a_header_in_pieces_is_waited_for(self):
        self.behind()
        for header in (V1, v2()):
            wire = self.client(greeting=None)
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in header:
                wire.sends(bytes([byte]))
            wire.hears(GREETING)
            wire.says("a LOGIN bob wonderland")
            wire.hears("a NO No")
            self.assertEqual(self.auth.requests[-1].header("Client-IP"), "192.0.2.7")

    def test_an_untrusted_sender_changes_nothing_but_is_passed_on(self):
        self.arrange("set_real_ip_from 10.0.0.0/8;", listen="proxy_protocol", answer=refuse("No"))
        self.assertEqual(self.asks_for(V1), ("127.0.0.1", self.FACTS[1]))

    def test_before_tls(self):
        authority = Authority(self.dir)
        certificate, key = authority.issue("mail.example.com")
        self.behind(f"ssl_certificate {certificate}; ssl_certificate_key {key};", "ssl proxy_protocol")
        wire = self.client(greeting=None)
        wire.sends(V1)
        wire.starts_tls(client_context())
        wire.hears(GREETING)
        wire.says("a LOGIN bob wonderland")
        wire.hears("a NO No")
        self.assertEqual(self.auth.requests[0].header("Client-IP"), "192.0.2.7")

    def test_broken_headers(self):
        self.behind("timeout 1s;")
        for header, shown in (
            (b"a LOGIN bob wonderland\r\n", "a LOGIN bob wonderland"), (b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", None),
            (b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", None), (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", None),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 x 2\r\n", None), (b"PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n", None),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", None), (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", None),
            (b"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0"),
        ):
            with self.subTest(header):
                before = len(self.proxy.lines("broken header"))
                if REFERENCE:  # shows the rest of the header, line ends included
                    wire = self.client(greeting=None)
                    wire.sends(header)
                    wire.hears_end()
                    self.proxy.wait_log(r'\[error\] .*broken header: "', before + 1)
                    continue
                wire = self.client(greeting=None)
                wire.sends(header)
                wire.hears_end()
                line = self.proxy.wait_log(r'\[error\] .*broken header: ".*" while reading PROXY protocol, client: 127\.0\.0\.1, '
                                           r"server: 127\.0\.0\.1:\d+$", before + 1)[-1]
                if shown and not shown.startswith("a LOGIN"):
                    self.assertIn(f'broken header: "{shown}"', line)

    def test_an_unknown_version_and_a_header_too_large(self):
        self.behind("timeout 1s;")
        wire = self.client(greeting=None)
        wire.sends(v2(command=0x31))
        wire.hears_end()
        self.proxy.wait_log(r"\[error\] .*unknown PROXY protocol version: 3 while reading PROXY protocol, client: ")
        wire = self.client(greeting=None)
        wire.tries_to_send(SIGNATURE + b"\x21\x11" + struct.pack(">H", 65000) + b"x" * 5000)
        wire.hears_end()
        self.proxy.wait_log(r"\[error\] .*header is too large while reading PROXY protocol, client: ")

    def test_silence(self):
        self.behind("timeout 400ms;")
        wire = self.client(greeting=None)
        wire.hears_end()
        self.proxy.wait_log(r"\[info\] .*\*1 client timed out \(110: Connection timed out\) while reading PROXY protocol, client: ")

    def test_noise(self):
        self.behind("timeout 500ms;")
        if REFERENCE:
            self.proxy.allow("PROXY")
        for size in (1, 7, 12, 16, 200, 5000):
            for start in (b"", b"PROXY ", SIGNATURE):
                wire = self.client(greeting=None)
                wire.tries_to_send(start + os.urandom(size))
                wire.hears_end()
        wire = self.client(greeting=None)
        wire.sends(V1)
        wire.hears(GREETING)
