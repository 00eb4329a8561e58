import ApusMail
import Testing

private let invalid = "500 5.5.1 Invalid command"
private let counted = "counted: 500 5.5.1 Invalid command"
private let argument = "501 5.5.4 Invalid argument"
private let sequence = "503 5.5.1 Bad sequence of commands"
private let success = "250 2.0.0 OK"
private let refused = "535 5.7.0 no"
private let required = "530 5.7.1 Authentication required"

@Suite struct `SMTP commands` {
    static let table: [Exchange] = [
        Exchange("HELO x\r\n", "250 mx"),
        Exchange("helo x\n", "250 mx"),
        Exchange("HELO  x  \r\n", "250 mx"),
        Exchange("HELO\r\n", argument),
        Exchange("HELO x y\r\n", argument),
        Exchange("HELO a\u{1}b\r\n", argument),
        Exchange("HELO a\0b\r\n", argument),
        Exchange("HELO a\tb\r\n", argument),
        Exchange("EHLO x\r\n", "250-mx / 250 AUTH PLAIN LOGIN"),
        Exchange("EHLO\r\n", argument),
        Exchange("EHLO x y\r\n", argument),
        Exchange("EHLO \u{7F}\r\n", argument),
        Exchange("NOOP a b c\r\n", success),
        Exchange("RSET a\r\n", success),
        Exchange("QUIT a\r\nNOOP\r\n", "close: 221 2.0.0 Bye"),
        Exchange("VRFY a\r\n", invalid),
        Exchange("EXPN\r\n", invalid),
        Exchange("HELP\r\n", invalid),
        Exchange("STARTTLS\r\n", invalid),
        Exchange("DATA\r\n", counted),
        Exchange("BDAT 1\r\n", counted),
        Exchange("\r\n", counted),
        Exchange("\n", counted),
        Exchange(" NOOP\r\n", counted),
        Exchange("NOO\r\n", counted),
        Exchange("NOOPS\r\n", counted),
        Exchange("NO0P\r\n", counted),
        Exchange("NOOP\tx\r\n", counted),
        Exchange("STARTTLSX\r\n", counted),
        Exchange("NOOP\rx\r\n", counted),
        Exchange("NOOP x\r\r\n", counted),
        Exchange("NOOP 1 2 3 4 5 6 7 8 9 10 11  \r\n", success),
        Exchange("NOOP 1 2 3 4 5 6 7 8 9 10 11 1\r\n", counted),
        Exchange("RCPT TO:<a@b>\r\n", sequence),
        Exchange("AUTH\r\n", argument),
        Exchange("AUTH  \r\n", argument),
        Exchange("MAIL FROM:<a@b>\r\nNOOP\r\n", "(client was rejected: MAIL FROM:<a@b>)", required, success),
        Exchange("mail\r\n", "(client was rejected: mail)", required),
    ]

    @Test(arguments: table)
    func `are answered, however they arrive`(exchange: Exchange) throws {
        for delivery in exchange.deliveries { #expect(try exchange.held(delivery) == exchange.minutes) }
    }

    @Test func `may be pipelined`() throws {
        var conversation = try Conversation()
        let open = Self.table.filter { !$0.input.hasPrefix("QUIT") }
        try conversation.send(open.flatMap { $0.input.bytes })
        #expect(conversation.minutes == open.flatMap(\.minutes))
    }

    @Test(arguments: table)
    func `wait for their end`(exchange: Exchange) throws {
        let line = exchange.input.prefix { $0 != "\n" && $0 != "\r\n" }
        #expect(try exchange.held([String(line).bytes]) == [])
    }
}

@Suite struct `SMTP mail without a login` {
    private static let service = Service(directives: ["smtp_auth none plain"])
    private static let from = "MAIL FROM:<a@b> SIZE=1"
    private static let to = "rcpt to:<c@d>"
    private static let asked = "auth none me | \(from) | \(to)"

