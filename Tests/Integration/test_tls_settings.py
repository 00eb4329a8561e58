"""TLS directive by directive: what each one changes for a client of the real program."""

import contextlib
import os
import re
import signal
import ssl
import subprocess
import threading

from certs import Authority, client_context, openssl
from harness import DEADLINE, REFERENCE, apus_only, wait_until
from imap import GREETING
from scripted import Backend
from test_tls import TLS12, TLS13, TLSTest

REFUSED, MISSING = "* BYE SSL certificate error", "* BYE No required SSL certificate"


def subject(sock, directory):
    """The subject of the certificate that the server presented."""
    path = directory / "seen.der"
    path.write_bytes(sock.getpeercert(True))
    return openssl("x509", "-inform", "DER", "-in", path, "-noout", "-subject").strip()


class SettingsTest(TLSTest):

    def s_client(self, *words, port="imap"):
        """What `openssl s_client` says of a connection that the client ends after the greeting."""
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.proxy.ports[port]}", *map(str, words)],
            input=b"", capture_output=True, timeout=DEADLINE)
        return (done.stdout + done.stderr).decode("latin-1")

    def reloads(self):
        before = self.proxy.workers()
        self.proxy.same_workers = False
        self.proxy.send_signal(signal.SIGHUP)
        wait_until(lambda: self.proxy.workers() and not set(self.proxy.workers()) & set(before), "new workers")


class Certificates(SettingsTest):
    """ssl_certificate, ssl_certificate_key, ssl_password_file"""

    def both_kinds(self, *settings):
        certificate, key = self.authority.issue("rsa.example.com", rsa=True)
        self.secure(f"ssl_certificate {certificate}; ssl_certificate_key {key}; {' '.join(settings)}")

    def test_the_clients_signature_algorithms_choose_among_kinds(self):
        self.both_kinds()
        for version in ("-tls1_2", "-tls1_3"):
            for algorithm, name in (("ecdsa_secp256r1_sha256", "mail.example.com"),
                                    ("rsa_pss_rsae_sha256", "rsa.example.com")):
                with self.subTest(version=version, algorithm=algorithm):
                    self.assertRegex(self.s_client(version, "-sigalgs", algorithm), rf"subject=CN ?= ?{name}\n")

    def test_each_kind_with_its_own_chain(self):
        other = Authority(self.dir, "Other CA")
        certificate, key = other.issue("rsa.example.com", rsa=True)
        chain = self.file("rsa-chain.pem", certificate.read_text() + other.certificate.read_text())
        self.secure(f"ssl_certificate {chain}; ssl_certificate_key {key};")
        for algorithm, sent in (("ecdsa_secp256r1_sha256", ["mail.example.com"]),
                                ("rsa_pss_rsae_sha256", ["rsa.example.com", "Other CA"])):
            with self.subTest(algorithm):
                told = self.s_client("-sigalgs", algorithm, "-showcerts")
                self.assertEqual(re.findall(r"(?m)^ *\d+ s:CN ?= ?(.*)$", told), sent)

    def test_the_second_of_one_kind_replaces_the_first(self):
        certificate, key = self.authority.issue("second.example.com")
        self.secure(f"ssl_certificate {certificate}; ssl_certificate_key {key};")
        self.assertIn("second.example.com", subject(self.handshakes().sock, self.dir))

    def test_trusted_authorities_complete_no_chain(self):
        self.secure(f"ssl_trusted_certificate {self.authority.certificate}; "
                    f"ssl_client_certificate {self.authority.certificate}; ssl_verify_client optional;")
        self.assertEqual(self.s_client("-showcerts").count("BEGIN CERTIFICATE"), 1)

    def locked(self, passphrase, name="locked"):
        certificate, plain = self.authority.issue(f"{name}.example.com")
        key = self.dir / f"{name}.key"
        openssl("pkey", "-in", plain, "-aes256", "-passout", f"pass:{passphrase}", "-out", key)
        key.chmod(0o644)
        return certificate, key

    def test_passphrases_of_several_keys(self):
        one, two = self.locked("first one", "one"), self.locked("second", "two")
        self.file("passwords", "wrong\r\n\r\nsecond\n\nfirst one")
        self.certificate, self.key = one
        self.secure("ssl_password_file passwords;",
                    f"listen 127.0.0.1:@two@ ssl; ssl_certificate {two[0]}; ssl_certificate_key {two[1]};")
        # The server's own pair hides the inherited one; the passphrases are inherited.
        self.assertIn("two.example.com", subject(self.handshakes().sock, self.dir))

    def test_passphrases_from_a_fifo(self):
        self.certificate, self.key = self.locked("secret")
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        self.proxy = None

        def write():
            with contextlib.suppress(BrokenPipeError), open(fifo, "w") as words:
                words.write("wrong\nsecret\n")

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        self.secure(f"ssl_password_file {fifo};")
        writer.join(DEADLINE)
        self.assertIn("locked.example.com", subject(self.handshakes().sock, self.dir))

    def test_an_encrypted_key_is_read_again_by_a_reload(self):
        self.certificate, self.key = self.locked("secret")
        self.file("passwords", "secret\n")
        self.secure("ssl_password_file passwords;")
        self.handshakes()
        before = self.proxy.workers()
        self.file("passwords", "wrong\n")
        self.proxy.allow("cannot load certificate key|PEM_read_bio_PrivateKey")
        self.proxy.send_signal(signal.SIGHUP)
        self.proxy.wait_log(r'\[emerg\] .*cannot load certificate key ".*/locked\.key": PEM_read_bio_PrivateKey\(\) failed '
                            r"\(SSL: error:.*\)")
        self.assertEqual(self.proxy.workers(), before)
        self.handshakes()

    def test_relative_names_belong_to_the_folder_of_the_configuration(self):
        self.certificate, self.key = self.certificate.name, self.key.name
        self.secure()
        self.log_in(self.handshakes())

    @apus_only  # newer than Debian's nginx
    def test_text_in_place(self):
        self.certificate, self.key = (f'"data:{path.read_text()}"' for path in (self.certificate, self.key))
        self.secure()
        self.log_in(self.handshakes())


