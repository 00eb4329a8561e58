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
        let writer = HTTPRequestWriter(service: service.name)
        writer.line("GET ", service.uri, " HTTP/1.0")
        writer.line("Host: ", service.host)
        writeCredentials(request, to: writer)
        try writeClient(request, to: writer)
        if let envelope = request.credentials.envelope, request.credentials.method == .none {
            try writer.header("Auth-SMTP-Helo", raw: envelope.helo, evenIfEmpty: true)
            try writer.header("Auth-SMTP-From", raw: envelope.from, evenIfEmpty: true)
            try writer.header("Auth-SMTP-To", raw: envelope.to, evenIfEmpty: true)
        }
        if let encryption = request.encryption { try writeEncryption(encryption, to: writer) }
        for line in addedLines { writer.line("", line) }
        if keepsConnection { writer.line("Connection: keep-alive") }
        writer.line("")
        return writer.secret
    }

    private func writeCredentials(_ request: AuthRequest, to writer: HTTPRequestWriter) {
        let credentials = request.credentials
        writer.line("Auth-Method: ", text: credentials.method.rawValue)
        writer.line("Auth-User: ", escaping: credentials.login.span)
        switch credentials.method {
        case .plain, .xoauth2, .oauthbearer:
            credentials.password.withBytes { writer.line("Auth-Pass: ", escaping: $0) }
        case .apop, .cramMD5:
            credentials.password.withBytes { writer.line("Auth-Pass: ", escaping: $0) }
            let salt = credentials.salt ?? []
            writer.line("Auth-Salt: ", escaping: salt.span)
        case .external, .none:
            writer.line("Auth-Pass: ")
        }
        writer.line("Auth-Protocol: ", text: request.protocolName)
        writer.line("Auth-Login-Attempt: ", text: String(request.loginAttempt))
    }

    private func writeClient(_ request: AuthRequest, to writer: HTTPRequestWriter) throws(AuthFailure) {
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

    private func writeEncryption(_ facts: EncryptionFacts, to writer: HTTPRequestWriter) throws(AuthFailure) {
        writer.line("Auth-SSL: on")
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
}

/// Writes the lines of a request into memory that leaves no copy of a password behind.
private struct HTTPRequestWriter {
    private let service: [UInt8]
    private let buffer = SecretBuffer(capacity: 512)

    /// - Parameter service: For messages.
    init(service: [UInt8]) { self.service = service }

    var secret: Secret { buffer.secret }

    func line(_ text: StaticString, _ value: [UInt8] = [], _ rest: StaticString = "") {
        buffer.append(text)
        buffer.append(value)
        buffer.append(rest)
        buffer.append("\r\n")
    }

    func line(_ name: StaticString, text: String) {
        buffer.append(name)
        buffer.append(text.utf8Span.span)
        buffer.append("\r\n")
    }

    func line(_ name: StaticString, escaping value: Span<UInt8>) {
        buffer.append(name)
        Escaping.escape(value, into: buffer)
        buffer.append("\r\n")
    }

    /// A header whose value is sent as it is.
    func header(_ name: StaticString, raw value: [UInt8], evenIfEmpty: Bool = false) throws(AuthFailure) {
        guard evenIfEmpty || !value.isEmpty else { return }
        guard !value.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else {
            throw AuthFailure(
                [
                    .text("line end or NUL in "), .text(name), .text(", not sent to auth http server "),
                    .bytes(service),
                ],
                level: .info)
        }
        buffer.append(name)
        line(": ", value)
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

    static func escape(_ bytes: Span<UInt8>, into buffer: SecretBuffer) {
        for index in 0..<bytes.count { append(bytes[index], buffer.append) }
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
