"""The names of SMTP clients: `resolver`, `resolver_timeout`, and what the authentication service and the server behind
are told."""

import os
import pathlib
import shutil
import socket
import subprocess
import time
import unittest

from certs import client_context, self_signed
from dns import A, AAAA, DNAME, PTR, DNSServer, a, aaaa, cname, name, pointer, ptr, record, reverse
from harness import REFERENCE, apus_only, free_port, plain, wait_until
from smtp import GREETING, SUCCESS, SMTPTest
from test_config_errors import ConfigTest

ADDRESS = reverse("127.0.0.1")
ACCEPTED = "235 2.0.0 OK"
PLAIN = "AUTH PLAIN " + plain("bob", "wonderland")
UNAVAILABLE, TEMPORARY = "[UNAVAILABLE]", "[TEMPUNAVAIL]"
GOOD = {(ADDRESS, PTR): [ptr("mx.example.com")], ("mx.example.com", A): [a("127.0.0.1")]}
CONTEXT = r", client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+$"


# `ipv4=` came with nginx 1.23.1, which Debian does not have.
newer = unittest.skipIf(REFERENCE, "the reference has no ipv4=")


class ResolverTest(SMTPTest):

    def dns(self, table=None):
        return self.serve(DNSServer({} if table is None else table))

    def resolve(self, table, mail="", parameters="", timeout="2s", **options):
        self.server = self.dns(table)
        self.arrange(
            f"resolver 127.0.0.1:{self.server.port} {parameters}; resolver_timeout {timeout}; xclient on; {mail}",
            **options)

    def told(self, wire=None, **options):
        """Logs in and returns what the service and the server behind were told the client's name is."""
        wire = wire or self.client(**options)
        before = len(self.auth.requests)
        wire.says(PLAIN)
        wire.hears(ACCEPTED)
        wire.closes()
        request = self.auth.wait_request(before + 1)
        hosts = [value for key, value in request.headers if key == "Client-Host"]
        self.assertEqual(len(hosts), 1, request.headers)
        # The dialog up to XCLIENT is over: the login was accepted.
        lines = [line for line in self.backend.heard[-1] if line.startswith("XCLIENT")]
        self.assertEqual(len(lines), 1, self.backend.heard[-1])
        self.assertRegex(lines[0], r"^XCLIENT ADDR=\S+ LOGIN=bob NAME=\S+$")
        self.assertTrue(lines[0].endswith(f" NAME={hosts[0]}"), (lines, hosts))
        return hosts[0]


