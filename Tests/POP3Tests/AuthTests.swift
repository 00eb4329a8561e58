import ApusMail
import Testing

private let bad = "-ERR invalid command"
private let base64Note = "(client sent invalid base64 encoding in AUTH"
private let bob = "auth plain \"bob\" \"secret\""
private let digest = "0123456789abcdef0123456789abcdef"
private let all = Service(directives: ["pop3_auth plain apop cram-md5 external"])
private let xoauth2 = "auth xoauth2 \"bob\" \"tok\""
private let oauthBearer = "auth oauthbearer \"bob\" \"tok\""

@Suite struct `POP3 AUTH and APOP` {
    static let table: [Exchange] = [
        Exchange("AUTH\r\n", "+OK methods supported: / PLAIN / LOGIN / CRAM-MD5 / EXTERNAL / ."),
        Exchange("AUTH  \r\n", "+OK methods supported: / PLAIN / LOGIN / CRAM-MD5 / EXTERNAL / ."),
        Exchange("AUTH PLAIN\r\nAGJvYgBzZWNyZXQ=\r\n", "+ ", bob, "-ERR no"),
        Exchange("auth plain AGJvYgBzZWNyZXQ=\r\n", bob, "-ERR no"),
        Exchange("AUTH PLAIN AGJvYgA  \r\n", "auth plain \"bob\" \"\"", "-ERR no"),
        Exchange("AUTH PLAIN AGJvYgA x\r\n", bad),
        Exchange("AUTH PLAIN 1 2 3\r\n", "counted: " + bad),
        Exchange("AUTH PLAIN\r\n*\r\nNOOP\r\n", "+ ", "\(base64Note) PLAIN command)", bad, "+OK"),
        Exchange("AUTH PLAIN\r\n\r\n", "+ ", "(client sent invalid login in AUTH PLAIN command)", bad),
        Exchange("AUTH PLAIN =\r\n", "(client sent invalid login in AUTH PLAIN command)", bad),
        Exchange("AUTH PLAIN AGJvYg\r\n", "(client sent invalid password in AUTH PLAIN command)", bad),
        // "bob", "a\r\nb"; "b\nb", "a".
        Exchange("AUTH PLAIN AGJvYgBhDQpi\r\n", "(client sent invalid password in AUTH PLAIN command)", bad),
        Exchange("AUTH PLAIN AGIKYgBh\r\n", "(client sent invalid login in AUTH PLAIN command)", bad),
        Exchange("AUTH LOGIN\r\nYm9i\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6", bob, "-ERR no"),
        Exchange("AUTH LOGIN Ym9i\r\nc2VjcmV0\r\n", "+ UGFzc3dvcmQ6", bob, "-ERR no"),
        Exchange("AUTH LOGIN\n\n\n", "+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6", "auth plain \"\" \"\"", "-ERR no"),
        Exchange("AUTH LOGIN\r\n*\r\n", "+ VXNlcm5hbWU6", "\(base64Note) LOGIN command)", bad),
        Exchange("AUTH LOGIN Ym9i\r\n*\r\n", "+ UGFzc3dvcmQ6", "\(base64Note) LOGIN command)", bad),
        Exchange("AUTH LOGIN Ym9i x\r\n", bad),
        Exchange(
            "AUTH CRAM-MD5\r\nYm9iIDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm\r\n", "+ PDEuMkBteD4=",
            "auth cram-md5 \"bob\" \"\(digest)\" salt <1.2@mx>", "-ERR no"),
        Exchange("AUTH CRAM-MD5 Ym9i\r\n", bad),
        Exchange(
            "AUTH CRAM-MD5\r\nYm9i\r\n", "+ PDEuMkBteD4=",
            "(client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command)", bad),
        Exchange("AUTH EXTERNAL\r\nYm9i\r\n", "+ VXNlcm5hbWU6", "auth external \"bob\" \"\"", "-ERR no"),
        Exchange("AUTH EXTERNAL Ym9i\r\n", "auth external \"bob\" \"\"", "-ERR no"),
        Exchange("AUTH EXTERNAL =\r\n", "auth external \"\" \"\"", "-ERR no"),
        Exchange("AUTH XOAUTH2 x\r\n", bad),
        // Response lines: one word.
        Exchange("AUTH EXTERNAL\r\nYm9i x\r\n", "+ VXNlcm5hbWU6", "auth external \"bob\" \"\"", "-ERR no"),
        Exchange("AUTH EXTERNAL\r\n Ym9i\r\n", "+ VXNlcm5hbWU6", "auth external \"\" \"\"", "-ERR no"),
        Exchange("AUTH EXTERNAL\r\nYm9i\rx\r\nNOOP\r\n", "+ VXNlcm5hbWU6", "counted: " + bad, "+OK"),
        Exchange("AUTH EXTERNAL\r\nYm9i 2 3 4\r\n", "+ VXNlcm5hbWU6", "counted: " + bad),
        // APOP.
        Exchange("APOP bob \(digest)\r\n", "auth apop \"bob\" \"\(digest)\" salt <1.2@mx>", "-ERR no"),
        Exchange("apop  bob  d \n", "auth apop \"bob\" \"d\" salt <1.2@mx>", "-ERR no"),
        Exchange("APOP bob\r\n", bad),
        Exchange("APOP bob d x\r\n", bad),
        Exchange("APOP b\0b d\r\n", bad),
        Exchange("APOP bob d\0\r\n", bad),
        Exchange("APOP 1 2 3 4\r\n", "counted: " + bad),
    ]

