import ApusMail

/// Logs in to the server behind with USER and PASS (RFC 1939 §7); its last reply is the client's.
struct POP3BackendDialog: BackendDialog {
    private enum Stage { case greeting, userName, password }

    private let user: [UInt8]
    private let password: Secret
    private var stage = Stage.greeting

    /// - Throws: ``Bug`` when user or password have control characters, whoever they came from: a line's end in one of
    ///   them would be a command of its own.
    init(user: [UInt8], password: Secret) throws(Bug) {
        guard !user.span.hasControlCharacter, !password.withBytes({ $0.hasControlCharacter }) else {
            throw Bug("what goes into USER and PASS has no control characters")
        }
        (self.user, self.password) = (user, password)
    }

    mutating func receive(_ input: Span<UInt8>) -> BackendStep {
        guard input.count >= 4, input[input.count - 2] == 0x0D, input[input.count - 1] == 0x0A else {
            return .needMoreInput
        }
        guard input.starts(with: "+OK") else { return .unexpected(quoted: 0..<input.count - 2) }
        switch stage {
        case .greeting:
            stage = .userName
            return .send(
                Secret(joining: [.text("USER "), .bytes(user), .text("\r\n")]),
                activity: "sending user name to upstream")
        case .userName:
            stage = .password
            return .send(
                Secret(joining: [.text("PASS "), .secret(password), .text("\r\n")]),
                activity: "sending password to upstream")
        case .password:
            return .loggedIn(reply: input.bytes)
        }
    }
}