class Rows(ResolverTest):
    """The table of what a client's name is."""

    def check_rows(self, rows, **options):
        for what, table, host, *errors in rows:
            with self.subTest(what):
                self.resolve(table, **options)
                self.assertEqual(self.told(), host)
                found = [line for line in self.proxy.lines(r"\[error\].*could not be resolved|resolved to invalid")]
                self.assertEqual(len(found), len(errors), found)
                for line, pattern in zip(found, errors):
                    self.assertRegex(line, pattern)
                self.proxy.stop()
                self.proxy.ended = True

    def test_names_that_hold(self):
        self.check_rows((
            ("plain", GOOD, "mx.example.com"),
            ("capitals", {(ADDRESS, PTR): [ptr("MX.Example.COM")], ("mx.example.com", A): [a("127.0.0.1")]},
             "mx.example.com"),
            ("several addresses", {**GOOD, ("mx.example.com", A): [a("192.0.2.1"), a("127.0.0.1"), a("192.0.2.2")],
                                   ("mx.example.com", AAAA): [aaaa("2001:db8::1")]}, "mx.example.com"),
            ("an alias beside it", {**GOOD, ("mx.example.com", A): [
                cname("c.example.com"), a("127.0.0.1", owner=name("c.example.com"))]}, "mx.example.com"),
            ("an alias alone", {**GOOD, ("mx.example.com", A): [cname("c.example.com")],
                                ("mx.example.com", AAAA): [cname("c.example.com")],
                                ("c.example.com", A): [a("127.0.0.1")]}, "mx.example.com"),
            ("the first of several", {**GOOD, (ADDRESS, PTR): [ptr("mx.example.com"), ptr("other.example.com")]},
             "mx.example.com"),
            ("delegated (RFC 2317)", {**GOOD, (ADDRESS, PTR): [
                cname("1.0/25.0.0.127.in-addr.arpa"), ptr("mx.example.com", owner=name("1.0/25.0.0.127.in-addr.arpa"))]},
             "mx.example.com"),
            ("a PTR record of another owner", {**GOOD, (ADDRESS, PTR): [
                ptr("mx.example.com", owner=name("somebody.else"))]}, "mx.example.com"),
            ("records of other kinds beside it", {**GOOD, (ADDRESS, PTR): [
                record(16, b"\3abc"), ptr("mx.example.com"), record(46, b"x" * 30)]}, "mx.example.com"),
        ))

    @apus_only
    def test_an_alias_of_the_reverse_name_alone_is_followed(self):
        self.check_rows((
            ("an alias alone", {**GOOD, (ADDRESS, PTR): [cname("1.0-127.example.com")],
                                ("1.0-127.example.com", PTR): [ptr("mx.example.com")]}, "mx.example.com"),
        ))

    def test_names_that_do_not(self):
        first = r"\[error\] \d+#\d+: \*\d+ 127\.0\.0\.1 could not be resolved \(%s\) while in resolving client address" + CONTEXT
        second = (r'\[error\] \d+#\d+: \*\d+ "mx\.example\.com" could not be resolved \(%s\) '
                  r"while in resolving client hostname" + CONTEXT)
        self.check_rows((
            ("no such address", {}, UNAVAILABLE, first % "3: Host not found"),
            ("no record at all", {(ADDRESS, PTR): []}, UNAVAILABLE, first % "3: Host not found"),
            ("the server fails", {(ADDRESS, PTR): 2}, TEMPORARY, first % "2: Server failure"),
            ("not implemented", {(ADDRESS, PTR): 4}, TEMPORARY, first % "4: Unimplemented"),
            ("refused", {(ADDRESS, PTR): 5}, TEMPORARY, first % "5: Operation refused"),
            ("silence", {(ADDRESS, PTR): None}, TEMPORARY, first % "110: Operation timed out"),
            ("no such name", {(ADDRESS, PTR): [ptr("mx.example.com")]}, UNAVAILABLE, second % "3: Host not found"),
            ("a name without addresses", {**GOOD, ("mx.example.com", A): []}, UNAVAILABLE, second % "3: Host not found"),
            ("addresses cannot be told", {**GOOD, ("mx.example.com", A): 2}, TEMPORARY, second % "2: Server failure"),
            ("one family cannot be told", {**GOOD, ("mx.example.com", AAAA): 2}, TEMPORARY, second % "2: Server failure"),
            ("silence about the name", {**GOOD, ("mx.example.com", A): None}, TEMPORARY,
             second % "110: Operation timed out"),
            ("another address", {**GOOD, ("mx.example.com", A): [a("127.0.0.2")]}, UNAVAILABLE),
            ("aliases in a circle", {**GOOD, ("mx.example.com", A): [cname("b.example.com")],
                                     ("mx.example.com", AAAA): [cname("b.example.com")],
                                     ("b.example.com", A): [cname("mx.example.com")],
                                     ("b.example.com", AAAA): [cname("mx.example.com")]},
             UNAVAILABLE, second % "3: Host not found"),
        ), timeout="1s")

    def test_answers_that_are_none(self):
        first = r"127\.0\.0\.1 could not be resolved \(\d+: .*\) while in resolving client address" + CONTEXT
        rows = []
        for what, answer in (
            ("only another type", [record(16, b"\3abc")]),
            ("only DNAME", [record(DNAME, name("example.com"))]),
            ("a PTR record without data", [record(PTR, b"")]),
            ("a PTR record that is cut", lambda q: q.answer(ptr("mx.example.com"))[:-8]),
            ("another class", [ptr("mx.example.com", klass=3)]),
            ("a pointer to itself", lambda q: q.answer(record(PTR, pointer(len(q.answer()) + 12)))),
            ("a pointer out of the message", [record(PTR, b"\xff\xff")]),
            ("a label type that is none", [record(PTR, b"\x80abc\0")]),
            ("a query", lambda q: q.answer(ptr("mx.example.com"), flags=0x0180)),
            ("format error", 1),
            ("an unknown code", 9),
            ("nothing but a header", lambda q: q.data[:2] + b"\x81\x80" + b"\0" * 8),
            ("garbage", lambda q: q.data[:2] + os.urandom(300)),
        ):
            rows.append((what, {**GOOD, (ADDRESS, PTR): answer}, TEMPORARY, first))
        self.check_rows(rows, timeout="700ms")

    def test_names_that_would_inject(self):
        rows = []
        for what, labels in (
            ("a space", ["mx x", "example"]),
            ("a NUL", [b"mx\0", "example"]),
            ("escaped", ["mx%0d%0aX", "example"]),
            ("an underscore", ["mx_1", "example"]),
            ("a backslash", ["mx\\1", "example"]),
            ("a dot in a label", ["mx.1\x7f", "example"]),
            ("bytes above ASCII", [b"m\xc3\xbc", "example"]),
            ("nothing", []),
        ):
            rows.append((what, {**GOOD, (ADDRESS, PTR): [ptr(labels)]}, TEMPORARY,
                         r'127\.0\.0\.1 resolved to invalid host name "[^"]*" while in resolving client address'
                         + CONTEXT))
        self.check_rows(rows)

    @apus_only
    def test_line_ends_stay_out_of_the_log_too(self):
        self.check_rows((
            ("a line end", {**GOOD, (ADDRESS, PTR): [ptr([b"mx\r\nAuth-User: root", "example"])]}, TEMPORARY,
             r'127\.0\.0\.1 resolved to invalid host name "mx[^"]*auth-user: root\.example" while in .*' + CONTEXT),
        ))

    @apus_only
    def test_names_that_are_too_long(self):
        self.resolve({**GOOD, (ADDRESS, PTR): [ptr(["x" * 59] * 5)]})
        self.assertEqual(self.told(), TEMPORARY)
        self.assertEqual(self.server.asked(A), [])

    def test_without_a_resolver(self):
        for settings in ("", "resolver off;"):
            with self.subTest(settings):
                self.arrange(f"xclient on; {settings}")
                self.assertEqual(self.told(), UNAVAILABLE)

    def test_a_server_may_do_without(self):
        self.server = self.dns(GOOD)
        self.arrange(f"resolver 127.0.0.1:{self.server.port}; xclient on;", server="resolver off;")
        self.assertEqual(self.told(), UNAVAILABLE)
        self.assertEqual(self.server.asked(), [])

    def test_a_socket_has_no_name(self):
        self.resolve(GOOD, listen="unix:@dir@/smtp.sock")
        path = str(self.dir / "smtp.sock")
        wait_until(lambda: os.path.exists(path), path)
        wire = self.connect(path)
        wire.hears(GREETING)
        self.assertEqual(self.told(wire), TEMPORARY)
        self.assertEqual(self.server.asked(), [])


