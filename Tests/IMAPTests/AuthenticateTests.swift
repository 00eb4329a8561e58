import ApusMail
import Testing

private let base64Note = "(client sent invalid base64 encoding in AUTH"
private let all = Service(directives: ["imap_auth plain login cram-md5 external"])
private let xoauth2 = "auth xoauth2 \"bob\" \"tok\""
private let oauthBearer = "auth oauthbearer \"bob\" \"tok\""

@Suite struct `IMAP AUTHENTICATE` {
    static let table: [Exchange] = [
        Exchange("a AUTHENTICATE PLAIN\r\nAGJvYgBzZWNyZXQ=\r\n", "+ ", "auth plain \"bob\" \"secret\"", "a NO no"),
        Exchange("a authenticate plain AGJvYgBzZWNyZXQ=\r\n", "auth plain \"bob\" \"secret\"", "a NO no"),
        Exchange("a AUTHENTICATE \"PLAIN\" AGJvYgA\r\n", "auth plain \"bob\" \"\"", "a NO no"),
        Exchange("a AUTHENTICATE {5+}\r\nPLAIN AGJvYgA\r\n", "auth plain \"bob\" \"\"", "a NO no"),
        Exchange("a AUTHENTICATE PLAIN AGJvYgA x\r\n", "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE PLAIN\r\n*\r\n", "+ ", "\(base64Note) PLAIN command)", "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE PLAIN\r\n\r\n", "+ ", "(client sent invalid login in AUTH PLAIN command)",
            "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE PLAIN =\r\n", "(client sent invalid login in AUTH PLAIN command)", "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE PLAIN AGJvYg\r\n", "(client sent invalid password in AUTH PLAIN command)",
            "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE LOGIN\r\nYm9i\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6",
            "auth plain \"bob\" \"secret\"", "a NO no"),
        Exchange(
            "a AUTHENTICATE LOGIN Ym9i\r\nc2VjcmV0\r\n", "+ UGFzc3dvcmQ6", "auth plain \"bob\" \"secret\"", "a NO no"),
        Exchange(
            "a AUTHENTICATE LOGIN\r\n\r\n\n", "+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6", "auth plain \"\" \"\"", "a NO no"),
        Exchange("a AUTHENTICATE LOGIN Ym9i c2Vj\r\n", "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE LOGIN\r\n*\r\n", "+ VXNlcm5hbWU6", "\(base64Note) LOGIN command)", "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE LOGIN\r\nYm9i\r\n*\r\nb NOOP\r\n", "+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6",
            "\(base64Note) LOGIN command)", "a BAD invalid command", "b OK completed"),
        Exchange(
            "a AUTHENTICATE CRAM-MD5\r\nYm9iIDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm\r\n", "+ PDEuMkBteD4=",
            "auth cram-md5 \"bob\" \"0123456789abcdef0123456789abcdef\" salt <1.2@mx>", "a NO no"),
        Exchange("a AUTHENTICATE CRAM-MD5 Ym9i\r\n", "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE CRAM-MD5\r\nYm9i\r\n", "+ PDEuMkBteD4=",
            "(client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command)", "a BAD invalid command"),
        Exchange("a AUTHENTICATE EXTERNAL\r\nYm9i\r\n", "+ VXNlcm5hbWU6", "auth external \"bob\" \"\"", "a NO no"),
        Exchange("a AUTHENTICATE EXTERNAL Ym9i\r\n", "auth external \"bob\" \"\"", "a NO no"),
        Exchange("a AUTHENTICATE EXTERNAL =\r\n", "auth external \"\" \"\"", "a NO no"),
        Exchange("a AUTHENTICATE EXTERNAL *\r\n", "\(base64Note) EXTERNAL command)", "a BAD invalid command"),
        Exchange("a AUTHENTICATE\r\n", "a BAD invalid command"),
        Exchange("a AUTHENTICATE XOAUTH2 x\r\n", "a BAD invalid command"),
        Exchange("a AUTHENTICATE PLAIN 1 2 3\r\n", "counted: a BAD invalid command"),
        // Response lines: one word; the first byte opens neither quotes nor a literal.
        Exchange("a AUTHENTICATE EXTERNAL\r\nYm9i \r\n", "+ VXNlcm5hbWU6", "auth external \"bob\" \"\"", "a NO no"),
        Exchange("a AUTHENTICATE EXTERNAL\r\nYm9i x\r\n", "+ VXNlcm5hbWU6", "auth external \"bob\" \"\"", "a NO no"),
        Exchange("a AUTHENTICATE EXTERNAL\r\n Ym9i\r\n", "+ VXNlcm5hbWU6", "auth external \"\" \"\"", "a NO no"),
        Exchange(
            "a AUTHENTICATE EXTERNAL\r\n\"Ym9i\"\r\n", "+ VXNlcm5hbWU6", "\(base64Note) EXTERNAL command)",
            "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE EXTERNAL\r\n{4}\r\nb NOOP\r\n", "+ VXNlcm5hbWU6", "\(base64Note) EXTERNAL command)",
            "a BAD invalid command", "b OK completed"),
        Exchange(
            "a AUTHENTICATE EXTERNAL\r\nYm9i\rx\r\nb NOOP\r\n", "+ VXNlcm5hbWU6", "counted: a BAD invalid command",
            "b OK completed"),
        Exchange(
            "a AUTHENTICATE EXTERNAL\r\nYm9i 2 3 4\r\n", "+ VXNlcm5hbWU6", "counted: a BAD invalid command"),
    ]

    @Test(arguments: table)
    func `follows the table, however its lines arrive`(exchange: Exchange) throws {
        for delivery in exchange.deliveries {
            #expect(try exchange.held(delivery, with: all) == exchange.minutes)
        }
    }

