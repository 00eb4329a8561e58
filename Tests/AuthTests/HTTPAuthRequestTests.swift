import ApusMail
import Auth
import Platform
import Testing

@Suite struct `HTTP authentication requests` {
    static func credentials(
        _ method: AuthenticationMethod = .plain, _ login: String = "bob", _ password: String = "secret",
        salt: String? = nil
    ) -> Credentials {
        Credentials(
            method: method, login: Array(login.utf8), password: Secret(Array(password.utf8)),
            salt: salt.map { Array($0.utf8) })
    }

    static func request(_ credentials: Credentials) -> AuthRequest {
        AuthRequest(
            credentials: credentials, protocolName: "imap", loginAttempt: 1, clientAddress: Array("192.0.2.7".utf8))
    }

    static func service(_ host: String = "localhost", uri: String = "/auth") -> HTTPAuthService {
        HTTPAuthService(
            address: SocketAddress(.ipv4([127, 0, 0, 1]), port: 8080), host: Array(host.utf8), uri: Array(uri.utf8))
    }

    static func text(_ request: AuthRequest, _ writer: HTTPAuthRequest = HTTPAuthRequest(to: service())) throws
        -> String
    {
        try writer.bytes(asking: request).withBytes { String(decoding: $0.bytes as [UInt8], as: UTF8.self) }
    }

    /// The lines between Auth-Login-Attempt and the end, for requests that begin alike.
    private func head(_ method: String, _ user: String, _ pass: String, salt: String? = nil) -> String {
        "GET /auth HTTP/1.0\r\nHost: localhost\r\nAuth-Method: \(method)\r\nAuth-User: \(user)\r\nAuth-Pass: \(pass)\r\n"
            + (salt.map { "Auth-Salt: \($0)\r\n" } ?? "")
            + "Auth-Protocol: imap\r\nAuth-Login-Attempt: 1\r\nClient-IP: 192.0.2.7\r\n"
    }

    @Test func `a password, and nothing else`() throws {
        #expect(try Self.text(Self.request(Self.credentials())) == head("plain", "bob", "secret") + "\r\n")
    }

    @Test(
        arguments: [
            (.cramMD5, "cram-md5", "digest", "<1.2@h>"), (.apop, "apop", "digest", "<1.2@h>"),
            (.external, "external", "", nil), (.plain, "plain", "digest", nil), (.none, "none", "", nil),
            (.xoauth2, "xoauth2", "digest", nil), (.oauthbearer, "oauthbearer", "digest", nil),
        ] as [(AuthenticationMethod, String, String, String?)])
    func `methods say what is theirs`(method: AuthenticationMethod, name: String, pass: String, salt: String?) throws {
        let request = Self.request(Self.credentials(method, "bob", "digest", salt: "<1.2@h>"))
        #expect(try Self.text(request) == head(name, "bob", pass, salt: salt) + "\r\n")
    }

