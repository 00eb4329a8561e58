"""TLS on the client side."""

import contextlib
import re
import socket
import ssl
import subprocess
import threading
import time

from certs import Authority, client_context, openssl, self_signed
from harness import DEADLINE, REFERENCE, Wire, apus_only, as_bytes, b64, both_users, wait_until
from imap import GREETING, IMAPTest
from scripted import AuthService, Backend, accept, refuse

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CAPABILITY = "* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN"


class TLSTest(IMAPTest):

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.dir)
        self.certificate, self.key = self.authority.issue("mail.example.com")

    def secure(self, mail="", server="", listen="ssl", **options):
        if REFERENCE and "ssl_protocols" not in mail:
            mail += " ssl_protocols TLSv1.2 TLSv1.3;"  # its default in later versions
        return self.arrange(
            f"ssl_certificate {self.certificate}; ssl_certificate_key {self.key}; {mail}", server, listen=listen, **options)

    def handshakes(self, context=None, **options):
        return self.client(tls=context or client_context(), **options)

    def fails_handshake(self, context, pattern, level="info"):
        with self.assertRaises((ssl.SSLError, OSError)):
            wire = self.connect(self.proxy.ports["imap"], tls=context)
            wire.hears_line()
        self.proxy.wait_log(rf"\[{level}\] \d+#\d+: \*\d+ {pattern} while SSL handshaking, client: 127\.0\.0\.1, server: "
                            rf"127\.0\.0\.1:{self.proxy.ports['imap']}$")

    def connect_with(self, context, session=None):
        wire = self.client(tls=context, session=session)
        wire.says("a NOOP")
        wire.hears("a OK completed")  # in TLS 1.3 tickets come with the first bytes
        wire.says("b LOGOUT")
        wire.hears("* BYE", "b OK completed")
        found = wire.sock.session, wire.sock.session_reused
        with contextlib.suppress(OSError):
            wire.sock.unwrap()  # an end without close_notify makes a session unfit for another time
        wire.closes()
        return found


