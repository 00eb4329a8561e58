import CLinux
import COpenSSL
import Glibc
import TLS
import Testing

@Suite struct `Loading of TLS settings` {
    @Test(
        arguments: [
            (
                "ssl_certificate none.pem; ssl_certificate_key server.key;",
                "cannot load certificate \"none.pem\": BIO_new_file() failed (SSL: error:80000002:system library::"
                    + "No such file or directory:calling fopen(none.pem, r) error:10000080:BIO routines::no such file)"
            ),
            (
                "ssl_certificate rubbish; ssl_certificate_key server.key;",
                "cannot load certificate \"rubbish\": PEM_read_bio_X509_AUX() failed (SSL: error:0480006C:"
                    + "PEM routines::no start line:Expecting: TRUSTED CERTIFICATE)"
            ),
            (
                "ssl_certificate server.pem; ssl_certificate_key none.key;",
                "cannot load certificate key \"none.key\": BIO_new_file() failed (SSL: error:80000002:system library::"
                    + "No such file or directory:calling fopen(none.key, r) error:10000080:BIO routines::no such file)"
            ),
            (
                "ssl_certificate server.pem; ssl_certificate_key rubbish;",
                "cannot load certificate key \"rubbish\": PEM_read_bio_PrivateKey() failed (SSL: "
            ),
            (
                "ssl_certificate server.pem; ssl_certificate_key locked.key;",
                "cannot load certificate key \"locked.key\": PEM_read_bio_PrivateKey() failed (SSL: "
            ),
            (
                "ssl_certificate server.pem; ssl_certificate_key locked.key; ssl_password_file badpasswords;",
                "cannot load certificate key \"locked.key\": PEM_read_bio_PrivateKey() failed (SSL: "
            ),
            (
                "ssl_certificate server.pem; ssl_certificate_key other.key;",
                "SSL_CTX_use_PrivateKey(\"other.key\") failed (SSL: error:05800074:x509 certificate routines::"
                    + "key values mismatch)"
            ),
            ("ssl_certificate server.pem; ssl_certificate_key engine:x;", "cannot load certificate key \"engine:x\": "),
            (
                "ssl_certificate server.pem; ssl_certificate_key engine:nosuch:x;",
                "cannot load certificate key \"engine:nosuch:x\": ENGINE_by_id() failed (SSL: "
            ),
            (
                "ssl_certificate server.pem; ssl_certificate_key store:file:/nosuch;",
                "cannot load certificate key \"store:file:/nosuch\": OSSL_STORE_open() failed (SSL: "
            ),
            (
                "ssl_ciphers NONE;",
                "SSL_CTX_set_cipher_list(\"NONE\") failed (SSL: error:0A0000B9:SSL routines::no cipher match)"
            ),
            ("ssl_ecdh_curve nosuch;", "SSL_CTX_set1_curves_list(\"nosuch\") failed"),
            ("ssl_dhparam none.pem;", "BIO_new_file(\"none.pem\") failed (SSL: error:80000002:"),
            ("ssl_dhparam rubbish;", "PEM_read_bio_Parameters(\"rubbish\") failed (SSL: "),
            ("ssl_conf_command Nosuch x;", "SSL_CONF_cmd(\"Nosuch\", \"x\") failed (SSL: "),
            ("ssl_verify_client on;", "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client"),
            (
                "ssl_client_certificate none.pem; ssl_verify_client on;",
                "cannot load certificate \"none.pem\": BIO_new_file() failed"
            ),
            ("ssl_crl none.pem;", "cannot load CRL \"none.pem\": BIO_new_file() failed (SSL: "),
            ("ssl_crl rubbish;", "cannot load CRL \"rubbish\": PEM_read_bio_X509_CRL() failed (SSL: "),
            ("ssl_session_ticket_key none;", "open() \"none\" failed (2: No such file or directory) in conf"),
            ("ssl_session_ticket_key key47;", "\"key47\" must be 48 or 80 bytes"),
            ("ssl_password_file none;", "open() \"none\" failed (2: No such file or directory) in conf"),
            ("ssl_password_file longpasswords;", "too long line in \"longpasswords\""),
            (
                "ssl_certificate server.pem;",
                "no \"ssl_certificate_key\" is defined for the \"starttls\" directive in F:7"
            ),
            (
                "ssl_certificate server.pem; ssl_certificate rsa.pem; ssl_certificate_key server.key;",
                "no \"ssl_certificate_key\" is defined for certificate \"rsa.pem\" and the \"starttls\" directive in F:7"
            ),
            ("ssl_session_cache shared:A;", "invalid session cache \"shared:A\" in conf"),
            ("ssl_session_cache ON;", "invalid session cache \"ON\" in conf"),
            ("ssl_session_cache builtin:x;", "invalid session cache \"builtin:x\" in conf"),
            ("ssl_session_cache shared:A:31k;", "session cache \"shared:A:31k\" is too small in conf"),
            (
                "ssl_session_cache shared:Z:1m; server { ssl_session_cache shared:Z:2m; }",
                "the size 2097152 of shared memory zone \"Z\" conflicts with already declared size 1048576 in conf"
            ),
            ("ssl_protocols TLSv9;", "invalid value \"TLSv9\" in conf"),
            ("ssl_session_timeout x;", "\"ssl_session_timeout\" directive invalid value in conf"),
            (
                "ssl_password_file passwords; ssl_password_file passwords;",
                "\"ssl_password_file\" directive is duplicate in conf"
            ),
        ])
    func `fails in the operator's words`(text: String, message: String) {
        let found = Load().failure(text)
        #expect(found.hasPrefix(message), "\(found)")
    }

