import Testing

@testable import TLS

@Suite struct `Facts of certificates` {
    @Test func `the server's own, and no client's`() throws {
        let connection = try Connection(try Load().context(""))
        try connection.handshake()
        #expect(
            connection.onServer { $0.certificateFacts }
                == CertificateFacts(client: nil, signatureAlgorithm: "ecdsa-with-SHA256", key: "EC256"))
    }

    @Test func `an RSA key`() throws {
        let connection = try Connection(try Load().context("ssl_certificate rsa.pem; ssl_certificate_key rsa.key;"))
        try connection.handshake()
        let facts = connection.onServer { $0.certificateFacts }
        #expect(facts.signatureAlgorithm == "RSA-SHA256" && facts.key == "RSA2048")
    }

    @Test(arguments: [("client", 0), ("stranger", 20)]) func `the client's`(name: String, code: Int) throws {
        let context = try Load().context("ssl_verify_client optional_no_ca; ssl_client_certificate ca.pem;")
        var options = ClientOptions()
        options.certificate = name
        let connection = try Connection(context, options)
        try connection.handshake()
        let client = try #require(connection.onServer { $0.certificateFacts }.client)
        #expect(client.commonName == Array(name.utf8))
        #expect((client.verifyCode == 0) == (code == 0))
    }
}