@both_users
class ImplicitTLS(TLSTest):
    """listen ... ssl"""

    def test_a_session(self):
        self.secure()
        wire = self.log_in(self.handshakes())
        wire.says("b NOOP")
        wire.hears("b OK done")
        self.assertEqual(self.backend.logins, [("bob", "wonderland")])

    def test_in_both_versions(self):
        self.secure()
        for version, name in ((TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")):
            with self.subTest(name):
                wire = self.handshakes(client_context(minimum=version, maximum=version))
                self.assertEqual(wire.sock.version(), name)
                self.log_in(wire)
                self.assertEqual(self.auth.requests[-1].header("Auth-SSL-Protocol"), name)

    def test_plain_and_tls_listeners_of_one_server(self):
        self.secure(server="listen 127.0.0.1:@plain@;")
        self.log_in(self.handshakes())
        self.log_in(self.client("plain"))
        self.assertEqual([request.header("Auth-SSL") for request in self.auth.requests], ["on", None])

    def test_starttls_within_tls_is_refused_and_not_advertised(self):
        self.secure("starttls on;")
        wire = self.handshakes()
        wire.says("a STARTTLS", "b CAPABILITY")
        wire.hears("a BAD invalid command", CAPABILITY, "b OK completed")

    def test_starttls_only_does_not_restrict_it(self):
        self.secure("starttls only;")
        self.log_in(self.handshakes())

    def test_logout_closes_orderly(self):
        self.secure()
        wire = self.handshakes()
        wire.says("a LOGOUT")
        wire.hears("* BYE", "a OK completed")
        wire.sock.settimeout(5)
        self.assertEqual(wire.sock.recv(100), b"")  # close_notify: an SSLEOFError otherwise

    def test_8_mib_both_ways(self):
        import os
        backend = Backend()
        backend.scripts = [backend.echo]
        self.secure(backend=backend)
        wire = self.log_in(self.handshakes())
        data = os.urandom(8 << 20)
        received = bytearray()

        # One thread for an SSL object: write and read in turns, never more in flight than the echo can hold.
        view = memoryview(data)
        for offset in range(0, len(data), 1 << 16):
            wire.sock.sendall(view[offset:offset + (1 << 16)])
            while len(received) < offset + (1 << 16):
                received += wire.sock.recv(1 << 17)
        self.assertEqual(bytes(received), data)

    def test_a_large_download(self):
        import os
        data = os.urandom(8 << 20)

        def script(wire):
            wire.says("* OK ready")
            tag, _, _ = wire.hears_login()
            wire.says(f"{tag} OK Logged in")
            wire.hears_line()
            wire.sends(data)
            wire.hears_rest()

        backend = Backend(script)
        self.secure(backend=backend, answer=lambda _: accept(backend.port))
        wire = self.log_in(self.handshakes())
        wire.says("go")
        self.assertEqual(wire.hears_bytes(len(data)), data)

    def test_records_split_and_glued(self):
        self.secure()
        wire = self.handshakes()
        for byte in b"a CAPABILITY\r\n":
            wire.sends(bytes([byte]))
        wire.hears(CAPABILITY, "a OK completed")
        wire.sends(b"b NOOP\r\nc LOGIN bob wonderland\r\nd NOOP\r\n")
        wire.hears("b OK completed", "c OK Logged in", "d OK done")

    def test_a_client_that_closes_without_a_word(self):
        self.secure()
        wire = self.log_in(self.handshakes())
        raw = wire.sock
        raw.shutdown(socket.SHUT_RDWR)
        raw.close()
        self.assertTrue(self.backend.connections[0].done.wait(DEADLINE))
        self.log_in(self.handshakes())

    @apus_only
    def test_a_client_that_says_good_bye_before_its_login_hears_one(self):
        self.secure()
        wire = self.handshakes()
        # Sends close_notify and waits for the other: an end without one is an error.
        wire.sock.unwrap()
        wire.ended = True

    @apus_only  # nginx says nothing of it
    def test_a_client_that_resets_before_its_login(self):
        self.secure()
        wire = self.handshakes()
        wire.resets()
        self.proxy.wait_log(r"\[info\] \d+#\d+: \*1 SSL_read\(\) failed \(104: Connection reset by peer\) while ")


class BadHandshakes(TLSTest):

    def test_a_plain_client(self):
        self.secure()
        wire = self.client(greeting=None)
        wire.says("a LOGIN bob wonderland")
        self.proxy.keep_secret("wonderland")
        rest = wire.hears_rest()
        self.assertNotIn(b"OK", rest)
        self.proxy.wait_log(r"\[info\] \d+#\d+: \*1 SSL_do_handshake\(\) failed \(SSL: error:0A00010B:SSL routines::wrong version "
                            r"number\) while SSL handshaking, client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+$")

    def test_an_http_client(self):
        self.secure()
        wire = self.client(greeting=None)
        wire.sends("GET / HTTP/1.1\r\n\r\n")
        wire.hears_rest()
        self.proxy.wait_log(r"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:.*http request\) while SSL handshaking")

    def test_a_client_that_closes(self):
        self.secure()
        wire = self.client(greeting=None)
        wire.ends_sending()
        wire.hears_end()
        self.proxy.wait_log(r"\[info\] .*peer closed connection in SSL handshake while SSL handshaking, client: ")

    def test_a_client_that_resets(self):
        self.secure()
        wire = self.client(greeting=None)
        self.proxy.wait_log(r"\*1 client .* connected to ")
        wire.resets()
        self.proxy.wait_log(r"\[info\] \d+#\d+: \*1 peer closed connection in SSL handshake \(104: Connection reset by peer\) "
                            r"while SSL handshaking, client: ")

    def test_a_client_that_is_silent(self):
        self.secure("timeout 400ms;")
        wire = self.client(greeting=None)
        wire.hears_end()
        # Closed without a line.
        self.assertEqual(len(self.proxy.lines(r"\*1 ")), 1, self.proxy.log())

    def test_garbage_of_every_length(self):
        import os
        self.secure("timeout 1s;")
        if REFERENCE:
            self.proxy.allow("packet length too long")
        for size in (1, 5, 6, 50, 5000):
            wire = self.client(greeting=None)
            wire.tries_to_send(b"\x16\x03\x01" + os.urandom(size))
            wire.hears_rest()
        self.log_in(self.handshakes())

    def test_half_a_client_hello(self):
        self.secure("timeout 400ms;")
        recorded = {}

        def listen(server):
            sock, _ = server.accept()
            recorded["hello"] = sock.recv(4096)
            sock.close()

        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            thread = threading.Thread(target=listen, args=(server,))
            thread.start()
            with socket.create_connection(server.getsockname()) as sock:
                try:
                    client_context().wrap_socket(sock)
                except OSError:
                    pass
            thread.join()
        wire = self.client(greeting=None)
        wire.sends(recorded["hello"][:100])
        wire.hears_rest()
        self.log_in(self.handshakes())

    def test_a_version_that_is_off(self):
        self.secure("ssl_protocols TLSv1.3;")
        self.fails_handshake(client_context(maximum=TLS12), r"SSL_do_handshake\(\) failed \(SSL: error:.*unsupported protocol\)")
        self.secure_again()

    def secure_again(self):
        self.log_in(self.handshakes())

    def test_tls_13_off(self):
        self.secure("ssl_protocols TLSv1.2;")
        self.assertEqual(self.handshakes().sock.version(), "TLSv1.2")
        self.fails_handshake(client_context(minimum=TLS13), r"SSL_do_handshake\(\) failed \(SSL: error:.*unsupported protocol\)")

    def test_no_shared_cipher(self):
        self.secure("ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384;")
        wire = self.handshakes()
        self.assertEqual(wire.sock.cipher()[0], "ECDHE-ECDSA-AES256-GCM-SHA384")
        self.fails_handshake(client_context(maximum=TLS12, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"),
                             r"SSL_do_handshake\(\) failed \(SSL: error:.*no shared cipher\)")


class ALPN(TLSTest):

    def test_the_protocols_name_among_others(self):
        self.secure()
        for offered, chosen in ((None, None), (["imap"], "imap"), (["h2", "imap"], "imap")):
            with self.subTest(offered):
                wire = self.handshakes(client_context(alpn=offered))
                self.assertEqual(wire.sock.selected_alpn_protocol(), chosen)

    def test_none_that_fits(self):
        self.secure()
        self.fails_handshake(client_context(alpn=["http/1.1", "pop3"]),
                             r"SSL_do_handshake\(\) failed \(SSL: error:.*no application protocol\)")

    def test_after_starttls(self):
        self.secure("starttls on;", listen="")
        wire = self.client()
        wire.says("a STARTTLS")
        wire.hears("a OK completed")
        with self.assertRaises((ssl.SSLError, OSError)):
            wire.starts_tls(client_context(alpn=["h2"]))


@both_users
class STARTTLS(TLSTest):

    def upgraded(self, wire, context=None):
        wire.says("s STARTTLS")
        wire.hears("s OK completed")
        wire.starts_tls(context or client_context())
        return wire

    def test_on(self):
        self.secure("starttls on;", listen="")
        wire = self.client()
        wire.says("a CAPABILITY")
        wire.hears(CAPABILITY + " STARTTLS", "a OK completed")
        self.upgraded(wire)
        wire.hears_nothing()  # no second greeting
        wire.says("b CAPABILITY", "c STARTTLS")
        wire.hears(CAPABILITY, "b OK completed", "c BAD invalid command")
        self.log_in(wire)
        request = self.auth.requests[0]
        self.assertEqual(request.header("Auth-SSL"), "on")
        self.proxy.wait_log(rf"client logged in, client: 127\.0\.0\.1 using starttls, server: 127\.0\.0\.1:\d+, login: \"bob\"")

    def test_on_does_not_oblige(self):
        self.secure("starttls on;", listen="")
        self.log_in(self.client())
        self.assertIsNone(self.auth.requests[0].header("Auth-SSL"))

    def test_only(self):
        self.secure("starttls only; imap_auth plain login cram-md5; max_errors 1;", listen="")
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.says("a CAPABILITY")
        wire.hears("* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS STARTTLS LOGINDISABLED", "a OK completed")
        for line in ("b LOGIN bob wonderland", "b AUTHENTICATE PLAIN", "b AUTHENTICATE PLAIN " + b64("\0bob\0wonderland"),
                     "b AUTHENTICATE LOGIN", "b AUTHENTICATE CRAM-MD5"):
            with self.subTest(line):
                wire.says(line)
                wire.hears("b BAD invalid command")
        wire.says("c NOOP")
        wire.hears("c OK completed")
        self.assertEqual(self.auth.requests, [])
        self.log_in(self.upgraded(wire))

    def test_only_and_a_login_with_a_literal(self):
        self.secure("starttls only;", listen="")
        wire = self.client()
        wire.sends("a LOGIN {3+}\r\nbob {10+}\r\nwonderland\r\n")
        wire.hears("a BAD invalid command")
        self.assertEqual(self.auth.requests, [])

    def test_bytes_after_starttls_in_the_same_segment_are_discarded(self):
        self.secure("starttls on;", listen="")
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.sends("s STARTTLS\r\ninjected LOGIN mallory wonderland\r\nx NOOP\r\n")
        wire.hears("s OK completed")
        wire.starts_tls(client_context())
        wire.hears_nothing()
        wire.says("b NOOP")
        wire.hears("b OK completed")
        self.assertEqual(self.auth.requests, [])

    def test_garbage_instead_of_a_handshake(self):
        self.secure("starttls on;", listen="")
        wire = self.client()
        wire.says("s STARTTLS")
        wire.hears("s OK completed")
        wire.says("a LOGIN bob wonderland")
        wire.hears_rest()
        self.proxy.wait_log(r"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:.*\) while in starttls state, client: 127\.0\.0\.1 "
                            r"using starttls, server: ")
        self.assertEqual(self.auth.requests, [])

    def test_silence_instead_of_a_handshake(self):
        self.secure("starttls on; timeout 500ms;", listen="")
        wire = self.client()
        wire.says("s STARTTLS")
        wire.hears("s OK completed")
        wire.hears_end()

    def test_errors_are_counted_across_it(self):
        self.secure("starttls on; max_errors 2;", listen="")
        wire = self.client()
        wire.says("a BOGUS")
        wire.hears("a BAD invalid command")
        self.upgraded(wire)
        wire.says("b BOGUS")
        wire.hears("b BAD invalid command")
        wire.hears_end()

    def test_attempts_are_counted_across_it(self):
        self.secure("starttls on;", listen="", answer=refuse("No", Auth_Wait=1))
        wire = self.client()
        wire.says("a LOGIN bob wonderland")
        wire.hears("a NO No")
        self.upgraded(wire)
        wire.says("b LOGIN bob wonderland")
        wire.hears("b NO No")
        self.assertEqual([request.header("Auth-Login-Attempt") for request in self.auth.requests], ["1", "2"])

    def test_openssl_s_client(self):
        self.secure("starttls on;", listen="")
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.proxy.ports['imap']}", "-starttls", "imap", "-quiet", "-crlf",
             "-CAfile", str(self.authority.certificate), "-verify_return_error"],
            input="a LOGIN bob wonderland\nb NOOP\nc LOGOUT\n", capture_output=True, text=True, timeout=DEADLINE)
        self.assertIn("a OK Logged in\nb OK done\n* BYE backend\nc OK bye\n", done.stdout.replace("\r", ""))


