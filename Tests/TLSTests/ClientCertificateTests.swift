import COpenSSL
import TLS
import Testing

@Suite struct `Client certificates` {
    private static var ca: String { "ssl_client_certificate ca.pem; " }

    @Test(
        arguments: [
            ("ssl_verify_client off;", "client", .none),
            (ca + "ssl_verify_client on;", nil, .missing),
            (ca + "ssl_verify_client on;", "client", .none),
            ("ssl_trusted_certificate ca.pem; ssl_verify_client on;", "client", .none),
            (ca + "ssl_verify_client on;", "self", .bad(code: 18, text: "self-signed certificate")),
            (ca + "ssl_verify_client optional;", nil, .none),
            (
                ca + "ssl_verify_client optional;", "stranger",
                .bad(code: 21, text: "unable to verify the first certificate")
            ),
            ("ssl_verify_client optional_no_ca;", nil, .none),
            ("ssl_verify_client optional_no_ca;", "self", .none),
            (ca + "ssl_verify_client optional_no_ca;", "stranger", .none),
            (ca + "ssl_crl crl.pem; ssl_verify_client on;", "client", .none),
            (ca + "ssl_crl crl.pem; ssl_verify_client on;", "revoked", .bad(code: 23, text: "certificate revoked")),
            (
                ca + "ssl_crl crl.pem; ssl_verify_client optional_no_ca;", "stranger",
                .bad(code: 3, text: "unable to get certificate CRL")
            ),
        ] as [(String, String?, ClientCertificateRefusal)])
    func `are judged after the handshake`(text: String, name: String?, expected: ClientCertificateRefusal) throws {
        for version in [TLS1_2_VERSION, TLS1_3_VERSION] {
            let context = try Load().context(text)
            let connection = try Connection(context, ClientOptions(newest: version, certificate: name))
            #expect(try connection.handshake() == .done)
            #expect(connection.onServer { $0.clientCertificateRefusal(for: context.settings) } == expected)
        }
    }

    @Test func `are described for the authentication service`() throws {
        let context = try Load().context(Self.ca + "ssl_verify_client optional_no_ca;")
        let connection = try Connection(context, ClientOptions(certificate: "client"))
        try connection.handshake()
        let found = connection.onServer { $0.clientCertificate() }
        #expect(found.summary == "SUCCESS")
        #expect(found.presented?.subject == "CN=client,O=Test")
        #expect(found.presented?.issuer == "CN=ca,O=Test")
        #expect(found.presented?.serial == "0A0B0C")
        #expect(found.presented?.fingerprint.count == 40)
        #expect(connection.onServer { $0.clientCertificatePEM() } == Array(Fixture.text("client.pem").utf8))

        let none = try Connection(context)
        try none.handshake()
        #expect(none.onServer { $0.clientCertificate() }.summary == "NONE")
        #expect(none.onServer { $0.clientCertificatePEM() } == nil)

        let own = try Connection(context, ClientOptions(certificate: "self"))
        try own.handshake()
        #expect(own.onServer { $0.clientCertificate() }.summary == "FAILED:self-signed certificate")
    }

    @Test func `are remembered by a resumed session`() throws {
        let context = try Load().context(Self.ca + "ssl_verify_client on;")
        let options = ClientOptions(certificate: "self")
        let first = try Connection(context, options)
        try first.handshake()
        let session = first.session()
        defer { SSL_SESSION_free(session) }
        let second = try Connection(context, options, resuming: session)
        try second.handshake()
        #expect(second.facts.isResumed)
        #expect(
            second.onServer { $0.clientCertificateRefusal(for: context.settings) }
                == .bad(code: 18, text: "self-signed certificate"))
    }
}
