import ApusMail
import Testing

private let bad = "-ERR invalid command"
private let counted = "counted: -ERR invalid command"
private let capabilities = "+OK Capability list follows / TOP / USER / UIDL / SASL PLAIN LOGIN / ."

@Suite struct `POP3 commands before login` {
    static let commands: [Exchange] = [
        Exchange("NOOP\r\n", "+OK"),
        Exchange("noop\n", "+OK"),
        Exchange("NoOp one  two three \r\n", "+OK"),
        Exchange("NOOP one two three four\r\n", counted),
        Exchange("NOOP one two three four\rNOOP\r\n", counted),
        Exchange("CAPA\r\n", capabilities),
        Exchange("capa x\r\n", capabilities),
        Exchange("STLS\r\n", bad),
        // Words.
        Exchange("\r\n", counted),
        Exchange("\n", counted),
        Exchange(" NOOP\r\n", counted),
        Exchange("NOO\r\n", counted),
        Exchange("NOOPS\r\n", counted),
        Exchange("NO0P\r\n", counted),
        Exchange("NOOP\t\r\n", counted),
        Exchange("NOOP\rx\r\n", counted),
        Exchange("NOOP\r\r\n", counted),
        Exchange("\0\r\n", counted),
        Exchange("STAT\r\n", counted),
        Exchange("RETR 1\r\n", counted),
        Exchange("RSET\n", counted),
    ]

    static let logins: [Exchange] = [
        Exchange("USER bob\r\nPASS secret\r\n", "+OK", "auth plain \"bob\" \"secret\"", "-ERR no"),
        Exchange("user bob\npass secret\n", "+OK", "auth plain \"bob\" \"secret\"", "-ERR no"),
        Exchange("USER   b  o b \r\nPASS   a b \r\n", "+OK", "auth plain \"b  o b \" \"a b \"", "-ERR no"),
        Exchange("USER ü\r\nPASS 1 2 3 4 5\r\n", "+OK", "auth plain \"ü\" \"1 2 3 4 5\"", "-ERR no"),
        Exchange("USER\r\n", bad),
        Exchange("USER   \r\n", bad),
        Exchange("PASS x\r\n", bad),
        Exchange("USER bob\r\nPASS\r\nPASS x\r\n", "+OK", bad, bad),
        Exchange("USER bob\r\nPASS  \r\nPASS x\r\n", "+OK", bad, bad),
        // Control characters.
        Exchange("USER b\0b\r\nPASS x\r\n", bad, bad),
        Exchange("USER b\tb\r\n", bad),
        Exchange("USER bob\r\nPASS a\0\r\nPASS x\r\n", "+OK", bad, bad),
        Exchange("USER bob\r\nPASS a\u{7F}b\r\n", "+OK", bad),
        Exchange("USER bob\r\nPASS a\rb\r\nPASS x\r\n", "+OK", counted, bad),
        // After USER.
        Exchange(
            "USER bob\r\nCAPA\r\nNOOP\r\nPASS x\r\n", "+OK", capabilities, "+OK", "auth plain \"bob\" \"x\"", "-ERR no"),
        Exchange("USER bob\r\nUSER eve\r\nPASS x\r\n", "+OK", bad, bad),
        Exchange("USER bob\r\nAUTH\r\nPASS x\r\n", "+OK", bad, bad),
        Exchange("USER bob\r\nAUTH PLAIN\r\nPASS x\r\n", "+OK", bad, bad),
        Exchange("USER bob\r\nAPOP b d\r\nPASS x\r\n", "+OK", bad, bad),
        Exchange("USER bob\r\nSTLS\r\nPASS x\r\n", "+OK", bad, bad),
        Exchange("USER bob\r\nSTAT\r\nPASS x\r\n", "+OK", counted, bad),
        Exchange("USER bob\r\nPASS x\r\nPASS x\r\n", "+OK", "auth plain \"bob\" \"x\"", "-ERR no", bad),
        // APOP is not listed.
        Exchange("APOP bob digest\r\n", bad),
    ]

    static let last: [Exchange] = [
        Exchange("QUIT\r\n", "close: +OK"),
        Exchange("quit now or never\r\n", "close: +OK"),
        Exchange("USER bob\r\nQUIT\r\nPASS x\r\n", "+OK", "close: +OK"),
    ]