class Resumption(TLSTest):
    """Tickets and session caches, over one and several workers."""

    def resumes(self, settings, expected, version, workers=1, rounds=6):
        self.secure(settings, workers=workers)
        context = client_context(minimum=version, maximum=version)
        session, reused = self.connect_with(context)
        self.assertFalse(reused)
        results = []
        for _ in range(rounds):
            following, reused = self.connect_with(context, session)
            results.append(reused)
            if reused and version == TLS13:
                session = following
        self.assertEqual(set(results), {expected}, results)

    def test_tickets(self):
        for version in (TLS12, TLS13):
            for cache in ("none", "off", "builtin", "shared:S:1m"):
                with self.subTest(version=version, cache=cache):
                    self.resumes(f"ssl_session_cache {cache};", True, version)
                    self.proxy.stop()

    def test_tickets_in_all_workers(self):
        for version in (TLS12, TLS13):
            for cache in ("none", "shared:S:1m"):
                with self.subTest(version=version, cache=cache):
                    self.resumes(f"ssl_session_cache {cache};", True, version, workers=4, rounds=12)
                    self.proxy.stop()

    def test_a_shared_cache_without_tickets_in_all_workers(self):
        for version in (TLS12, TLS13):
            with self.subTest(version):
                self.resumes("ssl_session_cache shared:S:1m; ssl_session_tickets off;", True, version, workers=4, rounds=12)
                self.proxy.stop()

    def test_a_builtin_cache_without_tickets(self):
        self.resumes("ssl_session_cache builtin:100; ssl_session_tickets off;", True, TLS12)

    def test_neither_cache_nor_tickets(self):
        for version in (TLS12, TLS13):
            for cache in ("none", "off"):
                with self.subTest(version=version, cache=cache):
                    self.resumes(f"ssl_session_cache {cache}; ssl_session_tickets off;", False, version)
                    self.proxy.stop()

    def test_a_ticket_key_file_over_a_restart(self):
        import os
        self.file("ticket.key", os.urandom(80))
        context = client_context(maximum=TLS12)
        self.secure(f"ssl_session_ticket_key {self.dir}/ticket.key;")
        session, _ = self.connect_with(context)
        self.proxy.stop()
        self.secure(f"ssl_session_ticket_key {self.dir}/ticket.key;")
        self.assertTrue(self.connect_with(context, session)[1])

    def test_a_shared_cache_survives_a_reload(self):
        import signal
        self.secure("ssl_session_cache shared:S:1m; ssl_session_tickets off;")
        context = client_context(maximum=TLS12)
        session, _ = self.connect_with(context)
        before = self.proxy.workers()
        self.proxy.same_workers = False
        self.proxy.send_signal(signal.SIGHUP)
        wait_until(lambda: self.proxy.workers() and not set(self.proxy.workers()) & set(before), "new workers")
        self.assertTrue(self.connect_with(context, session)[1])

    def test_a_session_ends_after_its_timeout(self):
        self.secure("ssl_session_cache shared:S:1m; ssl_session_timeout 1s;")
        for version in (TLS12, TLS13):
            with self.subTest(version):
                context = client_context(minimum=version, maximum=version)
                session, _ = self.connect_with(context)
                time.sleep(2.2)
                self.assertFalse(self.connect_with(context, session)[1])

    def test_a_full_cache_forgets_the_oldest(self):
        self.secure("ssl_session_cache shared:S:32k; ssl_session_tickets off;")
        context = client_context(maximum=TLS12)
        for _ in range(300):
            self.client(tls=context).closes()
        session, _ = self.connect_with(context)
        self.assertTrue(self.connect_with(context, session)[1])

    @apus_only
    def test_a_ticket_of_one_server_does_not_resume_in_another_with_another_verification(self):
        # CVE-2025-23419: a session made where no certificate is asked for must not pass where one is.
        certificate, key = self.certificate, self.key
        for cache in ("none", "shared:S:1m"):
            for version in (TLS12, TLS13):
                with self.subTest(cache=cache, version=version):
                    proxy = self.start(
                        f"""
                        mail {{
                            auth_http 127.0.0.1:1/;
                            ssl_certificate {certificate}; ssl_certificate_key {key};
                            ssl_session_cache {cache};
                            server {{ listen 127.0.0.1:@open@ ssl; protocol imap; }}
                            server {{ listen 127.0.0.1:@closed@ ssl; protocol imap; ssl_verify_client on;
                                      ssl_client_certificate {self.authority.certificate}; }}
                        }}""")
                    self.proxy = proxy
                    proxy.ports["imap"] = proxy.ports["open"]
                    context = client_context(minimum=version, maximum=version)
                    session, _ = self.connect_with(context)
                    wire = self.connect(proxy.ports["closed"], tls=context, session=session)
                    wire.hears("* BYE No required SSL certificate")
                    proxy.stop()