class Parameters(SettingsTest):
    """Versions, ciphers, groups"""

    def test_dhparam(self):
        dhe = client_context(maximum=TLS12, ciphers="DHE-RSA-AES128-GCM-SHA256")
        self.certificate, self.key = self.authority.issue("rsa.example.com", rsa=True)
        self.file("dh.pem", openssl("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"))
        self.secure("ssl_dhparam dh.pem;")
        self.assertEqual(self.handshakes(dhe).sock.cipher()[0], "DHE-RSA-AES128-GCM-SHA256")
        self.assertRegex(self.s_client("-tls1_2", "-cipher", "DHE"), r"Server Temp Key: DH, 2048 bits")
        self.proxy.stop()
        self.secure()
        self.fails_handshake(dhe, r"SSL_do_handshake\(\) failed \(SSL: error:.*no shared cipher\)")

    def test_curves(self):
        for curves, offered, chosen in (("secp384r1", "P-256:P-384", "(ECDH, )?(P-384|secp384r1), 384 bits"),
                                        ("prime256v1:X25519", "X25519:P-256", None),
                                        ("auto", "X25519", "X25519, 253 bits")):
            with self.subTest(curves):
                self.secure(f"ssl_ecdh_curve {curves};")
                told = self.s_client("-groups", offered)
                self.assertRegex(told, rf"Server Temp Key: {chosen}" if chosen else "Server Temp Key: ")
                self.proxy.stop()
        self.secure("ssl_ecdh_curve secp384r1;")
        self.assertIn("handshake failure", self.s_client("-tls1_3", "-groups", "X25519"))

    def test_whose_order_of_ciphers(self):
        order = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
        client = client_context(maximum=TLS12, ciphers=":".join(reversed(order.split(":"))))
        for setting, name in (("off", order.split(":")[1]), ("on", order.split(":")[0])):
            with self.subTest(setting):
                self.secure(f"ssl_ciphers {order}; ssl_prefer_server_ciphers {setting};")
                self.assertEqual(self.handshakes(client).sock.cipher()[0], name)
                self.proxy.stop()

    def test_versions(self):
        for versions, offered, spoken in (
            ("TLSv1.2", TLS12, "TLSv1.2"), ("TLSv1.3", TLS13, "TLSv1.3"), ("TLSv1.2 TLSv1.3", None, "TLSv1.3"),
        ):
            with self.subTest(versions):
                self.secure(f"ssl_protocols {versions};")
                self.assertEqual(self.handshakes(client_context(minimum=offered)).sock.version(), spoken)
                self.proxy.stop()

    def test_conf_commands(self):
        self.secure("ssl_ecdh_curve secp384r1; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; "
                    "ssl_conf_command Groups X25519; ssl_conf_command Options -SessionTicket; "
                    "ssl_conf_command Options ServerPreference;")
        self.assertEqual(self.handshakes(client_context(minimum=TLS13)).sock.cipher()[0], "TLS_AES_128_GCM_SHA256")
        # After all other settings, which they override.
        self.assertRegex(self.s_client("-tls1_3"), "Server Temp Key: X25519")
        self.assertNotIn("session ticket:", self.s_client("-tls1_2").lower())

    def test_conf_commands_that_name_files(self):
        certificate, key = self.authority.issue("commanded.example.com")
        self.secure(f"ssl_conf_command Certificate {certificate.name}; ssl_conf_command PrivateKey {key.name};")
        self.assertIn("commanded.example.com", subject(self.handshakes().sock, self.dir))

    def test_conf_commands_of_a_server_hide_those_of_mail(self):
        self.secure("ssl_conf_command MaxProtocol TLSv1.2;", "ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;")
        self.assertEqual(self.handshakes().sock.version(), "TLSv1.3")

    def test_renegotiation_is_refused(self):
        self.secure()
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.proxy.ports['imap']}", "-tls1_2"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        told = b""
        while GREETING.encode() not in told:  # the handshake is over
            told += client.stdout.readline()
        client.stdin.write(b"R\n")
        client.stdin.flush()
        # Its standard input stays open: it ends because of the refusal.
        self.assertIn(b"no renegotiation", client.stdout.read().lower())
        client.stdin.close()
        client.stdout.close()

    @apus_only  # newer than Debian's nginx
    def test_compression_of_certificates(self):
        self.secure("ssl_certificate_compression on;")
        self.log_in(self.handshakes())
        if ssl.OPENSSL_VERSION_INFO < (3, 2):
            self.assertIn('[warn] "ssl_certificate_compression" is not supported on this platform, ignored',
                          self.proxy.stderr.read_text())


