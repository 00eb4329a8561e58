import ApusMail
import Testing

/// What the server behind says, step by step, and the minutes of it: `send BYTES (ACTIVITY)`, `in: REPLY`,
/// `unexpected: QUOTED`, `more`; CR and LF as `|`.
private struct Server {
    private var dialog: any BackendDialog

    init(user: String = "bob", password: String = "a b ") throws {
        var client = try Service().make().makeClientDialog(Service().client)
        let line = "AUTH PLAIN AGJvYgA\r\n".bytes
        _ = try client.receive(line.span)
        dialog = try client.makeBackendDialog(
            BackendLogin(user: user.bytes, password: Secret(password.bytes), clientAddress: [], method: .plain))
    }

    mutating func receive(_ bytes: [UInt8]) throws -> String {
        switch try dialog.receive(bytes.span) {
        case .needMoreInput: "more"
        case .send(let secret, let activity): "send \(secret.withBytes { text($0.bytes) }) (\(activity))"
        case .loggedIn(let reply): "in: \(text(reply))"
        case .unexpected(let quoted): "unexpected: \(text(Array(bytes[quoted])))"
        case .malformed(let quoted): "malformed: \(text(Array(bytes[quoted])))"
        case .failed(let note): "failed: \(note)"
        }
    }

    private func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.filter { $0 != 0x0D }.map { $0 == 0x0A ? UInt8(ascii: "|") : $0 }, as: UTF8.self)
    }
}

@Suite struct `POP3 dialog with the server behind` {
    private static let greeting = ("+OK ready\r\n", "send USER bob| (sending user name to upstream)")
    private static let user = ("+OK\r\n", "send PASS a b | (sending password to upstream)")

    private static let dialogs: [[(String, String)]] = [
        [greeting, user, ("+OK Logged in.\r\n", "in: +OK Logged in.|")],
        [greeting, user, ("+OK\r\n", "in: +OK|")],
        [greeting, user, ("+OK one\r\n+OK two\r\n", "in: +OK one|+OK two|")],
        [greeting, user, ("-ERR [AUTH] wrong\r\n", "unexpected: -ERR [AUTH] wrong")],
        [greeting, user, ("+ok\r\n", "unexpected: +ok")],
        [greeting, ("-ERR no\r\n", "unexpected: -ERR no")],
        [("-ERR busy\r\n", "unexpected: -ERR busy")],
        [("* OK imap\r\n", "unexpected: * OK imap")],
        [(" +OK\r\n", "unexpected:  +OK")],
        [("\r\n\r\n", "unexpected: |")],
        [("+O\r\n", "unexpected: +O")],
    ]

    @Test func `follows the table, at every truncation`() throws {
        for dialog in Self.dialogs {
            var whole = try Server()
            for (reply, expected) in dialog { #expect(try whole.receive(reply.bytes) == expected) }
            guard let (last, expected) = dialog.last else { continue }
            let bytes = last.bytes
            for end in bytes.indices {
                var server = try Server()
                for (reply, _) in dialog.dropLast() { _ = try server.receive(reply.bytes) }
                let early = try server.receive(Array(bytes[..<end]))
                // Several lines: the first may already decide, as it may in nginx.
                if early != "more" { continue }
                #expect(try server.receive(bytes) == expected)
            }
        }
    }

    @Test func `waits for whole lines`() throws {
        var server = try Server()
        for part in ["", "+", "+OK", "+OK hi\r", "+OK hi\n", "+OK hi\r\n+", "\r\n"] {
            #expect(try server.receive(part.bytes) == "more")
        }
        #expect(try server.receive("+OK hi\r\n".bytes) == Self.greeting.1)
    }

    @Test(arguments: ["b\rb", "b\nb", "b\r\nPASS x", "b\0b", "b\tb", "b\u{7F}"])
    func `sends no control characters, whoever they came from`(text: String) throws {
        #expect(throws: ApusMail.Bug.self) { _ = try Server(user: text) }
        #expect(throws: ApusMail.Bug.self) { _ = try Server(password: text) }
    }

    @Test func `sends user and password byte for byte`() throws {
        var server = try Server(user: " ü  \"b", password: "")
        #expect(try server.receive("+OK\r\n".bytes).hasPrefix("send USER  ü  \"b| "))
        #expect(try server.receive("+OK\r\n".bytes).hasPrefix("send PASS | "))
    }
}