    static let table: [Exchange] = [
        Exchange("EHLO me\r\n\(from)\r\n\(to)\r\n", "250-mx / 250 AUTH PLAIN", success, asked, refused),
        Exchange("HELO me\r\n\(from)  \r\n\(to)  \n", "250 mx", success, asked, refused),
        Exchange("\(from)\r\n\(to)\r\n", success, "auth none  | \(from) | \(to)", refused),
        Exchange(
            "\(from)\r\n\(to)\r\nRCPT x\r\n", success, "auth none  | \(from) | \(to)", refused,
            "auth none  | \(from) | RCPT x", refused),
        Exchange("MAIL\r\n\(from)\r\n\(from)\r\n", argument, success, sequence),
        Exchange("\(from)\r\nMAIL\r\nRCPT\r\n", success, sequence, argument),
        Exchange("\(from)\r\nRSET\r\n\(to)\r\n", success, success, sequence),
        Exchange("\(from)\r\nHELO x\r\n\(to)\r\n", success, "250 mx", sequence),
        Exchange("\(from)\r\nEHLO x\r\n\(to)\r\n", success, "250-mx / 250 AUTH PLAIN", sequence),
        Exchange("MAIL a\u{1}b\r\nMAIL a\0b\r\nMAIL a\u{1B}\r\n", argument, argument, argument),
        Exchange("\(from)\r\nRCPT a\u{8}b\r\nRCPT \0\r\n", success, argument, argument),
        Exchange("MAIL a\rb\r\n", counted),
        Exchange(
            "AUTH PLAIN !\r\n\(from)\r\n\(to)\r\n",
            "(client sent invalid base64 encoding in AUTH PLAIN command)", invalid, success,
            "auth none  | \(from) | \(to)", refused),
        Exchange(
            "\(from)\r\nAUTH PLAIN AGJvYgBzZWNyZXQ=\r\n\(to)\r\n", success, "auth plain \"bob\" \"secret\"", refused,
            "auth none  | \(from) | \(to)", refused),
    ]

    @Test(arguments: table)
    func `asks about each recipient, however it arrives`(exchange: Exchange) throws {
        for delivery in exchange.deliveries {
            #expect(try exchange.held(delivery, with: Self.service) == exchange.minutes)
        }
    }
}

@Suite struct `SMTP limits` {
    private static let short = Service(directives: ["smtp_client_buffer 32"])

    private func minutes(_ input: String, _ service: Service = short) throws -> [String] {
        let exchange = Exchange(input)
        let whole = try exchange.held([input.bytes], with: service)
        #expect(try exchange.held(input.bytes.map { [$0] }, with: service) == whole)
        return whole
    }

    @Test func `bound commands`() throws {
        #expect(try minutes("NOOP " + String(repeating: "x", count: 25) + "\r\n") == [success])
        #expect(try minutes("NOOP " + String(repeating: "x", count: 26) + "\r\n") == ["too long: \(invalid)"])
        #expect(try minutes(String(repeating: "NOOP\r\n", count: 50)).count == 50)
    }

    @Test func `leave room for SASL responses`() throws {
        let response = Base64.encode(("\0bob\0" + String(repeating: "x", count: 9000)).bytes.span)
        let text = String(decoding: response, as: UTF8.self)
        #expect(try minutes("AUTH PLAIN \(text)\r\n").last == refused)
        #expect(try minutes("AUTH PLAIN\r\n\(text)\r\n").last == refused)
        #expect(try minutes("AUTH PLAIN\r\n\(text)\r\nNOOP \(text)\r\n").last == "too long: \(invalid)")
        #expect(try minutes("AUTH PLAIN " + String(repeating: "A", count: 13000)).last == "too long: \(invalid)")
        #expect(try minutes("AUTHX" + String(repeating: "A", count: 100)) == ["too long: \(invalid)"])
    }

    @Test(
        arguments: [
            ("MAIL FROM:<x>\r\nRCPT y", "MAIL FROM:<x>\r\nRCPT y"),
            ("AUTH PLAIN AGJvYgBz", "AUTH PLAIN ..."),
            ("EHLO x\r\n  auth plain AGJvYgBz\r\nNOOP", "EHLO x\r\n  auth plain ..."),
            ("EHLO x\r\nAUTH LOGIN\r\nc2VjcmV0\r\n", "EHLO x\r\nAUTH LOGIN\r ..."),
            ("AUTH AGJvYgBzAGJvYgBzAGJvYgBzAGJvYgBz", "AUTH AGJvYgBzAGJvYgBzAGJv ..."),
            ("AUTH", "AUTH"),
            ("", ""),
        ])
    func `keep passwords out of the log`(input: String, expected: String) throws {
        let dialog = try Service().make().makeClientDialog(Service().client)
        let bytes = input.bytes
        #expect(String(decoding: dialog.redacted(bytes.span), as: UTF8.self) == expected)
    }

    @Test func `too many commands are not carried out`() throws {
        var conversation = try Conversation()
        try conversation.send("NOOP\r\nBOGUS\r\nAUTH PLAIN\r\n".bytes)
        conversation.exhaust()
        try conversation.send("AGJvYgA=\r\nNOOP\r\n".bytes)
        #expect(
            conversation.minutes == [
                "250 2.0.0 OK", "counted: 500 5.5.1 Invalid command", "334 ", "too many: 500 5.5.1 Invalid command",
            ])
        conversation = try Conversation()
        conversation.exhaust()
        try conversation.send("BOGUS\r\nNOOP\r\n".bytes)
        #expect(conversation.minutes == ["counted: 500 5.5.1 Invalid command", "too many: 500 5.5.1 Invalid command"])
    }
}
