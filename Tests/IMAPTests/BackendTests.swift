import ApusMail
import Testing

/// What the server behind says, step by step, and the minutes of it: `send BYTES (ACTIVITY)`, `in: REPLY`,
/// `unexpected: QUOTED`, `more`; CR and LF as `|`.
private struct Server {
    private var dialog: any BackendDialog

    init(user: String = "bob", password: String = "secret") throws {
        var client = try Service().make().makeClientDialog(Service().client)
        let line = "a1 LOGIN x y\r\n".bytes
        _ = try client.receive(line.span)
        dialog = try client.makeBackendDialog(
            BackendLogin(user: user.bytes, password: Secret(password.bytes), clientAddress: [], method: .plain))
    }

    mutating func receive(_ bytes: [UInt8]) throws -> String {
        switch try dialog.receive(bytes.span) {
        case .needMoreInput: "more"
        case .send(let secret, let activity): "send \(secret.withBytes { text($0.bytes) }) (\(activity))"
        case .loggedIn(let reply): "in: \(text(reply))"
        case .failed(let note): "failed: \(note)"
        case .unexpected(let quoted): "unexpected: \(text(Array(bytes[quoted])))"
        case .malformed(let quoted): "malformed: \(text(Array(bytes[quoted])))"
        }
    }

    private func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.filter { $0 != 0x0D }.map { $0 == 0x0A ? UInt8(ascii: "|") : $0 }, as: UTF8.self)
    }
}

@Suite struct `IMAP dialog with the server behind` {
    private static let greeting = ("* OK ready\r\n", "send a1 LOGIN {3}| (sending LOGIN command to upstream)")
    private static let user = ("+ OK\r\n", "send bob {6}| (sending user name to upstream)")
    private static let password = ("+ go\r\n", "send secret| (sending password to upstream)")
    private static let upToLogin = [greeting, user, password]
    private static let atOnce = (
        "* OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE] hi\r\n",
        "send a1 LOGIN {3+}|bob {6+}|secret| (sending LOGIN command to upstream)"
    )

    private static let dialogs: [[(String, String)]] = [
        upToLogin + [("a1 OK Logged in\r\n", "in: a1 OK Logged in|")],
        upToLogin + [("a1 OK\r\n", "in: a1 OK|")],
        upToLogin + [("* CAPABILITY IDLE\r\na1 OK in\r\n", "in: * CAPABILITY IDLE|a1 OK in|")],
        upToLogin + [("* A\r\n* B\r\n* C\r\na1 OK in\r\n* D\r\n", "in: * A|* B|* C|a1 OK in|* D|")],
        upToLogin + [("a1 NO wrong\r\n", "unexpected: a1 NO wrong")],
        upToLogin + [("* A\r\n* B\r\na1 NO wrong\r\n", "unexpected: a1 NO wrong")],
        upToLogin + [("a1 ok in\r\n", "unexpected: a1 ok in")],
        upToLogin + [("a1 OKAY\r\n", "unexpected: a1 OKAY")],
        upToLogin + [("a12 OK in\r\n", "unexpected: a12 OK in")],
        upToLogin + [("A1 OK in\r\n", "unexpected: A1 OK in")],
        upToLogin + [("a1 OK \0\r\n", "unexpected: a1 OK \0")],
        upToLogin + [("* \0\r\na1 OK\r\n", "unexpected: * \0|a1 OK")],
        upToLogin + [("+ OK\r\n", "unexpected: + OK")],
        upToLogin + [("* \na1 OK\r\n", "in: * |a1 OK|")],
        [greeting, user, ("a1 BAD no\r\n", "unexpected: a1 BAD no")],
        [greeting, ("* BYE\r\n", "unexpected: * BYE")],
        [greeting, ("+\0\r\n", "unexpected: +\0")],
        [("* PREAUTH hi\r\n", "unexpected: * PREAUTH hi")],
        [("* BYE busy\r\n", "unexpected: * BYE busy")],
        [("* ok hi\r\n", "unexpected: * ok hi")],
        [("* OK \0\r\n", "unexpected: * OK \0")],
        [("\r\n\r\n", "unexpected: |")],
        [("* OK hi\r\n* more\r\n", greeting.1)],
        [atOnce, ("* CAPABILITY X\r\na1 OK in\r\n", "in: * CAPABILITY X|a1 OK in|")],
        [atOnce, ("a1 NO wrong\r\n", "unexpected: a1 NO wrong")],
        [atOnce, ("+ go\r\n", "unexpected: + go")],
    ]

