package import ApusMail

/// The request of nginx's HTTP authentication protocol (auth-http.md 1).
package struct HTTPAuthRequest {
    package var service: HTTPAuthService
    /// Lines of `auth_http_header`, without their ends.
    package var addedLines: [[UInt8]] = []
    /// `auth_http_pass_client_cert`.
    package var passesCertificate = false
    /// The service is asked to keep the connection.
    package var keepsConnection = false

    package init(to service: HTTPAuthService) { self.service = service }

    /// The request's bytes; a secret, since the password is inside.
    ///
    /// - Throws: A value that is sent as it is has a CR, LF or NUL in it, and would be read as something else.
    package func bytes(asking request: AuthRequest) throws(AuthFailure) -> Secret {
        var writer = Writer(service: service.name)
        writer.line([.text("GET "), .bytes(service.uri), .text(" HTTP/1.0")])
        writer.line([.text("Host: "), .bytes(service.host)])
        writeCredentials(request, to: &writer)
        try writeClient(request, to: &writer)
        if let envelope = request.credentials.envelope, request.credentials.method == .none {
            try writer.header("Auth-SMTP-Helo", raw: envelope.helo, evenIfEmpty: true)
            try writer.header("Auth-SMTP-From", raw: envelope.from, evenIfEmpty: true)
            try writer.header("Auth-SMTP-To", raw: envelope.to, evenIfEmpty: true)
        }
        if let encryption = request.encryption { try writeEncryption(encryption, to: &writer) }
        for line in addedLines { writer.line([.bytes(line)]) }
        if keepsConnection { writer.line([.text("Connection: keep-alive")]) }
        writer.line([])
        return Secret(joining: writer.parts)
    }

    private func writeCredentials(_ request: AuthRequest, to writer: inout Writer) {
        let credentials = request.credentials
        writer.line([.text("Auth-Method: "), .bytes(Array(credentials.method.rawValue.utf8))])
        writer.line([.text("Auth-User: "), .bytes(Escaping.escaped(credentials.login))])
        switch credentials.method {
        case .plain, .xoauth2, .oauthbearer:
            writer.line([.text("Auth-Pass: "), .secret(Escaping.escaped(credentials.password))])
        case .apop, .cramMD5:
            writer.line([.text("Auth-Pass: "), .secret(Escaping.escaped(credentials.password))])
            writer.line([.text("Auth-Salt: "), .bytes(Escaping.escaped(credentials.salt ?? []))])
        case .external, .none:
            writer.line([.text("Auth-Pass: ")])
        }
        writer.line([.text("Auth-Protocol: "), .bytes(Array(request.protocolName.utf8))])
        writer.line([.text("Auth-Login-Attempt: "), .bytes(Array(String(request.loginAttempt).utf8))])
    }

    private func writeClient(_ request: AuthRequest, to writer: inout Writer) throws(AuthFailure) {
        try writer.header("Client-IP", raw: request.clientAddress, evenIfEmpty: true)
        if let host = request.clientHost {
            // A name from DNS is somebody else's text (CVE-2026-28753).
            let isSafe = !host.span.hasControlCharacter && !host.contains(0x20)
            try writer.header("Client-Host", raw: isSafe ? host : Array("[UNAVAILABLE]".utf8), evenIfEmpty: true)
        }
        if let proxy = request.proxyHeader {
            try writer.header("Proxy-Protocol-Addr", raw: proxy.sourceAddress, evenIfEmpty: true)
            try writer.header("Proxy-Protocol-Port", raw: Array(String(proxy.sourcePort).utf8))
            try writer.header("Proxy-Protocol-Server-Addr", raw: proxy.destinationAddress, evenIfEmpty: true)
            try writer.header("Proxy-Protocol-Server-Port", raw: Array(String(proxy.destinationPort).utf8))
        }
    }

    private func writeEncryption(_ facts: EncryptionFacts, to writer: inout Writer) throws(AuthFailure) {
        writer.line([.text("Auth-SSL: on")])
        try writer.header("Auth-SSL-Protocol", raw: facts.version)
        try writer.header("Auth-SSL-Cipher", raw: facts.cipher)
        guard !facts.verification.isEmpty else { return }
        try writer.header("Auth-SSL-Verify", raw: facts.verification)
        try writer.header("Auth-SSL-Subject", raw: facts.subject)
        try writer.header("Auth-SSL-Issuer", raw: facts.issuer)
        try writer.header("Auth-SSL-Serial", raw: facts.serial)
        try writer.header("Auth-SSL-Fingerprint", raw: facts.fingerprint)
        if passesCertificate { try writer.header("Auth-SSL-Cert", raw: Escaping.escaped(facts.certificate)) }
    }

    private struct Writer {
        let service: [UInt8]
        var parts: [Secret.Part] = []

        init(service: [UInt8]) {
            self.service = service
            parts.reserveCapacity(64)
        }

        mutating func line(_ line: [Secret.Part]) {
            parts += line
            parts.append(.text("\r\n"))
        }

        /// A header whose value is sent as it is.
        mutating func header(_ name: StaticString, raw value: [UInt8], evenIfEmpty: Bool = false) throws(AuthFailure) {
            guard evenIfEmpty || !value.isEmpty else { return }
            guard !value.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else {
                throw AuthFailure(
                    [
                        .text("line end or NUL in "), .text(name), .text(", not sent to auth http server "),
                        .bytes(service),
                    ],
                    level: .info)
            }
            line([.text(name), .text(": "), .bytes(value)])
        }
    }
}

/// How logins, passwords and certificates are written in a header: controls, space and `%` as `%XX` (auth-http.md 1).
enum Escaping {
    static func escaped(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.contains(where: needsEscape) else { return bytes }
        var escaped: [UInt8] = []
        escaped.reserveCapacity(bytes.count + 32)
        for byte in bytes { append(byte) { escaped.append($0) } }
        return escaped
    }

    static func escaped(_ secret: Secret) -> Secret {
        secret.withBytes { bytes in
            let buffer = SecretBuffer(capacity: bytes.count * 3)
            for index in 0..<bytes.count { append(bytes[index], buffer.append) }
            return buffer.secret
        }
    }

    private static func needsEscape(_ byte: UInt8) -> Bool { byte <= 0x20 || byte == 0x25 }

    private static func append(_ byte: UInt8, _ emit: (UInt8) -> Void) {
        guard needsEscape(byte) else { return emit(byte) }
        emit(0x25)
        emit(hexadecimal(byte >> 4))
        emit(hexadecimal(byte & 15))
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x41 - 10 + digit }
}
