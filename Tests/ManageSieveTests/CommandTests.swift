import ApusMail
import Testing

private let unknown = #"counted: NO "Unknown command""#
private let syntax = #"counted: NO "Syntax error""#
private let arguments = #"NO "Wrong number of arguments""#
private let login = #"NO "Log in first""#
private let done = #"OK "Done""#
private let literal = #"counted, close: BYE "Invalid or too long literal""#

@Suite struct `ManageSieve commands before login` {
    static let commands: [Exchange] = [
        Exchange("NOOP\r\n", done),
        Exchange("noop\n", done),
        Exchange("NoOp  \r\n", done),
        Exchange("NOOP \"one\"\r\n", #"OK (TAG "one") "Done""#),
        Exchange("NOOP \"\"\r\n", #"OK (TAG "") "Done""#),
        Exchange(#"NOOP "a \"b\" \\ \c""# + "\r\n", #"OK (TAG "a \"b\" \\ c") "Done""#),
        Exchange("NOOP \"NOOP {3+}\"\r\n", #"OK (TAG "NOOP {3+}") "Done""#),
        Exchange("NOOP {3+}\r\nabc\r\n", #"OK (TAG "abc") "Done""#),
        Exchange("NOOP {3}\r\nabc\r\n", #"OK (TAG "abc") "Done""#),
        Exchange("NOOP {3+}\nabc\n", #"OK (TAG "abc") "Done""#),
        Exchange("NOOP {0+}\r\n\r\n", #"OK (TAG "") "Done""#),
        Exchange("NOOP {003+}\r\nabc \r\n", #"OK (TAG "abc") "Done""#),
        Exchange("NOOP {6+}\r\nNOOP\r\n\r\n", #"OK (TAG {6} / NOOP / ) "Done""#),
        Exchange("NOOP {3+}\r\na\0b\r\n", "OK (TAG {3} / a\0b) \"Done\""),
        Exchange("NOOP {4+}\r\n\"\\\"x\r\n", #"OK (TAG "\"\\\"x") "Done""#),
        Exchange("NOOP ü\r\n", #"OK (TAG "ü") "Done""#),
        Exchange("NOOP \"one\" \"two\"\r\n", arguments),
        Exchange("NOOP 1 2 3\r\n", arguments),
        Exchange("CAPABILITY\r\n", capabilities + #" / OK "Capabilities listed""#),
        Exchange("capability \"x\"\r\n", arguments),
        Exchange("STARTTLS\r\n", #"NO "TLS is not available""#),
        Exchange("STARTTLS x\r\n", arguments),
        Exchange("LOGOUT now\r\n", arguments),
        Exchange("AUTHENTICATE\r\n", arguments),
        Exchange("AUTHENTICATE \"PLAIN\" \"x\" \"y\"\r\n", arguments),
        // What needs a login, literals included.
        Exchange("HAVESPACE \"my\" 99\r\n", login),
        Exchange("PUTSCRIPT \"my\" {11+}\r\nNOOP\r\nstop;\r\n", login),
        Exchange("listscripts\r\n", login),
        Exchange("SETACTIVE \"my\"\r\n", login),
        Exchange("GETSCRIPT \"my\"\r\n", login),
        Exchange("DELETESCRIPT \"my\"\r\n", login),
        Exchange("RENAMESCRIPT \"my\" {2+}\r\nmy\r\n", login),
        Exchange("CHECKSCRIPT {5+}\r\nkeep;\r\n", login),
        Exchange("UNAUTHENTICATE\r\n", login),
        // Words.
        Exchange("FOO\r\n", unknown),
        Exchange("NOO\r\n", unknown),
        Exchange("NOOPS {6+}\r\nNOOP\r\n\r\n", unknown),
        Exchange("FOO 1 \"2\"\r\n", unknown),
        Exchange("USER bob\r\n", unknown),
        Exchange("\r\n", syntax),
        Exchange("\n", syntax),
        Exchange(" NOOP\r\n", syntax),
        Exchange("a NOOP\r\n", unknown),
        Exchange("a1 NOOP\r\n", syntax),
        Exchange("NOOP\t\r\n", syntax),
        Exchange("NOOP\0\r\n", syntax),
        Exchange("\0\r\n", syntax),
        Exchange("NOOP\r\r\n", syntax),
        Exchange("NOOP\rx\r\n", syntax),
        Exchange("GET / HTTP/1.1\r\n", unknown),
        // Arguments.
        Exchange("NOOP 1 2 3 4\r\n", syntax),
        Exchange("NOOP \"\0\"\r\n", syntax),
        Exchange("NOOP \"one\r\n", syntax),
        Exchange("NOOP \"one\n", syntax),
        Exchange("NOOP \"one\\\r\n", syntax),
        Exchange("NOOP \"one\\\0\"\r\n", syntax),
        Exchange("NOOP \"one\"x\r\n", syntax),
        Exchange("NOOP \"one\"\"two\"\r\n", syntax),
        Exchange("NOOP \"one\rx\"\r\n", syntax),
        Exchange("NOOP one\"two\r\n", syntax),
        Exchange("NOOP \\\r\n", syntax),
        Exchange("NOOP \u{7F}\r\n", syntax),
        Exchange("NOOP {3+}\r\nabcd\r\n", syntax),
        Exchange("NOOP {3+}\r\nabc\"x\"\r\n", syntax),
        Exchange("NOOP {3+} \r\n", syntax),
        Exchange("NOOP {3\r\n", syntax),
        Exchange("NOOP {3+\r\n", syntax),
    ]

    static let last: [Exchange] = [
        Exchange("LOGOUT\r\nNOOP\r\n", #"close: OK "Logged out""#),
        Exchange("logout\n", #"close: OK "Logged out""#),
        // Nobody knows what follows these.
        Exchange("NOOP {}\r\nNOOP\r\n", literal),
        Exchange("NOOP {+}\r\n", literal),
        Exchange("NOOP {-1}\r\n", literal),
        Exchange("NOOP {3++}\r\n", literal),
        Exchange("NOOP { 3+}\r\n", literal),
        Exchange("NOOP {18446744073709551616}\r\n", literal),
        Exchange("NOOP {4294967296+}\r\n", literal),
        Exchange("NOOP {9999999+}\r\n", literal),
        Exchange("NOOP {9999999+}\n", literal),
        Exchange("NOOP x{3+}\r\n", literal),
        Exchange("NOOP 1 2 3 {3+}\r\n", literal),
        Exchange("PUTSCRIPT \"my\" {5000+}\r\n", literal),
    ]

    @Test(arguments: commands + last)
    func `follow the table, however they arrive`(exchange: Exchange) throws {
        for delivery in exchange.deliveries { #expect(try exchange.held(delivery) == exchange.minutes) }
    }

    @Test func `are read glued together`() throws {
        let glued = Self.commands.map(\.input).joined().bytes
        let minutes = Self.commands.flatMap(\.minutes)
        var inPieces = try Conversation()
        var atOnce = try Conversation()
        for byte in glued { try inPieces.send([byte]) }
        try atOnce.send(glued)
        #expect(inPieces.minutes == minutes)
        #expect(atOnce.minutes == minutes)
    }

    @Test(arguments: commands)
    func `are not answered before they are complete`(exchange: Exchange) throws {
        let complete = exchange.input.bytes
        for end in complete.indices {
            #expect(try exchange.held([Array(complete[..<end])]) == [])
        }
    }

    @Test func `may have 4096 bytes`() throws {
        let held = { (input: String) throws -> [String] in
            let exchange = Exchange(input)
            let whole = try exchange.held([input.bytes])
            #expect(try exchange.held(input.bytes.map { [$0] }) == whole)
            return whole
        }
        let tooLong = [#"too long: BYE "Command too long""#]
        let name = String(repeating: "x", count: 4096 - 10)
        #expect(try held("STARTTLS \(name)\n") == [arguments])
        #expect(try held("STARTTLS \(name)x\n") == tooLong)
        #expect(try held("STARTTLS \"\(name)\n") == tooLong)
        #expect(try held("\"\(String(repeating: "x", count: 4096))") == tooLong)
        // The word, a space, the literal's head, the literal, the line's end.
        let script = String(repeating: "x", count: 4096 - 12 - 9 - 1)
        #expect(try held("CHECKSCRIPT {4074+}\r\n\(script)\n") == [login])
        #expect(try held("CHECKSCRIPT {4074+}\r\n\(script)\r\n") == tooLong)
        #expect(try held("CHECKSCRIPT {4075+}\r\nx\(script)\n") == [literal])
        #expect(try held(String(repeating: "NOOP\r\n", count: 2000)) == Array(repeating: done, count: 2000))
    }

    @Test func `tell long tags as literals`() throws {
        for (count, reply) in [(1024, "\""), (1025, "{1025} / ")] {
            let tag = String(repeating: "x", count: count)
            let end = count == 1024 ? "\"" : ""
            #expect(
                try Exchange("").held(["NOOP \"\(tag)\"\r\n".bytes]) == ["OK (TAG \(reply)\(tag)\(end)) \"Done\""])
        }
    }

    @Test(
        arguments: [
            ("AUTHENTICATE \"PLAIN\" \"AGJv", "AUTHENTICATE ..."), ("authenticate ", "authenticate ..."),
            ("AUTHENTICATE", "..."), ("AGJvYgBzZWNyZXQ=", "..."), ("PUTSCRIPT \"x\" {5+}\r\nab", "PUTSCRIPT ..."),
            ("S3CRET x", "..."), ("SECRET x", "..."), ("NOOP \"a", "NOOP \"a"), ("", "..."),
        ])
    func `show no secret in the log`(input: String, expected: String) throws {
        var dialog = try Service().make().makeClientDialog(Service().client)
        let bytes = input.bytes
        _ = try dialog.receive(bytes.span)
        #expect(String(decoding: dialog.redacted(bytes.span), as: UTF8.self) == expected)
    }

    @Test func `show no response in the log`() throws {
        var dialog = try Service().make().makeClientDialog(Service().client)
        let line = "AUTHENTICATE \"PLAIN\"\r\n".bytes
        _ = try dialog.receive(line.span)
        let response = "NOOP \"AGJv".bytes
        _ = try dialog.receive(response.span)
        #expect(dialog.redacted(response.span) == "...".bytes)
    }

    @Test func `too many commands are not carried out`() throws {
        var conversation = try Conversation()
        try conversation.send("NOOP\r\n\r\nAUTHENTICATE \"PLAIN\"\r\n".bytes)
        conversation.exhaust()
        try conversation.send("\"AGJvYgA=\"\r\nNOOP\r\n".bytes)
        #expect(conversation.minutes == [done, syntax, "\"\"", #"too many: BYE "Too many commands""#])
    }

    @Test func `says why it goes`() throws {
        let dialog = try Service().make().makeClientDialog(Service().client)
        #expect(dialog.farewell(.timeout) == "BYE \"Too slow to log in\"\r\n".bytes)
        #expect(dialog.farewell(.tooManyErrors) == "BYE \"Too many errors\"\r\n".bytes)
        #expect(dialog.farewell(.loginRefused) == "BYE \"Login refused\"\r\n".bytes)
    }
}
