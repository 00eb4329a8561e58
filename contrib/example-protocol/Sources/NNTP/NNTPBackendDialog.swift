import ApusMail

/// Logs in to the server behind with AUTHINFO USER and PASS (RFC 4643 §2.3); its last reply is the client's.
struct NNTPBackendDialog: BackendDialog {
    private enum Stage { case greeting, user, password }

    let user: [UInt8]
    let password: Secret
    private var stage = Stage.greeting

    /// - Throws: ``Bug`` when a line's end in user or password would be a command of its own, whoever they came from.
    init(user: [UInt8], password: Secret) throws(Bug) {
        guard !user.span.hasControlCharacter, !password.withBytes({ $0.hasControlCharacter }) else {
            throw Bug("what goes into AUTHINFO has no control characters")
        }
        (self.user, self.password) = (user, password)
    }

    mutating func receive(_ input: Span<UInt8>) -> BackendStep {
        guard let lineEnd = input.firstIndex(of: 0x0A) else { return .needMoreInput }
        // The client would take a second reply as the answer to its next command.
        guard lineEnd == input.count - 1 else { return .malformed(quoted: 0..<input.count) }
        switch stage {
        case .greeting where input.starts(with: "200") || input.starts(with: "201"):
            stage = .user
            return .send(
                Secret(joining: [.text("AUTHINFO USER "), .bytes(user), .text("\r\n")]),
                activity: "sending user name to upstream")
        case .user where input.starts(with: "381"):
            stage = .password
            return .send(
                Secret(joining: [.text("AUTHINFO PASS "), .secret(password), .text("\r\n")]),
                activity: "sending password to upstream")
        case .user where input.starts(with: "281"), .password where input.starts(with: "281"):
            return .loggedIn(reply: input.bytes)
        case .greeting, .user, .password:
            let line = 0..<(lineEnd > 0 && input[lineEnd - 1] == 0x0D ? lineEnd - 1 : lineEnd)
            let isRefusal = input.starts(with: "4") || input.starts(with: "5")
            return isRefusal ? .unexpected(quoted: line) : .malformed(quoted: line)
        }
    }
}