    @Test(arguments: table)
    func `follow the table, however their lines arrive`(exchange: Exchange) throws {
        for delivery in exchange.deliveries {
            #expect(try exchange.held(delivery, with: all) == exchange.minutes)
        }
    }

    @Test(arguments: table)
    func `are not answered before they are complete`(exchange: Exchange) throws {
        let complete = exchange.input.bytes
        for end in complete.indices {
            let minutes = try exchange.held([Array(complete[..<end])], with: all)
            #expect(minutes.count < exchange.minutes.count)
            #expect(minutes == Array(exchange.minutes.prefix(minutes.count)))
        }
    }

    @Test func `may be pipelined`() throws {
        var conversation = try Conversation(all)
        try conversation.send(Self.table.flatMap { $0.input.bytes })
        #expect(conversation.minutes == Self.table.flatMap(\.minutes))
    }

    @Test func `have a limit of their own`() throws {
        let longest = 12_288
        let response = "AGIA" + String(repeating: "eHh4", count: (longest - 8) / 4)  // NUL, "b", NUL, the password
        let accepted = ["auth plain \"b\" \"" + String(repeating: "xxx", count: (longest - 8) / 4) + "\"", "-ERR no"]
        #expect(try reply("AUTH PLAIN\r\n\(response)\r\n", all) == ["+ "] + accepted)
        #expect(try reply("AUTH PLAIN \(response)\r\n", all) == accepted)
        let tooLong = "too long: " + bad
        #expect(try reply("AUTH PLAIN\r\n" + String(repeating: "x", count: longest), all) == ["+ ", tooLong])
        #expect(try reply("AUTH PLAIN " + String(repeating: "x", count: longest + 28), all) == [tooLong])
        #expect(try reply("AUTH PLAIN\r\n*\r\nPASS " + String(repeating: "x", count: 123), all).last == tooLong)
    }

    @Test func `take unlisted PLAIN and LOGIN, and nothing else unlisted`() throws {
        let service = Service(directives: ["pop3_auth apop"])
        #expect(try reply("AUTH PLAIN\r\n", service) == ["+ "])
        #expect(try reply("AUTH LOGIN\r\n", service) == ["+ VXNlcm5hbWU6"])
        #expect(try reply("USER bob\r\n", service) == ["+OK"])
        #expect(try reply("AUTH\r\n", service) == ["+OK methods supported: / ."])
        for line in ["AUTH CRAM-MD5\r\n", "AUTH EXTERNAL\r\n", "AUTH EXTERNAL Ym9i\r\n"] {
            #expect(try reply(line, service) == [bad])
        }
        #expect(try reply("APOP bob d\r\n", Service(directives: ["pop3_auth cram-md5"])) == [bad])
    }

