import ApusMail

/// Tells the server behind who the client is, and gives it the login or the first recipient.
///
/// Every reply is awaited before the next command goes out: some servers hang up on whoever is faster.
struct SMTPBackendDialog: BackendDialog {
    private enum Stage { case greeting, ownHelo, xclient, clientHelo, auth, sender, recipient }

    private let login: BackendLogin
    /// Set when there is no login.
    private let envelope: Envelope?
    /// The client's name; empty when it gave none.
    private let helo: [UInt8]
    private let isExtended: Bool
    private let service: SMTPService
    private var stage = Stage.greeting
    private var reply = Reply()

    init(_ login: BackendLogin, envelope: Envelope?, helo: [UInt8], isExtended: Bool, service: SMTPService) {
        (self.login, self.envelope, self.helo) = (login, envelope, helo)
        (self.isExtended, self.service) = (isExtended, service)
    }

    mutating func receive(_ input: Span<UInt8>) -> BackendStep {
        guard let end = reply.end(in: input) else { return .needMoreInput }
        // Whatever the server says of the recipient is the client's, and so is what follows it.
        if stage == .recipient { return .loggedIn(reply: input.bytes) }
        // More than one reply to one command: whatever came next would be taken for the answer to something else.
        guard end == input.count, isAwaited(input) else { return .unexpected(quoted: 0..<input.count - 2) }
        reply = Reply()
        return proceed()
    }

    /// Whether the first line has the code that lets the dialog go on.
    private func isAwaited(_ input: Span<UInt8>) -> Bool {
        switch stage {
        case .greeting: input.hasCode("220")
        case .ownHelo, .clientHelo, .sender: input.hasCode("250")
        case .xclient: input.hasCode("220") || input.hasCode("250")
        case .auth: input.hasCode("235")
        case .recipient: true
        }
    }

    private mutating func proceed() -> BackendStep {
        switch stage {
        case .greeting:
            stage = .ownHelo
            let word: StaticString = isExtended || service.sendsXCLIENT ? "EHLO " : "HELO "
            return send([.text(word), .bytes(service.serverName)], "sending HELO/EHLO to upstream")
        case .ownHelo:
            guard service.sendsXCLIENT else { return begin() }
            stage = .xclient
            return send([.bytes(xclientCommand)], "sending XCLIENT to upstream")
        case .xclient:
            guard !helo.isEmpty else { return begin() }
            stage = .clientHelo
            return send(
                [.text(isExtended ? "EHLO " : "HELO "), .bytes(helo)], "sending client HELO/EHLO to upstream")
        case .clientHelo:
            return begin()
        case .sender:
            guard let envelope else { return done }
            stage = .recipient
            return send([.bytes(envelope.to)], "sending RCPT TO to upstream")
        case .auth, .recipient:
            return done
        }
    }

    /// The client is introduced: its login, or its mail.
    private mutating func begin() -> BackendStep {
        if let envelope {
            stage = .sender
            return send([.bytes(envelope.from)], "sending MAIL FROM to upstream")
        }
        guard service.authenticatesUpstream else { return done }
        guard let password = login.password else { return .failed(note: "no password available") }
        stage = .auth
        return send(
            [.text("AUTH PLAIN "), .secret(initialResponse(password))], "sending AUTH to upstream")
    }

    private var done: BackendStep { .loggedIn(reply: "235 2.0.0 OK\r\n".bytes) }

    private func send(_ command: [Secret.Part], _ activity: StaticString) -> BackendStep {
        .send(Secret(joining: command + [.text("\r\n")]), activity: activity)
    }

    /// The response of PLAIN (RFC 4616 §2), without an authorisation identity.
    private func initialResponse(_ password: Secret) -> Secret {
        let response = Secret(joining: [.text("\0"), .bytes(login.user), .text("\0"), .secret(password)])
        var encoded = response.withBytes { Base64.encode($0) }
        defer { encoded.withUnsafeMutableBytes { wipe($0) } }
        return Secret(encoded.span)
    }

    // MARK: XCLIENT (Postfix's XCLIENT_README)

    private var xclientCommand: [UInt8] {
        var command = "XCLIENT ADDR=".bytes + address
        if !login.user.isEmpty, !service.authenticatesUpstream { command += " LOGIN=".bytes + xtext(login.user) }
        return command + " NAME=".bytes + hostName
    }

    /// A client on a UNIX socket has none that XCLIENT could name, and Postfix refuses the command for any other word.
    private var address: [UInt8] {
        let address = login.clientAddress
        if address.span.starts(with: "unix:") { return "[UNAVAILABLE]".bytes }
        return (address.contains(0x3A) ? "IPV6:".bytes : []) + address
    }

    /// A name from DNS is somebody else's text (CVE-2026-28753).
    private var hostName: [UInt8] {
        let name = login.clientHostName
        guard !name.isEmpty, !name.span.hasControlCharacter, !name.contains(0x20) else { return "[UNAVAILABLE]".bytes }
        return name
    }

    /// RFC 3461 §4.
    private func xtext(_ bytes: [UInt8]) -> [UInt8] {
        let digits = "0123456789ABCDEF".bytes
        return bytes.flatMap { byte -> [UInt8] in
            switch byte {
            case 0x21...0x7E where byte != 0x2B && byte != 0x3D: [byte]
            default: [0x2B, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
    }
}

/// A reply being received, of one line or several (RFC 5321 §4.2.1).
private struct Reply {
    private var lineStart = 0
    /// There is no line feed before this.
    private var scanned = 0

    /// Where the reply ends; nil when it is not complete, or the input ends inside a line.
    mutating func end(in input: Span<UInt8>) -> Int? {
        guard input.count >= 4, input[input.count - 2] == 0x0D, input[input.count - 1] == 0x0A else { return nil }
        while let feed = input.firstIndex(of: 0x0A, from: max(lineStart, scanned)) {
            if feed - lineStart < 4 || input[lineStart + 3] != 0x2D { return feed + 1 }
            lineStart = feed + 1
        }
        scanned = input.count
        return nil
    }
}

extension Span where Element == UInt8 {
    /// Whether a reply begins with this code, as a word of its own.
    fileprivate func hasCode(_ code: StaticString) -> Bool {
        guard count > 3, starts(with: code) else { return false }
        switch self[3] {
        case 0x20, 0x2D, 0x0D, 0x0A: return true
        default: return false
        }
    }
}