class Families(ResolverTest):

    def test_ipv6(self):
        table = {(reverse("::1"), PTR): [ptr("six.example.com")], ("six.example.com", AAAA): [aaaa("::1")]}
        self.resolve(table, listen="[::1]:@smtp@")
        self.assertEqual(self.told(host="::1"), "six.example.com")
        self.assertEqual(sorted(self.server.asked()), sorted([reverse("::1")] + ["six.example.com"] * 2))

    @newer
    def test_a_family_may_be_left_out(self):
        for parameter, kind, host in (("ipv4=off", AAAA, UNAVAILABLE), ("ipv6=off", A, "mx.example.com")):
            with self.subTest(parameter):
                self.resolve({**GOOD, ("mx.example.com", AAAA): [aaaa("::1")]}, parameters=parameter)
                self.assertEqual(self.told(), host)
                self.assertEqual(self.server.asked(), [ADDRESS, "mx.example.com"])
                self.assertEqual(self.server.asked(kind), ["mx.example.com"])

    @apus_only
    def test_ipv4_inside_ipv6_is_ipv4(self):
        self.resolve(GOOD, listen="[::]:@smtp@ ipv6only=off")
        self.assertEqual(self.told(), "mx.example.com")


class Session(ResolverTest):

    def test_the_question(self):
        self.resolve(GOOD)
        self.assertEqual(self.told(), "mx.example.com")
        for question in self.server.questions:
            self.assertEqual((question.flags, question.count, question.end), (0x0100, 1, b""))
        self.assertEqual([(q.name, q.type) for q in self.server.questions],
                         [(ADDRESS, PTR), ("mx.example.com", A), ("mx.example.com", AAAA)])

    def test_the_greeting_comes_after(self):
        asked = []

        def later(question):
            asked.append(question)
            return None

        self.resolve({**GOOD, (ADDRESS, PTR): later}, timeout="1s")
        wire = self.client(greeting=None)
        self.server.wait_asked(1)
        # What is said meanwhile waits, and asks nothing anew.
        wire.says("EHLO x", "NOOP")
        wire.hears_nothing(0.2)
        wire.hears(GREETING, "250-mail.example.com", "250 AUTH PLAIN LOGIN", SUCCESS)
        self.assertEqual(self.server.asked(), [ADDRESS])

    def test_who_leaves_meanwhile(self):
        self.resolve({**GOOD, (ADDRESS, PTR): None}, timeout="60s", level="debug" if not REFERENCE else "info")
        wire = self.client(greeting=None)
        self.server.wait_asked(1)
        wire.closes()
        if not REFERENCE:
            self.proxy.wait_log("session closed, end=client_closed")
        self.assertEqual(self.proxy.lines("could not be resolved"), [])

    def test_who_stops_sending_is_answered(self):
        self.resolve({**GOOD, (ADDRESS, PTR): None}, timeout="500ms")
        wire = self.client(greeting=None)
        self.server.wait_asked(1)
        wire.says("QUIT")
        wire.ends_sending()
        wire.hears(GREETING, "221 2.0.0 Bye")

    def test_the_timeout_of_the_session_does_not_count(self):
        self.resolve({**GOOD, (ADDRESS, PTR): None}, timeout="1500ms", mail="timeout 500ms;")
        wire = self.connect(self.proxy.ports["smtp"])
        wire.hears(GREETING)
        self.proxy.wait_log("could not be resolved .110: Operation timed out.")

    def test_tls_at_connect(self):
        certificate, key = self.dir / "server.pem", self.dir / "server.key"
        self_signed(certificate, key, "mail.example.com")
        self.resolve(GOOD, mail=f"ssl_certificate {certificate}; ssl_certificate_key {key};",
                     listen="127.0.0.1:@smtp@ ssl")
        raw = self.connect(self.proxy.ports["smtp"])
        raw.hears_nothing()
        self.assertEqual(self.server.asked(), [], "asked before the handshake")
        raw.starts_tls(client_context(), "mail.example.com")
        raw.hears(GREETING)
        self.assertEqual(self.told(raw), "mx.example.com")

    def test_starttls_asks_nothing_anew(self):
        certificate, key = self.dir / "server.pem", self.dir / "server.key"
        self_signed(certificate, key, "mail.example.com")
        self.resolve({**GOOD, (ADDRESS, PTR): [ptr("mx.example.com", ttl=0)]},
                     mail=f"ssl_certificate {certificate}; ssl_certificate_key {key}; starttls on;")
        wire = self.client()
        time.sleep(1.1)  # what has a TTL of 0 is forgotten
        wire.says("STARTTLS")
        wire.hears("220 2.0.0 Start TLS")
        wire.starts_tls(client_context(), "mail.example.com")
        self.assertEqual(self.told(wire), "mx.example.com")
        self.assertEqual(self.server.asked(PTR), [ADDRESS])

    def test_the_address_of_the_proxy_header(self):
        table = {(reverse("192.0.2.7"), PTR): [ptr("far.example.com")], ("far.example.com", A): [a("192.0.2.7")]}
        self.resolve(table, mail="set_real_ip_from 127.0.0.1;", listen="127.0.0.1:@smtp@ proxy_protocol")
        wire = self.connect(self.proxy.ports["smtp"])
        wire.says("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25")
        wire.hears(GREETING)
        self.assertEqual(self.told(wire), "far.example.com")
        self.assertEqual(self.server.asked(PTR), [reverse("192.0.2.7")])

    def test_others_do_not_ask(self):
        self.server = self.dns(GOOD)
        self.arrange(f"resolver 127.0.0.1:{self.server.port};", server="protocol imap;")
        self.client(greeting=None).hears_match(r"\* OK .*")
        self.assertEqual(self.server.asked(), [])

    def test_a_reload_and_a_quit_meanwhile(self):
        self.resolve({**GOOD, (ADDRESS, PTR): None}, timeout="2s")
        self.proxy.same_workers = False
        wire = self.client(greeting=None)
        self.server.wait_asked(1)
        old = self.proxy.workers()
        self.proxy.run("-s", "reload")
        wait_until(lambda: self.proxy.workers() and not set(self.proxy.workers()) & set(old), "new workers")
        wire.hears(GREETING)
        self.assertEqual(self.told(wire), TEMPORARY)
        # Nothing of it holds the old worker up.
        wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}/cmdline").exists() for pid in old), "the old worker's end")