class ClientCertificates(TLSTest):

    def setUp(self):
        super().setUp()
        self.good = self.authority.issue("bob")
        self.other_authority = Authority(self.dir, "Other CA")
        self.stranger = self.other_authority.issue("mallory")
        self.alone = self_signed(self.dir / "alone.pem", self.dir / "alone.key", "alone")

    def verifying(self, mode, more="", **options):
        return self.secure(
            f"ssl_verify_client {mode}; ssl_client_certificate {self.authority.certificate}; {more}", **options)

    def presented(self, pair):
        return self.connect(self.proxy.ports["imap"], tls=client_context(*pair) if pair else client_context())

    def hears_ssl_headers(self, pair):
        wire = self.presented(pair)
        wire.hears(GREETING)
        self.log_in(wire)
        return {name: value for name, value in self.auth.requests[-1].headers if name.startswith("Auth-SSL-")}

    def refused(self, pair, line, pattern):
        wire = self.presented(pair)
        wire.hears(line)
        wire.hears_end()
        self.proxy.wait_log(rf"\[info\] \d+#\d+: \*\d+ {pattern} while SSL handshaking, client: ")

    def test_off(self):
        self.secure()
        headers = self.hears_ssl_headers(self.good)
        self.assertEqual(set(headers), {"Auth-SSL-Protocol", "Auth-SSL-Cipher"})

    def test_on(self):
        self.verifying("on")
        headers = self.hears_ssl_headers(self.good)
        fingerprint = openssl("x509", "-in", self.good[0], "-noout", "-fingerprint", "-sha1").strip().split("=")[1]
        serial = openssl("x509", "-in", self.good[0], "-noout", "-serial").strip().split("=")[1]
        self.assertEqual({name: value for name, value in headers.items() if name not in ("Auth-SSL-Protocol",
                                                                                         "Auth-SSL-Cipher")},
                         {"Auth-SSL-Verify": "SUCCESS", "Auth-SSL-Subject": "CN=bob", "Auth-SSL-Issuer": "CN=Test CA",
                          "Auth-SSL-Serial": serial, "Auth-SSL-Fingerprint": fingerprint.replace(":", "").lower()})
        names = [name for name, _ in self.auth.requests[-1].headers if name.startswith("Auth-SSL")]
        self.assertEqual(names, ["Auth-SSL", "Auth-SSL-Protocol", "Auth-SSL-Cipher", "Auth-SSL-Verify", "Auth-SSL-Subject",
                                 "Auth-SSL-Issuer", "Auth-SSL-Serial", "Auth-SSL-Fingerprint"])
        self.refused(None, "* BYE No required SSL certificate", "client sent no required SSL certificate")
        self.refused(self.stranger, "* BYE SSL certificate error",
                     r"client SSL certificate verify error: \(\d+:unable to (get local issuer certificate|verify the first "
                     r"certificate)\)")
        self.refused(self.alone, "* BYE SSL certificate error",
                     r"client SSL certificate verify error: \(18:self-signed certificate\)")

    def test_the_certificate_itself_is_passed_on(self):
        self.verifying("on", "auth_http_pass_client_cert on;")
        headers = self.hears_ssl_headers(self.good)
        pem = openssl("x509", "-in", self.good[0])
        escaped = "".join(f"%{ord(c):02X}" if ord(c) <= 0x20 or c == "%" else c for c in pem)
        self.assertEqual(headers["Auth-SSL-Cert"], escaped)

    def test_optional(self):
        self.verifying("optional")
        headers = self.hears_ssl_headers(None)
        self.assertEqual(headers["Auth-SSL-Verify"], "NONE")
        self.assertNotIn("Auth-SSL-Subject", headers)
        self.assertEqual(self.hears_ssl_headers(self.good)["Auth-SSL-Verify"], "SUCCESS")
        self.refused(self.stranger, "* BYE SSL certificate error", r"client SSL certificate verify error: \(\d+:[^)]*\)")

    def test_optional_no_ca(self):
        self.verifying("optional_no_ca")
        self.assertEqual(self.hears_ssl_headers(None)["Auth-SSL-Verify"], "NONE")
        self.assertEqual(self.hears_ssl_headers(self.good)["Auth-SSL-Verify"], "SUCCESS")
        self.assertRegex(self.hears_ssl_headers(self.stranger)["Auth-SSL-Verify"],
                         r"^FAILED:unable to (get local issuer certificate|verify the first certificate)$")
        self.assertEqual(self.hears_ssl_headers(self.alone)["Auth-SSL-Verify"], "FAILED:self-signed certificate")

    def test_expired_is_never_tolerated(self):
        openssl("req", "-new", "-key", self.good[1], "-subj", "/CN=old", "-out", self.dir / "old.csr")
        openssl("x509", "-req", "-in", self.dir / "old.csr", "-CA", self.authority.certificate, "-CAkey", self.authority.key,
                "-set_serial", "9", "-days", "-1", "-out", self.dir / "old.pem")
        for mode in ("on", "optional", "optional_no_ca"):
            with self.subTest(mode):
                self.verifying(mode)
                self.refused((self.dir / "old.pem", self.good[1]), "* BYE SSL certificate error",
                             r"client SSL certificate verify error: \(10:certificate has expired\)")
                self.proxy.stop()

    def revoke(self):
        """crl.pem"""
        (self.dir / "index.txt").write_text("")
        (self.dir / "ca.cnf").write_text(
            f"[ca]\ndefault_ca = d\n[d]\ndatabase = {self.dir}/index.txt\ndefault_md = sha256\ndefault_crl_days = 5\n")
        ca = ("ca", "-config", self.dir / "ca.cnf", "-cert", self.authority.certificate, "-keyfile", self.authority.key)
        openssl(*ca, "-revoke", self.good[0])
        openssl(*ca, "-gencrl", "-out", self.dir / "crl.pem")

    def test_revoked(self):
        self.revoke()
        self.verifying("on", f"ssl_crl {self.dir}/crl.pem;")
        self.refused(self.good, "* BYE SSL certificate error",
                     r"client SSL certificate verify error: \(23:certificate revoked\)")

    @apus_only
    def test_a_session_from_where_nobody_minds_does_not_resume_where_it_is_revoked(self):
        self.revoke()
        for cache in ("none", "shared:S:1m"):
            for version in (TLS12, TLS13):
                with self.subTest(cache=cache, version=version):
                    self.verifying("on", f"ssl_session_cache {cache};",
                                   server=f"}} server {{ listen 127.0.0.1:@strict@ ssl; protocol imap; "
                                          f"ssl_crl {self.dir}/crl.pem;")
                    context = client_context(*self.good, minimum=version, maximum=version)
                    session, _ = self.connect_with(context)
                    self.assertTrue(self.connect_with(context, session)[1])
                    wire = self.connect(self.proxy.ports["strict"], tls=context, session=session)
                    wire.hears("* BYE SSL certificate error")
                    self.assertFalse(wire.sock.session_reused)
                    self.proxy.stop()

    def test_after_starttls(self):
        self.verifying("on", "starttls on;", listen="")
        wire = self.client()
        wire.says("s STARTTLS")
        wire.hears("s OK completed")
        wire.starts_tls(client_context())
        wire.hears("* BYE No required SSL certificate")
        wire.hears_end()
        wire = self.client()
        wire.says("s STARTTLS")
        wire.hears("s OK completed")
        wire.starts_tls(client_context(*self.good))
        self.log_in(wire)

    def test_external_with_a_certificate(self):
        backend = Backend()
        self.verifying("on", "imap_auth external;", backend=backend,
                       answer=lambda _: accept(backend.port, Auth_Pass="master-secret"))
        self.proxy.keep_secret("master-secret")
        wire = self.presented(self.good)
        wire.hears(GREETING)
        wire.says("a AUTHENTICATE EXTERNAL " + b64("bob"))
        wire.hears("a OK Logged in")
        self.assertEqual(backend.logins, [("bob", "master-secret")])