    @Test func `fails without a certificate`() throws {
        let load = Load()
        #expect(throws: (any Error).self) { try load.context(load.settings("")[0]) }
    }

    @Test(
        arguments: [
            "ssl_ciphers HIGH:NOSUCH;", "ssl_dhparam dh.pem;", "ssl_ecdh_curve X25519:prime256v1;",
            "ssl_conf_command Options PrioritizeChaCha; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;",
            "ssl_certificate chain.pem; ssl_certificate_key locked.key; ssl_password_file passwords;",
            "ssl_certificate server.pem; ssl_certificate_key server.key; ssl_certificate rsa.pem; ssl_certificate_key rsa.key;",
            "ssl_certificate server.pem; ssl_certificate_key store:file:\(Fixture.path("server.key"));",
            "ssl_certificate 'data:\(Fixture.text("server.pem"))'; ssl_certificate_key 'data:\(Fixture.text("server.key"))';",
            "ssl_protocols SSLv2 SSLv3 TLSv1 TLSv1.1 TLSv1.2;", "ssl_session_cache off;",
            "ssl_session_cache builtin:10 shared:A:64k;",
            "ssl_conf_command Certificate rsa.pem; ssl_conf_command PrivateKey rsa.key;",
            "ssl_session_timeout 1000y;",
        ])
    func `succeeds, and clients get through`(text: String) throws {
        let context = try Load().context(text)
        #expect(try Connection(context).handshake() == .done)
    }