class Resumption(SettingsTest):
    """ssl_session_cache, ssl_session_ticket_key, ssl_session_timeout"""

    def connects(self, context, session=None, port="imap"):
        """(the session for another time, whether this one was resumed)"""
        wire = self.client(port, tls=context, session=session)
        found = wire.sock.session, wire.sock.session_reused
        with contextlib.suppress(OSError):
            wire.sock.unwrap()
        wire.closes()
        return found

    def test_what_off_and_none_tell_the_client(self):
        # A TLS 1.2 session with an id is one that the server says may be resumed.
        for cache, has_id in (("off", False), ("none", True)):
            with self.subTest(cache):
                self.secure(f"ssl_session_cache {cache}; ssl_session_tickets off;")
                self.assertEqual(bool(re.search(r"(?m)^ *Session-ID: [0-9A-F]+$", self.s_client("-tls1_2"))), has_id)
                self.proxy.stop()

    def test_the_first_key_encrypts_and_all_decrypt(self):
        self.file("old.key", os.urandom(80))
        self.file("new.key", os.urandom(48))
        context = client_context(maximum=TLS12)
        self.secure("ssl_session_ticket_key old.key;")
        session, _ = self.connects(context)
        self.proxy.stop()
        for name in ("old.key", "new.key"):
            os.replace(self.dir / name, self.dir / f"kept-{name}")
        old, new = (str(self.dir / f"kept-{name}") for name in ("old.key", "new.key"))
        self.secure(f"ssl_session_ticket_key {new}; ssl_session_ticket_key {old};")
        renewed, resumed = self.connects(context, session)
        self.assertTrue(resumed)
        self.proxy.stop()
        # The ticket of the old key was renewed with the new one.
        self.secure(f"ssl_session_ticket_key {new};")
        self.assertTrue(self.connects(context, renewed)[1])
        self.assertFalse(self.connects(context, session)[1])

    def test_a_ticket_begins_with_the_name_of_its_key(self):
        key = os.urandom(80)
        path = self.file("ticket.key", key)
        self.secure(f"ssl_session_ticket_key {path};")
        told = self.s_client("-tls1_2")
        self.assertRegex(told, r"(?m)^ *0000 - " + " ".join(f"{byte:02x}" for byte in key[:8]) + "-")

    def test_tickets_off(self):
        self.secure("ssl_session_tickets off;")
        self.assertNotIn("TLS session ticket:", self.s_client("-tls1_2"))

    @apus_only  # newer than Debian's nginx: keys that all workers share, and change
    def test_keys_change_and_old_tickets_stay_good_for_their_time(self):
        self.secure("ssl_session_cache shared:S:1m; ssl_session_timeout 2s;", workers=3)

        def name():
            return re.search(r"(?m)^ *0000 - (.*?)  ", self.s_client("-tls1_2"))[1]

        first = name()
        self.assertEqual({name() for _ in range(6)}, {first})
        second = wait_until(lambda: (lambda now: now if now != first else None)(name()), "another key")
        self.assertEqual({name() for _ in range(3)} - {first}, {second})

    def test_a_session_is_of_one_identity(self):
        certificate, key = self.authority.issue("other.example.com")
        for cache in ("shared:S:1m", "none"):
            for version in (TLS12, TLS13):
                with self.subTest(cache=cache, version=version):
                    self.file("ticket.key", os.urandom(80))
                    self.secure(
                        f"ssl_session_cache {cache}; ssl_session_ticket_key {self.dir}/ticket.key;",
                        f"}} server {{ listen 127.0.0.1:@same@ ssl; protocol imap; }} server {{ listen 127.0.0.1:@other@ ssl; "
                        f"protocol imap; ssl_certificate {certificate}; ssl_certificate_key {key};")
                    context = client_context(minimum=version, maximum=version)
                    for port, expected in (("same", True), ("other", False)):
                        session, _ = self.connects(context)
                        self.assertEqual(self.connects(context, session, port)[1], expected, port)
                    self.proxy.stop()

    def test_the_lifetime_that_a_ticket_promises(self):
        self.secure("ssl_session_timeout 90;")
        self.assertIn("lifetime hint: 90 (seconds)", self.s_client("-tls1_2"))


