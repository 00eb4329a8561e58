import ApusMail
import Testing

@Suite struct `IMAP limits` {
    private let service = Service(directives: ["imap_client_buffer 32"])

    private func minutes(_ input: String) throws -> [String] {
        let exchange = Exchange(input)
        let whole = try exchange.held([input.bytes], with: service)
        #expect(try exchange.held(input.bytes.map { [$0] }, with: service) == whole)
        return whole
    }

    @Test func `a command may fill the buffer`() throws {
        #expect(try minutes("a LOGIN bob " + password(18) + "\r\n").first == "auth plain \"bob\" \"\(password(18))\"")
        #expect(try minutes("a LOGIN bob " + password(19) + "\r\n") == ["too long: a BAD invalid command"])
        #expect(try minutes("a LOGIN bob " + password(19) + "\n").first == "auth plain \"bob\" \"\(password(19))\"")
    }

    @Test func `a refused line may not be longer either`() throws {
        #expect(try minutes("a FOO " + password(24) + "\r\n") == ["counted: a BAD invalid command"])
        #expect(try minutes("a FOO " + password(25) + "\r\n") == ["too long: a BAD invalid command"])
        #expect(try minutes("+" + password(31)) == ["too long: * BAD invalid command"])
        #expect(try minutes(String(repeating: "\0", count: 32)) == ["too long: * BAD invalid command"])
    }

    @Test func `a literal must fit with what is around it`() throws {
        #expect(try minutes("a LOGIN b {14}\r\n" + password(14) + "\r\n").first == "+ OK")
        #expect(
            try minutes("a LOGIN b {15}\r\n" + password(15) + "\n") == [
                "+ OK", "auth plain \"b\" \"\(password(15))\"", "a NO no",
            ])
        #expect(
            try minutes("a LOGIN b {16}\r\n") == ["+ OK"])
        #expect(try minutes("a LOGIN b {16+}\r\n" + password(16)) == ["too long: a BAD invalid command"])
    }

    @Test func `what is pipelined behind a command does not count`() throws {
        let lines = String(repeating: "a NOOP\r\n", count: 40)
        #expect(try minutes(lines) == Array(repeating: "a OK completed", count: 40))
    }

    @Test func `a SASL response has a limit of its own`() throws {
        let longest = 12_288
        let end = "AGIA"  // NUL, "b", NUL, then the password
        let response = end + String(repeating: "eHh4", count: (longest - 8) / 4)
        #expect(response.utf8.count == longest - 4)
        let accepted = "auth plain \"b\" \"" + String(repeating: "xxx", count: (longest - 8) / 4) + "\""
        #expect(try minutes("a AUTHENTICATE PLAIN\r\n\(response)\r\n") == ["+ ", accepted, "a NO no"])
        #expect(
            try minutes("a AUTHENTICATE PLAIN\r\n" + password(longest)) == ["+ ", "too long: a BAD invalid command"])
        #expect(try minutes("a AUTHENTICATE PLAIN \(response)\r\n") == [accepted, "a NO no"])
        #expect(try minutes("a AUTHENTICATE PLAIN \(response)eHh4\r\n").first?.hasPrefix("auth") == true)
        #expect(
            try minutes("a AUTHENTICATE PLAIN \(password(longest + 69))\r\n") == ["too long: a BAD invalid command"])
        #expect(try minutes("a AUTHENTICATE PLAIN\r\n\r\nb LOGIN b \(password(40))\r\n").last?.hasPrefix("too") == true)
    }

    @Test func `the limit is the session's to ask for`() throws {
        var dialog = try service.make().makeClientDialog(service.client)
        #expect(dialog.inputLimit == 32)
        let line = "a AUTHENTICATE PLAIN\r\n".bytes
        #expect(try dialog.receive(line.span).consumed == line.count)
        #expect(dialog.inputLimit == 12_288)
        let response = "*\r\n".bytes
        _ = try dialog.receive(response.span)
        #expect(dialog.inputLimit == 32)
        let begun = "a AUTHENTICATE ".bytes
        _ = try dialog.receive(begun.span)
        #expect(dialog.inputLimit == 12_288 + 69)
    }

    private func password(_ count: Int) -> String { String(repeating: "x", count: count) }
}