    @Test func `follows the table, at every split`() throws {
        for dialog in Self.dialogs {
            var whole = try Server()
            for (reply, expected) in dialog { #expect(try whole.receive(reply.bytes) == expected) }
            guard let (last, expected) = dialog.last else { continue }
            let bytes = last.bytes
            for end in bytes.indices {
                var server = try Server()
                for (reply, _) in dialog.dropLast() { _ = try server.receive(reply.bytes) }
                let early = try server.receive(Array(bytes[..<end]))
                // Several lines: what comes first may already decide, as it may in nginx.
                if early != "more" { continue }
                #expect(try server.receive(bytes) == expected)
            }
            var slowly = try Server()
            for (reply, _) in dialog.dropLast() { _ = try slowly.receive(reply.bytes) }
            let answers = try bytes.indices.map { try slowly.receive(Array(bytes[...$0])) }
            #expect(answers.contains { $0 != "more" })
        }
    }

    @Test func `waits for whole lines`() throws {
        var server = try Server()
        for part in ["", "*", "* OK", "* OK hi\r", "* OK hi\n", "* OK hi\r\n*"] {
            #expect(try server.receive(part.bytes) == "more")
        }
        #expect(try server.receive("* OK hi\r\n".bytes) == Self.greeting.1)
        #expect(try server.receive("+\r\n".bytes) == "more")  // nginx, too, wants four bytes
        #expect(try server.receive("+ \r\n".bytes) == Self.user.1)
        #expect(try server.receive("+ \r\n".bytes) == Self.password.1)
        for part in ["* A\r\n", "* A\r\n\r\n", "* A\r\na\r\n"] { #expect(try server.receive(part.bytes) == "more") }
    }

    @Test(
        arguments: [
            ("* OK [CAPABILITY LITERAL+] hi", 5000, true),
            ("* OK [capability x literal+] hi", 5000, true),
            ("* OK [CAPABILITY LITERAL-] hi", 4096, true),
            ("* OK [CAPABILITY LITERAL-] hi", 4097, false),
            ("* OK [CAPABILITY LITERAL- LITERAL+] hi", 4097, true),
            ("* OK [CAPABILITY LITERAL+ LITERAL-] hi", 4097, true),
            ("* OK [CAPABILITY  LITERAL+  ] hi", 1, true),
            ("* OK [CAPABILITY LITERAL] hi", 1, false),
            ("* OK [CAPABILITY LITERAL+", 1, false),
            ("* OK [CAPABILITY ]LITERAL+", 1, false),
            ("* OK CAPABILITY LITERAL+]", 1, false),
            ("* OK [X] LITERAL+ ]", 1, false),
            ("* OK [CAPABILITY IDLE]\r\n* OK [CAPABILITY LITERAL+]", 1, false),
        ])
    func `sends all at once where it may`(greeting: String, passwordSize: Int, expected: Bool) throws {
        var server = try Server(password: String(repeating: "x", count: passwordSize))
        #expect(try server.receive((greeting + "\r\n").bytes).contains("{3+}") == expected)
    }

    @Test func `sends user and password byte for byte`() throws {
        var server = try Server(user: "b\"\r\nb", password: "")
        #expect(try server.receive("* OK\r\n".bytes).hasPrefix("send a1 LOGIN {5}|"))
        #expect(try server.receive("+ \r\n".bytes).hasPrefix("send b\"|b {0}|"))
        #expect(try server.receive("+ \r\n".bytes).hasPrefix("send | "))
    }
}