class Authorities(SettingsTest):
    """ssl_client_certificate, ssl_trusted_certificate, ssl_verify_depth, ssl_crl"""

    def setUp(self):
        super().setUp()
        self.middle = self.intermediate(self.authority, "Middle CA")
        self.low = self.intermediate(self.middle, "Low CA")
        self.direct = self.authority.issue("direct")
        self.through_one = self.chained(self.middle.issue("one"), self.middle)
        self.through_two = self.chained(self.low.issue("two"), self.low, self.middle)

    def intermediate(self, parent, name):
        """An authority that another one has signed."""
        made = Authority(self.dir, name)
        extensions = self.file("ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n")
        request = self.dir / "ca.csr"
        openssl("req", "-new", "-key", made.key, "-subj", f"/CN={name}", "-out", request)
        parent.serial += 1
        openssl("x509", "-req", "-in", request, "-CA", parent.certificate, "-CAkey", parent.key, "-extfile", extensions,
                "-set_serial", str(parent.serial), "-days", "30", "-out", made.certificate)
        return made

    def chained(self, pair, *authorities):
        certificate, key = pair
        certificate.write_text("".join(path.read_text() for path in (
            certificate, *(authority.certificate for authority in authorities))))
        return pair

    def presents(self, pair):
        return self.connect(self.proxy.ports["imap"], tls=client_context(*pair) if pair else client_context())

    def accepted(self, pair):
        self.presents(pair).hears(GREETING)

    def refused(self, pair, pattern, line=REFUSED):
        wire = self.presents(pair)
        wire.hears(line)
        wire.hears_end()
        found = self.proxy.lines("client SSL certificate verify error|no required")[-1]
        self.assertRegex(found, pattern)

    def trusting(self, more="", which="ssl_client_certificate"):
        return self.secure(f"{which} {self.authority.certificate}; ssl_verify_client on; {more}")

    def test_depth(self):
        for depth, taken, refused in (
            ("ssl_verify_depth 0;", [self.direct], [self.through_one, self.through_two]),
            ("", [self.direct, self.through_one], [self.through_two]),
            ("ssl_verify_depth 2;", [self.direct, self.through_one, self.through_two], []),
        ):
            with self.subTest(depth):
                self.trusting(depth)
                for pair in taken:
                    self.accepted(pair)
                for pair in refused:
                    # nginx names the last fault that the library found, Apus the worst.
                    self.refused(pair, r"client SSL certificate verify error: \((20:unable to get local issuer certificate|"
                                       r"22:certificate chain too long)\)" if REFERENCE else
                                 r"client SSL certificate verify error: \(22:certificate chain too long\)")
                self.proxy.stop()

    def test_announced_and_trusted_only(self):
        for which, announced in (("ssl_client_certificate", True), ("ssl_trusted_certificate", False)):
            if REFERENCE and not announced:
                continue  # newer than Debian's nginx
            with self.subTest(which):
                self.trusting(which=which)
                self.accepted(self.direct)
                self.refused(None, "client sent no required SSL certificate", MISSING)
                told = self.s_client("-tls1_2")
                self.assertEqual("Acceptable client certificate CA names" in told, announced, told)
                self.proxy.stop()

    def test_several_authorities_in_one_file(self):
        other = Authority(self.dir, "Other CA")
        both = self.file("both.pem", self.authority.certificate.read_text() + other.certificate.read_text())
        self.secure(f"ssl_client_certificate {both}; ssl_verify_client on;")
        self.accepted(self.direct)
        self.accepted(other.issue("stranger"))
        told = self.s_client("-tls1_2")
        for name in ("Test CA", "Other CA"):
            self.assertRegex(told.partition("Acceptable client certificate CA names")[2], rf"CN ?= ?{name}")

    def revocations(self, authority, *revoked):
        """The PEM text of this authority's list."""
        (self.dir / "index.txt").write_text("")
        (self.dir / "ca.cnf").write_text(
            f"[ca]\ndefault_ca = d\n[d]\ndatabase = {self.dir}/index.txt\ndefault_md = sha256\ndefault_crl_days = 5\n")
        words = ("ca", "-config", self.dir / "ca.cnf", "-cert", authority.certificate, "-keyfile", authority.key)
        for certificate in revoked:
            openssl(*words, "-revoke", certificate)
        openssl(*words, "-gencrl", "-out", self.dir / "list.pem")
        return (self.dir / "list.pem").read_text()

    def test_revocation_lists(self):
        top, middle = self.revocations(self.authority), self.revocations(self.middle)
        revoked = r"client SSL certificate verify error: \(23:certificate revoked\)"
        none = r"client SSL certificate verify error: \(3:unable to get certificate CRL\)"
        for lists, outcomes in (
            (top + middle, {self.direct: None, self.through_one: None}),
            (top, {self.direct: None, self.through_one: none}),
            (self.revocations(self.authority, self.direct[0]) + middle, {self.direct: revoked, self.through_one: None}),
            (top + self.revocations(self.middle, self.through_one[0]), {self.direct: None, self.through_one: revoked}),
            (self.revocations(self.authority, self.middle.certificate) + middle,
             {self.direct: None, self.through_one: revoked}),
        ):
            with self.subTest(outcomes.values()):
                self.trusting(f"ssl_crl {self.file('lists.pem', lists)};")
                for pair, pattern in outcomes.items():
                    self.refused(pair, pattern) if pattern else self.accepted(pair)
                self.proxy.stop()

    def test_a_revoked_certificate_is_never_tolerated(self):
        self.file("lists.pem", self.revocations(self.authority, self.direct[0]))
        self.secure(f"ssl_client_certificate {self.authority.certificate}; ssl_verify_client optional_no_ca; "
                    "ssl_crl lists.pem;")
        self.refused(self.direct, r"\(23:certificate revoked\)")

    @apus_only
    def test_an_unknown_authority_hides_no_other_fault(self):
        certificate, key = Authority(self.dir, "Other CA").issue("old")
        other = self.dir / "other-ca"
        openssl("x509", "-req", "-in", self.dir / "old.csr", "-CA", f"{other}.pem", "-CAkey", f"{other}.key",
                "-set_serial", "9", "-days", "-1", "-out", certificate)
        self.secure(f"ssl_client_certificate {self.authority.certificate}; ssl_verify_client optional_no_ca;")
        self.refused((certificate, key), r"\(10:certificate has expired\)")

    def test_what_each_protocol_says(self):
        self.secure(
            f"ssl_client_certificate {self.authority.certificate}; ssl_verify_client on;",
            "} server { listen 127.0.0.1:@pop3@ ssl; protocol pop3; } "
            "server { listen 127.0.0.1:@smtp@ ssl; protocol smtp;")
        stranger = Authority(self.dir, "Other CA").issue("stranger")
        for port, error, missing in (
            ("imap", REFUSED, MISSING),
            ("pop3", "-ERR SSL certificate error", "-ERR No required SSL certificate"),
            ("smtp", "421 4.7.1 SSL certificate error", "421 4.7.1 No required SSL certificate"),
        ):
            for pair, line in ((stranger, error), (None, missing)):
                with self.subTest(line):
                    wire = self.connect(self.proxy.ports[port], tls=client_context(*pair) if pair else client_context())
                    wire.hears(line)
                    wire.hears_end()

    def test_a_refused_session_is_not_resumed(self):
        self.trusting("ssl_session_cache shared:S:1m; ssl_session_tickets off;")
        stranger = Authority(self.dir, "Other CA").issue("stranger")
        context = client_context(*stranger, maximum=TLS12)
        wire = self.connect(self.proxy.ports["imap"], tls=context)
        wire.hears(REFUSED)
        wire.hears_end()
        again = self.connect(self.proxy.ports["imap"], tls=context, session=wire.sock.session)
        self.assertFalse(again.sock.session_reused)
        again.hears(REFUSED)

    def test_a_resumed_session_still_has_its_certificate(self):
        backend = Backend()
        self.trusting("ssl_session_cache shared:S:1m;", which="ssl_client_certificate")
        for version in (TLS12, TLS13):
            with self.subTest(version):
                context = client_context(*self.direct, minimum=version, maximum=version)
                wire = self.connect(self.proxy.ports["imap"], tls=context)
                wire.hears(GREETING)
                again = self.connect(self.proxy.ports["imap"], tls=context, session=wire.sock.session)
                self.assertTrue(again.sock.session_reused)
                again.hears(GREETING)
                self.log_in(again)
                request = self.auth.requests[-1]
                self.assertEqual(request.header("Auth-SSL-Verify"), "SUCCESS")
                self.assertEqual(request.header("Auth-SSL-Subject"), "CN=direct")

    def test_names_as_the_service_hears_them(self):
        pair = self.authority.issue("odd", subject="/O=A, B/OU=x+y/CN=o\"dd\\n<é>")
        self.trusting()
        wire = self.presents(pair)
        wire.hears(GREETING)
        self.log_in(wire)
        expected = openssl("x509", "-in", pair[0], "-noout", "-subject", "-nameopt", "RFC2253").strip()
        self.assertEqual("subject=" + self.auth.requests[-1].header("Auth-SSL-Subject"), expected)


class ReadOnce(SettingsTest):
    """ssl_object_cache_inheritable"""

    def keeps(self, setting):
        """Whether a certificate rewritten in place, with its old time, is still the old one after a reload."""
        fresh, fresh_key = self.authority.issue("fresh.example.com")
        self.secure(main=setting)
        for path, other in ((self.certificate, fresh), (self.key, fresh_key)):
            facts = os.stat(path)
            path.write_bytes(other.read_bytes())
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        self.reloads()
        return "mail.example.com" in subject(self.handshakes().sock, self.dir)

    @apus_only  # newer than Debian's nginx
    def test_on(self):
        self.assertTrue(self.keeps(""))

    @apus_only  # newer than Debian's nginx
    def test_off(self):
        self.assertFalse(self.keeps("ssl_object_cache_inheritable off;"))

    def test_a_replaced_file_is_read(self):
        self.secure()
        fresh, key = self.authority.issue("fresh.example.com")
        os.replace(fresh, self.certificate)
        os.replace(key, self.key)
        self.reloads()
        self.assertIn("fresh.example.com", subject(self.handshakes().sock, self.dir))