    @Test func `warns about what this library does not have`() throws {
        let load = Load()
        _ = try load.context("ssl_protocols TLSv1.2 tlsv1.2;")
        #expect(load.warnings.count == 1)
        #expect(load.warnings.first?.hasPrefix("duplicate value \"tlsv1.2\" in ") == true)
        _ = try load.context("ssl_certificate_compression on;")
        if OpenSSL_version_num() < 0x3020_0000 {
            #expect(
                load.warnings.dropFirst()
                    == ["\"ssl_certificate_compression\" is not supported on this platform, ignored"])
        }
    }

    @Test func `reads passphrases from a FIFO, once, and hands them to inherited keys`() throws {
        let fifo = Fixture.path("fifo")
        #expect(mkfifo(fifo, 0o600) == 0)
        let writer = fork()
        if writer == 0 {
            let descriptor = open(fifo, O_WRONLY)
            _ = write(descriptor, "no\nsecret", 9)
            _exit(0)
        }
        let load = Load()
        let settings = try load.settings(
            "ssl_certificate server.pem; ssl_certificate_key locked.key; server { ssl_password_file fifo; }")
        _ = waitpid(writer, nil, 0)
        #expect(settings[0].passwords?.count == 2)
        #expect(try Connection(load.context(settings[0])).handshake() == .done)
    }

    @Test func `inherits the two parts of ssl_session_cache separately`() throws {
        let settings = try Load().settings(
            """
            server { }
            server { ssl_session_cache off; }
            server { ssl_session_cache shared:B:64k; }
            server { ssl_session_cache builtin:7; }
            ssl_session_cache builtin:5 shared:A:32k;
            """)
        #expect(settings.map(\.sessionCache) == [.builtin(5), .off, .sharedOnly, .builtin(7)])
        #expect(settings.map { $0.sharedCache?.name } == ["A", "A", "B", "A"])
        #expect(settings[2].sharedCache?.size == 65536)
    }

    @Test func `inherits lists all or nothing, and remembers where starttls stands`() throws {
        let settings = try Load().settings(
            """
            ssl_certificate a; ssl_certificate b; starttls on;
            server { ssl_certificate c; }
            server {
            starttls ONLY; }
            """)
        #expect(settings.map(\.certificates) == [["c"], ["a", "b"]])
        #expect(settings.map(\.startTLS) == [.on, .only])
        #expect(settings.map { $0.startTLSPosition?.line } == [2, 5])
    }
}

@Suite struct `Objects read from files` {
    private func copy(_ name: String, to target: String) { Fixture.write(Fixture.text(name), to: target) }

    @Test func `are taken over by a reload while the file is the same`() throws {
        copy("server.pem", to: "a.pem")
        copy("server.key", to: "a.key")
        let text = "ssl_certificate a.pem; ssl_certificate_key a.key;"
        let first = Load()
        _ = try first.context(text)
        var times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
        // The same inode and time, but other contents: not seen.
        utimensat(AT_FDCWD, Fixture.path("a.pem"), &times, 0)
        let second = Load(inheriting: first.objects)
        _ = try second.context(text)
        Fixture.write("rubbish", to: "a.pem")
        utimensat(AT_FDCWD, Fixture.path("a.pem"), &times, 0)
        let third = Load(inheriting: second.objects)
        _ = try third.context(text)
        #expect(Load().failure(text).hasPrefix("cannot load certificate \"a.pem\""))
    }

    @Test func `are both read again when they do not match`() throws {
        copy("server.pem", to: "b.pem")
        copy("server.key", to: "b.key")
        var times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
        utimensat(AT_FDCWD, Fixture.path("b.pem"), &times, 0)
        let text = "ssl_certificate b.pem; ssl_certificate_key b.key;"
        let first = Load()
        _ = try first.context(text)
        // The certificate seems unchanged, the key does not.
        copy("other.pem", to: "b.pem")
        copy("other.key", to: "b.key.new")
        utimensat(AT_FDCWD, Fixture.path("b.pem"), &times, 0)
        rename(Fixture.path("b.key.new"), Fixture.path("b.key"))
        let second = Load(inheriting: first.objects)
        #expect(try Connection(second.context(text)).handshake() == .done)
    }

    @Test func `are not taken over if they needed a passphrase`() throws {
        copy("locked.key", to: "c.key")
        let text = "ssl_certificate server.pem; ssl_certificate_key c.key;"
        let first = Load()
        _ = try first.context(text + "ssl_password_file passwords;")
        let second = Load(inheriting: first.objects)
        #expect(second.failure(text).hasPrefix("cannot load certificate key \"c.key\": PEM_read_bio_PrivateKey()"))
    }
}