    @Test func `takes pipelined exchanges`() throws {
        var conversation = try Conversation(all)
        try conversation.send(Self.table.flatMap { $0.input.bytes })
        #expect(conversation.minutes == Self.table.flatMap(\.minutes))
    }

    static let cram = "a AUTHENTICATE CRAM-MD5\r\n"
    static let refused = ["a BAD invalid command"]

    @Test func `takes unlisted PLAIN and LOGIN, and nothing else unlisted`() throws {
        let service = Service(directives: ["imap_auth cram-md5"])
        #expect(try reply("a AUTHENTICATE PLAIN\r\n", service) == ["+ "])
        #expect(try reply("a AUTHENTICATE LOGIN\r\n", service) == ["+ VXNlcm5hbWU6"])
        #expect(try reply("a AUTHENTICATE EXTERNAL\r\n", service) == Self.refused)
        #expect(try reply("a AUTHENTICATE EXTERNAL Ym9i\r\n", service) == Self.refused)
        #expect(try reply(Self.cram, Service()) == Self.refused)
    }

    @Test func `takes nothing unlisted when strict`() throws {
        let service = Service(directives: ["imap_auth login cram-md5"], isStrict: true)
        #expect(try reply("a AUTHENTICATE PLAIN\r\n", service) == Self.refused)
        #expect(try reply("a AUTHENTICATE PLAIN AGJvYgA\r\n", service) == Self.refused)
        #expect(try reply("a LOGIN bob secret\r\n", service) == Self.refused)
        #expect(try reply("a AUTHENTICATE LOGIN\r\n", service) == ["+ VXNlcm5hbWU6"])
        #expect(try reply(Self.cram, service) == ["+ PDEuMkBteD4="])
        #expect(try reply("a LOGIN b s\r\n", Service(isStrict: true)).count == 2)
    }

    @Test func `takes no digests that nobody can verify`() throws {
        var service = all
        service.canVerifyDigests = false
        #expect(try reply(Self.cram, service) == Self.refused)
    }

    @Test(arguments: ["a LOGIN bob secret\r\n", "a AUTHENTICATE PLAIN\r\n", "a AUTHENTICATE EXTERNAL Ym9i\r\n"])
    func `needs TLS where it is required`(line: String) throws {
        var service = all
        service.startTLS = .only
        #expect(try reply(line, service) == Self.refused)
        service.isEncrypted = true
        #expect(try reply(line, service) != Self.refused)
    }

    private func reply(_ line: String, _ service: Service) throws -> [String] {
        try Exchange(line).held([line.bytes], with: service)
    }

    private static let tokens = Service(directives: ["imap_auth xoauth2 oauthbearer"], errorData: "e30=")

    static let bearer: [Exchange] = [
        Exchange(
            "a AUTHENTICATE XOAUTH2\r\ndXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n\r\nz NOOP\r\n", "+ ", xoauth2, "+ e30=",
            "refused: a NO no", "z OK completed"),
        Exchange(
            "a AUTHENTICATE xoauth2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n\r\n", xoauth2, "+ e30=", "refused: a NO no"
        ),
        Exchange(
            "a AUTHENTICATE XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ==\r\nz NOOP\r\n", xoauth2, "+ e30=",
            "refused: a BAD invalid command", "z OK completed"),
        Exchange(
            "a AUTHENTICATE XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n*\r\n", xoauth2, "+ e30=",
            "refused: a BAD invalid command"),
        Exchange("a AUTHENTICATE XOAUTH2 *\r\n", "\(base64Note) XOAUTH2 command)", "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE OAUTHBEARER\r\nbixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ==\r\nz NOOP\r\n", "+ ",
            oauthBearer, "+ e30=", "refused: a NO no", "z OK completed"),
        Exchange(
            "a AUTHENTICATE OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ==\r\n", oauthBearer, "+ e30=",
            "refused: a NO no"),
        Exchange(
            "a AUTHENTICATE OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\n\r\nz NOOP\r\n", oauthBearer, "+ e30=",
            "refused: a BAD invalid command", "z OK completed"),
        Exchange(
            "a AUTHENTICATE OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ\rx\r\nz NOOP\r\n", oauthBearer,
            "+ e30=", "refused: a BAD invalid command", "z OK completed"),
        Exchange("a AUTHENTICATE OAUTHBEARER *\r\n", "\(base64Note) OAUTHBEARER command)", "a BAD invalid command"),
        Exchange(
            "a AUTHENTICATE OAUTHBEARER dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n",
            "(client sent invalid login in AUTH OAUTHBEARER command)", "a BAD invalid command"),
        Exchange("a AUTHENTICATE PLAIN AGJvYgA\r\nz NOOP\r\n", "auth plain \"bob\" \"\"", "a NO no", "z OK completed"),
    ]

    @Test(arguments: bearer)
    func `takes tokens, and tells why they are refused`(exchange: Exchange) throws {
        for delivery in exchange.deliveries {
            #expect(try exchange.held(delivery, with: Self.tokens) == exchange.minutes)
        }
    }

    @Test(arguments: [
        "XOAUTH2", "XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=", "OAUTHBEARER",
        "OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=",
    ])
    func `takes no tokens unlisted`(mechanism: String) throws {
        #expect(try reply("a AUTHENTICATE \(mechanism)\r\n", all) == ["a BAD invalid command"])
    }

    @Test func `ends a refusal at an endless answer`() throws {
        var conversation = try Conversation(Self.tokens)
        try conversation.send(
            "a AUTHENTICATE XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n".bytes
                + [UInt8](repeating: 0x41, count: 20_000))
        #expect(conversation.minutes == [xoauth2, "+ e30=", "too long: a BAD invalid command"])
    }
}