    @Test(arguments: commands + logins + last)
    func `follow the table, however they arrive`(exchange: Exchange) throws {
        for delivery in exchange.deliveries { #expect(try exchange.held(delivery) == exchange.minutes) }
    }

    @Test func `are read glued together`() throws {
        let glued = (Self.commands + Self.logins).map(\.input).joined().bytes
        let minutes = (Self.commands + Self.logins).flatMap(\.minutes)
        var inPieces = try Conversation()
        var atOnce = try Conversation()
        for byte in glued { try inPieces.send([byte]) }
        try atOnce.send(glued)
        #expect(inPieces.minutes == minutes)
        #expect(atOnce.minutes == minutes)
    }

    @Test(arguments: commands + logins + last)
    func `are not answered before they are complete`(exchange: Exchange) throws {
        let complete = exchange.input.bytes
        for end in complete.indices {
            let lineCount = complete[..<end].count { $0 == 0x0A }
            var conversation = try Conversation()
            try conversation.send(complete[..<end])
            let replies = conversation.minutes.count { !$0.hasPrefix("auth") }
            #expect(replies == (conversation.isClosed ? min(lineCount, 2) : lineCount))
        }
    }

    @Test func `may have 128 bytes`() throws {
        let name = String(repeating: "x", count: 121)
        let held = { (input: String) throws -> [String] in
            let exchange = Exchange(input)
            let whole = try exchange.held([input.bytes])
            #expect(try exchange.held(input.bytes.map { [$0] }) == whole)
            return whole
        }
        #expect(try held("USER \(name)\r\n") == ["+OK"])
        #expect(try held("USER \(name)x\n") == ["+OK"])
        #expect(try held("USER \(name)x\r\n") == ["too long: -ERR invalid command"])
        #expect(try held("STAT \(name)\r\n") == [counted])
        #expect(try held("STAT \(name)x\r\n") == ["too long: -ERR invalid command"])
        #expect(try held(String(repeating: "A", count: 128)) == ["too long: -ERR invalid command"])
        #expect(try held(String(repeating: "NOOP\r\n", count: 60)) == Array(repeating: "+OK", count: 60))
    }

    @Test(
        arguments: [
            ("PASS secret", "PASS ..."), ("pass", "..."), ("pass ", "pass ..."), ("APOP bob digest", "APOP ..."),
            ("AUTH PLAIN AGJv", "AUTH ..."), ("AGJvYgBzZWNyZXQ=", "..."), ("PASSsecret", "..."), ("S3CRET x", "..."),
            ("USER bob", "USER bob"), ("NOOP a", "NOOP a"), ("", "..."),
        ])
    func `show no secret in the log`(input: String, expected: String) throws {
        var dialog = try Service().make().makeClientDialog(Service().client)
        let bytes = input.bytes
        _ = try dialog.receive(bytes.span)
        #expect(String(decoding: dialog.redacted(bytes.span), as: UTF8.self) == expected)
    }

    @Test func `show no response in the log`() throws {
        var dialog = try Service().make().makeClientDialog(Service().client)
        let line = "AUTH PLAIN\r\n".bytes
        _ = try dialog.receive(line.span)
        let response = "AGJv YgBz".bytes
        _ = try dialog.receive(response.span)
        #expect(dialog.redacted(response.span) == "...".bytes)
    }

    @Test func `too many commands are not carried out`() throws {
        var conversation = try Conversation()
        try conversation.send("NOOP\r\nBOGUS\r\nAUTH PLAIN\r\n".bytes)
        conversation.exhaust()
        try conversation.send("AGJvYgA=\r\nNOOP\r\n".bytes)
        #expect(
            conversation.minutes == [
                "+OK", "counted: -ERR invalid command", "+ ", "too many: -ERR invalid command",
            ])
        conversation = try Conversation()
        conversation.exhaust()
        try conversation.send("BOGUS\r\nNOOP\r\n".bytes)
        #expect(conversation.minutes == ["counted: -ERR invalid command", "too many: -ERR invalid command"])
    }
}