class SeveralCertificates(TLSTest):

    def test_rsa_and_ecdsa(self):
        certificate, key = self.authority.issue("rsa.example.com", rsa=True)
        self.secure(f"ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2;")
        for ciphers, name in (("ECDHE-RSA-AES128-GCM-SHA256", "rsa.example.com"),
                              ("ECDHE-ECDSA-AES128-GCM-SHA256", "mail.example.com")):
            with self.subTest(ciphers):
                wire = self.handshakes(client_context(maximum=TLS12, ciphers=ciphers))
                (self.dir / "seen.der").write_bytes(wire.sock.getpeercert(True))
                subject = openssl("x509", "-inform", "DER", "-in", self.dir / "seen.der", "-noout", "-subject")
                self.assertIn(name, subject)

    def test_each_server_its_own(self):
        certificate, key = self.authority.issue("other.example.com")
        proxy = self.start(
            f"""
            mail {{
                auth_http 127.0.0.1:1/;
                ssl_certificate {self.certificate}; ssl_certificate_key {self.key};
                server {{ listen 127.0.0.1:@one@ ssl; protocol imap; }}
                server {{ listen 127.0.0.1:@two@ ssl; protocol imap;
                          ssl_certificate {certificate}; ssl_certificate_key {key}; }}
            }}""")
        for port, name in (("one", "mail.example.com"), ("two", "other.example.com")):
            text = openssl("s_client", "-connect", f"127.0.0.1:{proxy.ports[port]}", "-servername", "ignored.example.com",
                           stdin=subprocess.DEVNULL)
            self.assertRegex(text, rf"subject=CN ?= ?{name}")

    def test_only_the_file_is_sent(self):
        chain = self.file("chain.pem", self.certificate.read_text() + self.authority.certificate.read_text())
        for path, count in ((self.certificate, 1), (chain, 2)):
            with self.subTest(count):
                self.certificate = path
                self.secure()
                text = openssl("s_client", "-connect", f"127.0.0.1:{self.proxy.ports['imap']}", "-showcerts",
                               stdin=subprocess.DEVNULL)
                self.assertEqual(text.count("BEGIN CERTIFICATE"), count)
                self.proxy.stop()

    def test_a_reload_brings_a_new_certificate(self):
        import signal
        self.secure()
        seen = self.handshakes().sock.getpeercert(True)
        fresh, key = self.authority.issue("fresh.example.com")
        fresh.replace(self.certificate)
        key.replace(self.key)
        before = self.proxy.workers()
        self.proxy.same_workers = False
        self.proxy.send_signal(signal.SIGHUP)
        wait_until(lambda: self.proxy.workers() and not set(self.proxy.workers()) & set(before), "new workers")
        wait_until(lambda: self.handshakes().sock.getpeercert(True) != seen, "the new certificate")
