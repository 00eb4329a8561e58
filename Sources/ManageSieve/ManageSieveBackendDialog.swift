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
        case .malformed(let line): return .malformed(quoted: line)
        case .complete(let last, let end):
            let line = input.extracting(last)
            guard line.begins(with: "OK") else {
                let isRefusal = line.begins(with: "NO") || line.begins(with: "BYE")
                return isRefusal ? .unexpected(quoted: last) : .malformed(quoted: last)
            }
            switch stage {
            case .greeting:
                // More than the greeting: whatever came next would be taken for the answer to AUTHENTICATE.
                guard end == input.count else { return .malformed(quoted: 0..<input.count) }
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
    /// Whether the word is the first of the line, and whole.
    fileprivate func begins(with word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        return count >= length && extracting(0..<length).spells(word) && (count == length || self[length] == 0x20)
    }
}