    @Test func `take nothing unlisted when strict`() throws {
        let service = Service(directives: ["pop3_auth cram-md5"], isStrict: true)
        for line in ["AUTH PLAIN\r\n", "AUTH PLAIN AGJvYgA\r\n", "AUTH LOGIN\r\n", "USER bob\r\n"] {
            #expect(try reply(line, service) == [bad])
        }
        #expect(try reply("AUTH CRAM-MD5\r\n", service) == ["+ PDEuMkBteD4="])
        #expect(try reply("USER bob\r\n", Service(isStrict: true)) == ["+OK"])
        #expect(try reply("AUTH LOGIN\r\n", Service(isStrict: true)) == ["+ VXNlcm5hbWU6"])
    }

    @Test func `take no digests that nobody can verify`() throws {
        var service = all
        service.canVerifyDigests = false
        #expect(try reply("AUTH CRAM-MD5\r\n", service) == [bad])
        #expect(try reply("APOP bob d\r\n", service) == [bad])
        #expect(try reply("AUTH\r\n", service) == ["+OK methods supported: / PLAIN / LOGIN / EXTERNAL / ."])
    }

    @Test(arguments: ["USER bob\r\n", "APOP bob d\r\n", "AUTH\r\n", "AUTH PLAIN\r\n", "AUTH EXTERNAL Ym9i\r\n"])
    func `need TLS where it is required`(line: String) throws {
        var service = all
        service.startTLS = .only
        #expect(try reply(line, service) == [bad])
        service.isEncrypted = true
        #expect(try reply(line, service) != [bad])
    }

    private func reply(_ line: String, _ service: Service) throws -> [String] {
        try Exchange(line).held([line.bytes], with: service)
    }

    private static let tokens = Service(directives: ["pop3_auth xoauth2 oauthbearer"], errorData: "e30=")

    static let bearer: [Exchange] = [
        Exchange(
            "AUTH XOAUTH2\r\ndXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n\r\nNOOP\r\n", "+ ", xoauth2, "+ e30=",
            "refused: -ERR no", "+OK"),
        Exchange("AUTH xoauth2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n\r\n", xoauth2, "+ e30=", "refused: -ERR no"),
        Exchange(
            "AUTH XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ==\r\nNOOP\r\n", xoauth2, "+ e30=",
            "refused: -ERR invalid command", "+OK"),
        Exchange(
            "AUTH XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n*\r\n", xoauth2, "+ e30=",
            "refused: -ERR invalid command"),
        Exchange("AUTH XOAUTH2 *\r\n", "\(base64Note) XOAUTH2 command)", "-ERR invalid command"),
        Exchange(
            "AUTH OAUTHBEARER\r\nbixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ==\r\nNOOP\r\n", "+ ", oauthBearer, "+ e30=",
            "refused: -ERR no", "+OK"),
        Exchange(
            "AUTH OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ==\r\n", oauthBearer, "+ e30=",
            "refused: -ERR no"),
        Exchange(
            "AUTH OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\n\r\nNOOP\r\n", oauthBearer, "+ e30=",
            "refused: -ERR invalid command", "+OK"),
        Exchange(
            "AUTH OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ\rx\r\nNOOP\r\n", oauthBearer, "+ e30=",
            "refused: -ERR invalid command", "+OK"),
        Exchange("AUTH OAUTHBEARER *\r\n", "\(base64Note) OAUTHBEARER command)", "-ERR invalid command"),
        Exchange(
            "AUTH OAUTHBEARER dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n",
            "(client sent invalid login in AUTH OAUTHBEARER command)", "-ERR invalid command"),
        Exchange("AUTH PLAIN AGJvYgA\r\nNOOP\r\n", "auth plain \"bob\" \"\"", "-ERR no", "+OK"),
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
        #expect(try reply("AUTH \(mechanism)\r\n", all) == ["-ERR invalid command"])
    }

    @Test func `ends a refusal at an endless answer`() throws {
        var conversation = try Conversation(Self.tokens)
        try conversation.send(
            "AUTH XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n".bytes + [UInt8](repeating: 0x41, count: 20_000))
        #expect(conversation.minutes == [xoauth2, "+ e30=", "too long: -ERR invalid command"])
    }
}