class Servers(ResolverTest):

    def test_what_was_found_is_kept(self):
        self.resolve(GOOD)
        for _ in range(3):
            self.assertEqual(self.told(), "mx.example.com")
        self.assertEqual(self.server.asked(), [ADDRESS, "mx.example.com", "mx.example.com"])

    def test_what_was_not_found_is_not(self):
        self.resolve({})
        for _ in range(3):
            self.assertEqual(self.told(), UNAVAILABLE)
        self.assertEqual(self.server.asked(), [ADDRESS] * 3)

    def test_ttl_and_valid(self):
        for ttl, parameters, count in ((1, "", 2), (1, "valid=1h", 1), (3600, "valid=1s", 2), (1 << 31, "", 2)):
            with self.subTest(ttl=ttl, parameters=parameters):
                self.resolve({(ADDRESS, PTR): [ptr("mx.example.com", ttl=ttl)],
                              ("mx.example.com", A): [a("127.0.0.1", ttl=ttl)]}, parameters=parameters)
                self.assertEqual(self.told(), "mx.example.com")
                time.sleep(2.1)
                self.assertEqual(self.told(), "mx.example.com")
                self.assertEqual(len(self.server.asked(PTR)), count)

    def test_many_clients_ask_once(self):
        self.resolve({**GOOD, (ADDRESS, PTR): None}, timeout="1s")
        wires = [self.client(greeting=None) for _ in range(8)]
        for wire in wires:
            wire.hears(GREETING)
        self.proxy.wait_log("could not be resolved", 8)
        self.assertEqual(self.server.asked(), [ADDRESS])

    def test_servers_take_turns(self):
        first, second = self.dns({}), self.dns({})
        self.arrange(f"resolver 127.0.0.1:{first.port} 127.0.0.1:{second.port}; resolver_timeout 2s;")
        for _ in range(4):
            self.client().closes()
        self.assertEqual((len(first.asked()), len(second.asked())), (2, 2))
        self.assertEqual(len(self.proxy.lines("could not be resolved .3:")), 4)

    def test_a_silent_server_is_followed_by_the_next(self):
        silent, good = self.dns({(ADDRESS, PTR): None}), self.dns(GOOD)
        self.arrange(f"resolver 127.0.0.1:{silent.port} 127.0.0.1:{good.port}; resolver_timeout 20s; xclient on;")
        wire = self.connect(self.proxy.ports["smtp"])
        wire.sock.settimeout(20)
        wire.hears(GREETING)
        self.assertEqual(self.told(wire), "mx.example.com")

    def test_a_dead_server_is_followed_by_the_next(self):
        good, dead = self.dns(GOOD), free_port()
        self.arrange(f"resolver 127.0.0.1:{dead} 127.0.0.1:{good.port}; resolver_timeout 20s; xclient on;")
        wire = self.connect(self.proxy.ports["smtp"])
        wire.sock.settimeout(20)
        wire.hears(GREETING)
        self.assertEqual(self.told(wire), "mx.example.com")
        self.proxy.wait_log(
            rf"\[error\] \d+#\d+: recv\(\) failed \(111: Connection refused\) while resolving, resolver: 127\.0\.0\.1:{dead}$")

    def test_no_server_is_there(self):
        self.arrange(f"resolver 127.0.0.1:{free_port()}; resolver_timeout 500ms; xclient on;")
        self.assertEqual(self.told(), TEMPORARY)
        self.proxy.wait_log(r"could not be resolved \(110: Operation timed out\) while in resolving client address")

    def test_wrong_ids_and_other_questions_are_not_believed(self):
        def liar(question):
            evil = question.answer(ptr("evil.example.com"), ident=question.id ^ 1)
            other = question.answer(ptr("evil.example.com")).replace(b"\x07in-addr", b"\x07in-addx")
            return [evil, other, b"", question.answer(ptr("mx.example.com"))]

        self.resolve({**GOOD, (ADDRESS, PTR): liar, ("evil.example.com", A): [a("127.0.0.1")]})
        self.assertEqual(self.told(), "mx.example.com")

    def test_truncated_answers_come_over_tcp(self):
        many = [a(f"192.0.2.{number}") for number in range(1, 60)] + [a("127.0.0.1")]

        def cut(question):
            return question.answer(flags=0x8380) if question.over == "udp" else question.answer(*many)

        self.resolve({**GOOD, ("mx.example.com", A): cut})
        self.assertEqual(self.told(), "mx.example.com")
        self.assertEqual(self.server.asked(A, "tcp"), ["mx.example.com"])

    def test_a_truncated_name_is_taken_as_it_is(self):
        self.resolve({**GOOD, (ADDRESS, PTR): lambda q: q.answer(ptr("mx.example.com"), flags=0x8380)})
        self.assertEqual(self.told(), "mx.example.com")
        self.assertEqual(self.server.asked(PTR, "tcp"), [])

    def test_sockets_take_connection_numbers(self):
        self.resolve(GOOD)
        self.told()
        self.client()
        numbers = [int(line.split("*")[1].split()[0]) for line in self.proxy.lines(r"client 127\.0\.0\.1:\d+ connected")]
        self.assertEqual(numbers[0], 1)
        # Between them: a socket of the resolver at least, the authentication service, the server behind.
        self.assertGreaterEqual(numbers[1], 5)


