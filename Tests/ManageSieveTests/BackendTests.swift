import ApusMail
import Testing

/// What the server behind says, step by step, and the minutes of it: `send BYTES (ACTIVITY)`, `in: REPLY`,
/// `unexpected: QUOTED`, `more`; CR and LF as `|`.
private struct Server {
    private var dialog: any BackendDialog

    init(user: String = "bob", password: String = "secret") throws {
        var client = try Service().make().makeClientDialog(Service().client)
        let line = "AUTHENTICATE \"PLAIN\" \"AGJvYgA\"\r\n".bytes
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

@Suite struct `ManageSieve dialog with the server behind` {
    private static let command =
        "send AUTHENTICATE \"PLAIN\" \"AGJvYgBzZWNyZXQ=\"| (sending AUTHENTICATE command to upstream)"
    private static let greeting = ("\"SASL\" \"PLAIN\"\r\n\"VERSION\" \"1.0\"\r\nOK \"ready\"\r\n", command)

    private static let dialogs: [[(String, String)]] = [
        [greeting, ("OK \"Logged in.\"\r\n", "in: OK \"Logged in.\"|")],
        [greeting, ("OK\r\n", "in: OK|")],
        [greeting, ("ok (SASL \"cnNwYXV0aD0=\") \"in\"\r\n", "in: ok (SASL \"cnNwYXV0aD0=\") \"in\"|")],
        [greeting, ("OK {7}\r\nlogged\n\r\n", "in: OK {7}|logged||")],
        [greeting, ("NO \"wrong\"\r\n", "unexpected: NO \"wrong\"")],
        [greeting, ("NO (ENCRYPT-NEEDED) \"no\"\r\n", "unexpected: NO (ENCRYPT-NEEDED) \"no\"")],
        [greeting, ("BYE \"later\"\r\n", "unexpected: BYE \"later\"")],
        [greeting, ("OKAY\r\n", "malformed: OKAY")],
        [greeting, ("OK\"in\"\r\n", "malformed: OK\"in\"")],
        // A challenge, though everything was said.
        [greeting, ("\"\"\r\n", "malformed: \"\"")],
        [greeting, ("{3}\r\n", "malformed: {3}")],
        // Greetings.
        [("OK\r\n", command)],
        [("\"A\"\r\nok \"hi\"\r\n", command)],
        [("\"A\" {12}\r\nOK \"not yet\"\r\nOK\r\n", command)],
        [("\"A\" {12}\r\nOK \"not yet\"\r\nNO\r\n", "unexpected: NO")],
        [("{4}\r\nNO\r\n \"x\" \"y\"\r\nOK\r\n", command)],
        [("{1+}\r\nA\r\nOK\r\n", command)],
        [("\"A\" {0}\r\n\r\nOK\r\n", command)],
        [("\"A\" \"\\\"OK\\\\\"\r\nOK {3}\r\n\0\r\n\r\n", command)],
        [("BYE \"busy\"\r\n", "unexpected: BYE \"busy\"")],
        [("BYE (REFERRAL \"sieve://b\") \"go\"\r\n", "unexpected: BYE (REFERRAL \"sieve://b\") \"go\"")],
        [("\"A\"\r\nNO \"busy\"\r\n", "unexpected: NO \"busy\"")],
        [("* OK imap\r\n", "malformed: * OK imap")],
        [("+OK pop3\r\n", "malformed: +OK pop3")],
        [("220 smtp\r\n", "malformed: 220 smtp")],
        [("\r\n", "malformed: ")],
        [(" OK\r\n", "malformed:  OK")],
        [("SSH-2.0-x\r\n", "malformed: SSH-2.0-x")],
        [("OK\n", "malformed: OK")],
        [("OK\rx\r\n", "malformed: OKx")],
        [("OK \"a\n", "malformed: OK \"a")],
        [("OK \"a\r\n", "malformed: OK \"a")],
        [("OK \"a\\\r\n", "malformed: OK \"a\\")],
        [("OK \0\r\n", "malformed: OK \0")],
        [("\"A\"\r\n\"B\n", "malformed: \"B")],
        [("\"A\"\r\n\n", "malformed: ")],
        [("\"A\"\r\n\0B\r\n", "malformed: \0B")],
        [("\"A\" {}\r\n", "malformed: \"A\" {}")],
        [("\"A\" {-1}\r\n", "malformed: \"A\" {-1}")],
        [("\"A\" {18446744073709551616}\r\n", "malformed: \"A\" {18446744073709551616}")],
        [("\"A\" {3}x\r\n", "malformed: \"A\" {3}x")],
        [("\"A\" {3+x\r\n", "malformed: \"A\" {3+x")],
        [("\"A\" {3}\rx\r\n", "malformed: \"A\" {3}x")],
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
                #expect(try server.receive(Array(bytes[..<end])) == "more")
                #expect(try server.receive(bytes) == expected)
            }
        }
    }

    @Test func `follows the table, byte by byte`() throws {
        for dialog in Self.dialogs {
            var server = try Server()
            for (reply, expected) in dialog {
                let bytes = reply.bytes
                for end in 1..<bytes.count { #expect(try server.receive(Array(bytes[..<end])) == "more") }
                #expect(try server.receive(bytes) == expected)
            }
        }
    }

    @Test func `passes on what comes behind the reply, but trusts nothing behind the greeting`() throws {
        var server = try Server()
        _ = try server.receive(Self.greeting.0.bytes)
        #expect(try server.receive("OK\r\n\"SIEVE\" \"x".bytes) == "in: OK|\"SIEVE\" \"x")
        server = try Server()
        #expect(try server.receive("OK\r\nOK\r\n".bytes) == "malformed: OK|OK|")
    }

    @Test(arguments: [("b\0b", "x"), ("bob", "x\0y")])
    func `sends no NUL, whoever it came from`(user: String, password: String) throws {
        #expect(throws: ApusMail.Bug.self) { _ = try Server(user: user, password: password) }
    }

    @Test func `sends user and password byte for byte`() throws {
        var server = try Server(user: "ü \"b", password: "")
        #expect(try server.receive("OK\r\n".bytes).hasPrefix("send AUTHENTICATE \"PLAIN\" \"AMO8ICJiAA==\"| "))
    }

    @Test func `sends a long response as a literal`() throws {
        // NUL, "bob" and NUL are 5 bytes; 768 bytes are 1024 characters of Base64.
        for (count, start) in [(763, "\"AGJv"), (764, "{1028+}|AGJv")] {
            var server = try Server(password: String(repeating: "x", count: count))
            #expect(try server.receive("OK\r\n".bytes).hasPrefix("send AUTHENTICATE \"PLAIN\" \(start)"))
        }
    }
}
