import ApusMail

/// Logs in to the server behind with LOGIN (RFC 9051 §6.2.3), under the client's own tag, so that the server's last
/// reply is the client's.
///
/// User and password go as literals, byte for byte. Where the greeting says that the server takes literals without
/// being asked, everything is one write, which spares two round trips.
struct IMAPBackendDialog: BackendDialog {
    private enum Stage { case greeting, userName, password, login }

    /// With a space behind it.
    private let tag: [UInt8]
    private let user: [UInt8]
    private let password: Secret
    private var stage = Stage.greeting
    /// Login: the start of the first line that was not skipped.
    private var lineStart = 0
    /// Login: there is no line feed before this.
    private var scanned = 0

    init(tag: [UInt8], user: [UInt8], password: Secret) {
        (self.tag, self.user, self.password) = (tag, user, password)
    }

    mutating func receive(_ input: Span<UInt8>) -> BackendStep {
        if stage == .login { return finish(input) }
        guard input.count >= 4, input[input.count - 2] == 0x0D, input[input.count - 1] == 0x0A else {
            return .needMoreInput
        }
        switch stage {
        case .greeting:
            guard input.starts(with: "* OK"), isClean(input) else { return unexpected(input) }
            return sendLogin(LiteralSupport(greeting: input))
        case .userName:
            guard input.starts(with: "+"), isClean(input) else { return unexpected(input) }
            stage = .password
            return .send(
                Secret(joining: [.bytes(user), .text(" "), .bytes(literal(password.count))]),
                activity: "sending user name to upstream")
        case .password:
            guard input.starts(with: "+"), isClean(input) else { return unexpected(input) }
            stage = .login
            return .send(
                Secret(joining: [.secret(password), .text("\r\n")]), activity: "sending password to upstream")
        case .login:
            return finish(input)
        }
    }

    private mutating func sendLogin(_ support: LiteralSupport) -> BackendStep {
        let activity: StaticString = "sending LOGIN command to upstream"
        guard support.admits(byteCount: user.count), support.admits(byteCount: password.count) else {
            stage = .userName
            return .send(
                Secret(joining: [.bytes(tag), .text("LOGIN "), .bytes(literal(user.count))]), activity: activity)
        }
        stage = .login
        let command = Secret(joining: [
            .bytes(tag), .text("LOGIN "), .bytes(literal(user.count, "+")), .bytes(user), .text(" "),
            .bytes(literal(password.count, "+")), .secret(password), .text("\r\n"),
        ])
        return .send(command, activity: activity)
    }

    private func literal(_ byteCount: Int, _ plus: StaticString = "") -> [UInt8] { "{\(byteCount)\(plus)}\r\n".bytes }

    /// Skips the untagged lines before the tagged one, such as the new capabilities; each line is looked at once.
    ///
    /// What comes behind the tagged line is the client's already: a server may go on at once.
    private mutating func finish(_ input: Span<UInt8>) -> BackendStep {
        while let end = input.firstIndex(of: 0x0A, from: max(lineStart, scanned)) {
            guard input.count - lineStart >= 4 else { break }
            let line = input.extracting(lineStart...end)
            guard line.starts(with: "* "), isClean(line) else {
                return isAcceptance(line) && isClean(line) ? .loggedIn(reply: input.bytes) : unexpected(input)
            }
            lineStart = end + 1
        }
        if input.count - lineStart >= 4 { scanned = input.count }
        return .needMoreInput
    }

    /// `TAG OK`, exactly, as a word of its own.
    private func isAcceptance(_ reply: Span<UInt8>) -> Bool {
        guard reply.count > tag.count else { return false }
        for index in 0..<tag.count where reply[index] != tag[index] { return false }
        let status = reply.extracting(tag.count...)
        return status.starts(with: "OK ") || status.starts(with: "OK\r")
    }

    /// No IMAP reply has a NUL in it (RFC 9051 §9).
    private func isClean(_ reply: Span<UInt8>) -> Bool { reply.firstIndex(of: 0) == nil }

    private func unexpected(_ input: Span<UInt8>) -> BackendStep {
        var end = input.count
        if end > 0, input[end - 1] == 0x0A { end -= 1 }
        if end > 0, input[end - 1] == 0x0D { end -= 1 }
        return .unexpected(quoted: min(lineStart, end)..<end)
    }
}