@unittest.skipUnless(shutil.which("dnsmasq"), "no dnsmasq")
class RealServer(ResolverTest):

    def test_dnsmasq(self):
        port = free_port()
        done = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--port={port}",
             "--listen-address=127.0.0.1", "--bind-interfaces", "--user=", "--group=", "--pid-file=",
             "--host-record=real.example.com,127.0.0.1,::1", "--log-facility=-"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(done.wait)
        self.addCleanup(done.kill)

        def answers():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(answers, "dnsmasq")
        self.arrange(f"resolver 127.0.0.1:{port}; xclient on;", server="listen [::1]:@six@;")
        self.assertEqual(self.told(), "real.example.com")
        wire = self.connect(self.proxy.ports["six"], host="::1")
        wire.hears(GREETING)
        self.assertEqual(self.told(wire), "real.example.com")


class Configuration(ConfigTest):

    def build(self, text):
        return ("events { }\nmail { auth_http 127.0.0.1:9000;\n" + text
                + "\nserver { listen 127.0.0.1:2525; protocol smtp; } }")

    @newer
    def test_errors_of_families(self):
        self.each((
            ("resolver ipv4=off ipv6=on;", "no name servers defined", 3),
            ("resolver ipv4=maybe 127.0.0.1;", "invalid parameter: ipv4=maybe", 3),
            ("resolver ipv6=ON 127.0.0.1;", "invalid parameter: ipv6=ON", 3),
            ("resolver 127.0.0.1 ipv4=off ipv6=off;", '"ipv4" and "ipv6" cannot both be "off"', 3),
        ), self.build)
        self.accepts(self.build("resolver 127.0.0.1 [::1]:5353 valid=1M ipv4=on ipv6=off;"))

    def test_errors(self):
        self.each((
            ("resolver;", 'invalid number of arguments in "resolver" directive', 3),
            ("resolver valid=10s;", "no name servers defined", 3),
            ("resolver 127.0.0.1 valid=x;", "invalid parameter: valid=x", 3),
            ("resolver 127.0.0.1 valid=;", "invalid parameter: valid=", 3),
            ("resolver 127.0.0.1 valid=1ms;", "invalid parameter: valid=1ms", 3),
            ("resolver 127.0.0.1:0;", 'invalid port in resolver "127.0.0.1:0"', 3),
            ("resolver 127.0.0.1:53x;", 'invalid port in resolver "127.0.0.1:53x"', 3),
            ("resolver 127.0.0.1 [::1;", 'invalid host in resolver "[::1"', 3),
            ("resolver [::g];", 'invalid IPv6 address in resolver "[::g]"', 3),
            ("resolver :53;", 'no host in resolver ":53"', 3),
            ("resolver 127.0.0.1/x;", 'invalid host in resolver "127.0.0.1/x"', 3),
            ("resolver 127.0.0.1; resolver 127.0.0.2;", '"resolver" directive is duplicate', 3),
            ("resolver off; resolver off;", '"resolver" directive is duplicate', 3),
            ("resolver_timeout x;", '"resolver_timeout" directive invalid value', 3),
            ("resolver_timeout 1s; resolver_timeout 2s;", '"resolver_timeout" directive is duplicate', 3),
        ), self.build)

    def test_what_is_fine(self):
        for text in ("resolver 127.0.0.1 [::1]:5353 valid=1M;", "resolver valid=30 127.0.0.1;",
                     "resolver off whatever;", "resolver localhost; resolver_timeout 0;", "resolver 127.0.0.1 valid=0;"):
            with self.subTest(text):
                self.accepts(f"events {{ }} mail {{ auth_http 127.0.0.1:9000; server {{ listen 127.0.0.1:2525; "
                             f"protocol smtp; {text} }} }}")


if __name__ == "__main__":
    unittest.main()
