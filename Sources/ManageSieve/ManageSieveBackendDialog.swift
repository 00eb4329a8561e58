import ApusMail

/// Logs in to the server behind with AUTHENTICATE PLAIN and an initial response (RFC 5804 §2.1); its reply is the
/// client's.
struct ManageSieveBackendDialog: BackendDialog {
    private enum Stage { case greeting, login }

    private let user: [UInt8]
    private let password: Secret
    private var stage = Stage.greeting
    private var reader = ResponseReader(admitsStrings: true)

    /// - Throws: ``Bug`` when user or password have a NUL, whoever they came from: it separates them (RFC 4616 §2).
    init(user: [UInt8], password: Secret) throws(Bug) {
        guard !user.contains(0), password.withBytes({ $0.firstIndex(of: 0) }) == nil else {
            throw Bug("what goes into PLAIN has no NUL")
        }
        (self.user, self.password) = (user, password)
    }

    mutating func receive(_ input: Span<UInt8>) -> BackendStep {
        switch reader.read(input) {
        case .needMoreInput: return .needMoreInput
        case .malformed(let line): return .unexpected(quoted: line)
        case .complete(let last, let end):
            guard input.extracting(last).isAcceptance else { return .unexpected(quoted: last) }
            switch stage {
            case .greeting:
                // More than the greeting: whatever came next would be taken for the answer to AUTHENTICATE.
                guard end == input.count else { return .unexpected(quoted: 0..<input.count) }
                // Everything is said with the command: a challenge would be left without an answer.
                (stage, reader) = (.login, ResponseReader(admitsStrings: false))
                return .send(command, activity: "sending AUTHENTICATE command to upstream")
            case .login:
                // What comes behind the reply is the client's already.
                return .loggedIn(reply: input.bytes)
            }
        }
    }

    private var command: Secret {
        let response = Secret(joining: [.text("\0"), .bytes(user), .text("\0"), .secret(password)])
        var encoded = response.withBytes { Base64.encode($0) }
        defer { encoded.withUnsafeMutableBytes { wipe($0) } }
        let text = Secret(encoded.span)
        // A quoted string has 1024 bytes at most (RFC 5804 §4).
        guard text.count > 1024 else {
            return Secret(joining: [.text("AUTHENTICATE \"PLAIN\" \""), .secret(text), .text("\"\r\n")])
        }
        let size = "{\(text.count)+}\r\n".bytes
        return Secret(joining: [.text("AUTHENTICATE \"PLAIN\" "), .bytes(size), .secret(text), .text("\r\n")])
    }
}

extension Span where Element == UInt8 {
    /// `OK`, as a word of its own.
    fileprivate var isAcceptance: Bool {
        count >= 2 && extracting(0..<2).spells("OK") && (count == 2 || self[2] == 0x20)
    }
}