    @Test func `controls, space and percent are escaped, nothing else`() throws {
        let all = String(decoding: (0..<128).map { UInt8($0) }, as: UTF8.self)
        let escaped =
            (0...32).map { "%" + String($0 >> 4, radix: 16).uppercased() + String($0 & 15, radix: 16).uppercased() }
            .joined() + "!\"#$%25" + String(decoding: (38..<128).map { UInt8($0) }, as: UTF8.self)
        #expect(
            try Self.text(Self.request(Self.credentials(.plain, all, all))) == head("plain", escaped, escaped) + "\r\n")
    }

    @Test func `bytes above 0x7F go as they are`() throws {
        let high = (128...255).map { UInt8($0) }
        let credentials = Credentials(method: .plain, login: high, password: Secret(high))
        let bytes = try HTTPAuthRequest(to: Self.service()).bytes(asking: Self.request(credentials))
        let found = bytes.withBytes { $0.bytes as [UInt8] }.filter { $0 >= 128 }
        #expect(found == high + high)
    }

    @Test func `everything, in its order`() throws {
        var credentials = Self.credentials(.none, "", "")
        credentials.envelope = Envelope(
            helo: Array("client.example".utf8), from: Array("MAIL FROM:<a@b>".utf8), to: Array("RCPT TO:<c@d>".utf8))
        var request = Self.request(credentials)
        request.protocolName = "smtp"
        request.loginAttempt = 12
        request.clientHost = Array("[UNAVAILABLE]".utf8)
        request.proxyHeader = ProxyHeaderFacts(
            sourceAddress: Array("198.51.100.1".utf8), sourcePort: 4711, destinationAddress: Array("203.0.113.9".utf8),
            destinationPort: 25)
        request.encryption = EncryptionFacts(
            version: Array("TLSv1.3".utf8), cipher: Array("TLS_AES_256_GCM_SHA384".utf8),
            verification: Array("SUCCESS".utf8), subject: Array("CN=a,O=b".utf8), issuer: Array("CN=ca".utf8),
            serial: Array("0A".utf8), fingerprint: Array("ab12".utf8), certificate: Array("-----BEGIN X\n".utf8))
        var writer = HTTPAuthRequest(to: Self.service("mail.example", uri: "/"))
        writer.addedLines = [Array("X-Key: a b".utf8), Array("X-More: ".utf8)]
        writer.passesCertificate = true
        writer.keepsConnection = true
        let lines = [
            "GET / HTTP/1.0", "Host: mail.example", "Auth-Method: none", "Auth-User: ", "Auth-Pass: ",
            "Auth-Protocol: smtp", "Auth-Login-Attempt: 12", "Client-IP: 192.0.2.7", "Client-Host: [UNAVAILABLE]",
            "Proxy-Protocol-Addr: 198.51.100.1", "Proxy-Protocol-Port: 4711", "Proxy-Protocol-Server-Addr: 203.0.113.9",
            "Proxy-Protocol-Server-Port: 25", "Auth-SMTP-Helo: client.example", "Auth-SMTP-From: MAIL FROM:<a@b>",
            "Auth-SMTP-To: RCPT TO:<c@d>", "Auth-SSL: on", "Auth-SSL-Protocol: TLSv1.3",
            "Auth-SSL-Cipher: TLS_AES_256_GCM_SHA384", "Auth-SSL-Verify: SUCCESS", "Auth-SSL-Subject: CN=a,O=b",
            "Auth-SSL-Issuer: CN=ca", "Auth-SSL-Serial: 0A", "Auth-SSL-Fingerprint: ab12",
            "Auth-SSL-Cert: -----BEGIN%20X%0A", "X-Key: a b", "X-More: ", "Connection: keep-alive", "", "",
        ]
        #expect(try Self.text(request, writer) == lines.joined(separator: "\r\n"))
        // In this order they stand in the manual, but for those that the configuration adds, and one that is not here.
        let names = lines.dropFirst().compactMap { $0.split(separator: ":").first.map(String.init) }
        let documented = HTTPAuthManual.tables[0].rows.flatMap { $0.term.split(separator: ", ").map(String.init) }
        #expect(names.filter { !$0.hasPrefix("X-") } == documented.filter { $0 != "Auth-Salt" })
    }

    @Test(arguments: [("NONE", "Auth-SSL-Verify: NONE\r\n"), ("", "")])
    func `what is not known of TLS is left out`(verification: String, line: String) throws {
        var request = Self.request(Self.credentials())
        request.encryption = EncryptionFacts(
            version: Array("TLSv1.2".utf8), cipher: [], verification: Array(verification.utf8))
        #expect(
            try Self.text(request) == head("plain", "bob", "secret") + "Auth-SSL: on\r\nAuth-SSL-Protocol: TLSv1.2\r\n"
                + line + "\r\n")
    }

    @Test(arguments: [0, 10, 13] as [UInt8], 0..<7)
    func `nothing becomes a line of its own`(byte: UInt8, field: Int) throws {
        let bad = Array("x".utf8) + [byte] + Array("Auth-User: root".utf8)
        var request = Self.request(Self.credentials(.none, "", ""))
        var envelope = Envelope(helo: [], from: [], to: [])
        var encryption = EncryptionFacts(verification: Array("FAILED:x".utf8))
        switch field {
        case 0: envelope.helo = bad
        case 1: envelope.from = bad
        case 2: envelope.to = bad
        case 3: encryption.subject = bad
        case 4: encryption.issuer = bad
        case 5: encryption.verification = bad
        default: request.clientAddress = bad
        }
        request.credentials.envelope = envelope
        request.encryption = encryption
        #expect(throws: AuthFailure.self) { try HTTPAuthRequest(to: Self.service()).bytes(asking: request) }
    }

    @Test func `a host name that is no host name is not told`() throws {
        var request = Self.request(Self.credentials())
        request.clientHost = Array("a\r\nAuth-User: root".utf8)
        #expect(try Self.text(request) == head("plain", "bob", "secret") + "Client-Host: [UNAVAILABLE]\r\n\r\n")
    }
}
