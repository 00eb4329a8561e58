import ApusMail
import Testing

private let base64Note = "(client sent invalid base64 encoding in AUTH"
private let all = Service(directives: ["smtp_auth plain login cram-md5 external"])
private let invalid = "500 5.5.1 Invalid command"
private let refused = "535 5.7.0 no"
private let askUser = "334 VXNlcm5hbWU6"
private let askPassword = "334 UGFzc3dvcmQ6"
private let bob = "auth plain \"bob\" \"secret\""
private let xoauth2 = "auth xoauth2 \"bob\" \"tok\""
private let oauthBearer = "auth oauthbearer \"bob\" \"tok\""

@Suite struct `SMTP AUTH` {
    static let table: [Exchange] = [
        Exchange("AUTH PLAIN\r\nAGJvYgBzZWNyZXQ=\r\n", "334 ", bob, refused),
        Exchange("auth plain AGJvYgBzZWNyZXQ=\r\n", bob, refused),
        Exchange("AUTH PLAIN AGJvYgA \r\n", "auth plain \"bob\" \"\"", refused),
        Exchange("AUTH PLAIN AGJvYgA x\r\n", invalid),
        Exchange("AUTH PLAIN\r\nAGJvYgBzZWNyZXQ= more words\r\n", "334 ", bob, refused),
        Exchange("AUTH PLAIN\r\n*\r\nNOOP\r\n", "334 ", "\(base64Note) PLAIN command)", invalid, "250 2.0.0 OK"),
        Exchange("AUTH PLAIN\r\n\r\n", "334 ", "(client sent invalid login in AUTH PLAIN command)", invalid),
        Exchange("AUTH PLAIN\r\n AGJv\r\n", "334 ", "(client sent invalid login in AUTH PLAIN command)", invalid),
        Exchange("AUTH PLAIN\r\nA\rB\r\nNOOP\r\n", "334 ", "counted: \(invalid)", "250 2.0.0 OK"),
        Exchange("AUTH PLAIN AGJvYg\r\n", "(client sent invalid password in AUTH PLAIN command)", invalid),
        Exchange("AUTH PLAIN AGINCgBz\r\n", "(client sent invalid login in AUTH PLAIN command)", invalid),
        Exchange("AUTH PLAIN AGIAcw0K\r\n", "(client sent invalid password in AUTH PLAIN command)", invalid),
        Exchange("AUTH LOGIN\r\nYm9i\r\nc2VjcmV0\r\n", askUser, askPassword, bob, refused),
        Exchange("AUTH LOGIN Ym9i\r\nc2VjcmV0\r\n", askPassword, bob, refused),
        Exchange("AUTH LOGIN\r\n\r\n\n", askUser, askPassword, "auth plain \"\" \"\"", refused),
        Exchange("AUTH LOGIN Ym9i c2Vj\r\n", invalid),
        Exchange("AUTH LOGIN\r\n*\r\n", askUser, "\(base64Note) LOGIN command)", invalid),
        Exchange("AUTH LOGIN\r\nYm9i\r\n*\r\n", askUser, askPassword, "\(base64Note) LOGIN command)", invalid),
        Exchange("AUTH LOGIN Yg0K\r\n", "(client sent invalid login in AUTH LOGIN command)", invalid),
        Exchange(
            "AUTH CRAM-MD5\r\nYm9iIDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm\r\n", "334 PDEuMkBteD4=",
            "auth cram-md5 \"bob\" \"0123456789abcdef0123456789abcdef\" salt <1.2@mx>", refused),
        Exchange("AUTH CRAM-MD5 Ym9i\r\n", invalid),
        Exchange(
            "AUTH CRAM-MD5\r\nYm9i\r\n", "334 PDEuMkBteD4=",
            "(client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command)", invalid),
        Exchange("AUTH EXTERNAL\r\nYm9i\r\n", askUser, "auth external \"bob\" \"\"", refused),
        Exchange("AUTH EXTERNAL Ym9i\r\n", "auth external \"bob\" \"\"", refused),
        Exchange("AUTH EXTERNAL !\r\n", "\(base64Note) EXTERNAL command)", invalid),
        Exchange("AUTH GSSAPI\r\n", invalid),
        Exchange("AUTH none\r\n", invalid),
    ]

    @Test(arguments: table)
    func `follows its table, however the bytes arrive`(exchange: Exchange) throws {
        for delivery in exchange.deliveries { #expect(try exchange.held(delivery, with: all) == exchange.minutes) }
    }

    @Test func `takes pipelined exchanges`() throws {
        var conversation = try Conversation(all)
        try conversation.send(Self.table.flatMap { $0.input.bytes })
        #expect(conversation.minutes == Self.table.flatMap(\.minutes))
    }

    @Test func `takes unlisted PLAIN and LOGIN, and nothing else unlisted`() throws {
        let service = Service(directives: ["smtp_auth none"])
        #expect(try reply("AUTH PLAIN\r\n", service) == ["334 "])
        #expect(try reply("AUTH LOGIN\r\n", service) == [askUser])
        for line in ["AUTH EXTERNAL\r\n", "AUTH EXTERNAL Ym9i\r\n", "AUTH CRAM-MD5\r\n"] {
            #expect(try reply(line, service) == [invalid])
        }
    }

    @Test func `takes nothing unlisted when strict`() throws {
        let service = Service(directives: ["smtp_auth login cram-md5"], isStrict: true)
        #expect(try reply("AUTH PLAIN\r\n", service) == [invalid])
        #expect(try reply("AUTH PLAIN AGJvYgA\r\n", service) == [invalid])
        #expect(try reply("AUTH LOGIN\r\n", service) == [askUser])
        #expect(try reply("AUTH CRAM-MD5\r\n", service) == ["334 PDEuMkBteD4="])
    }

    @Test func `takes no digests that nobody can verify`() throws {
        var service = all
        service.canVerifyDigests = false
        #expect(try reply("AUTH CRAM-MD5\r\n", service) == [invalid])
        #expect(try reply("EHLO x\r\n", service) == ["250-mx / 250 AUTH PLAIN LOGIN EXTERNAL"])
    }

    @Test(arguments: ["AUTH\r\n", "AUTH PLAIN\r\n", "AUTH EXTERNAL Ym9i\r\n"])
    func `needs TLS where it is required`(line: String) throws {
        var service = all
        service.startTLS = .only
        #expect(try reply(line, service) == [invalid])
        service.isEncrypted = true
        #expect(try reply(line, service) != [invalid])
    }

    private func reply(_ line: String, _ service: Service) throws -> [String] {
        try Exchange(line).held([line.bytes], with: service)
    }

    private static let tokens = Service(directives: ["smtp_auth xoauth2 oauthbearer"], errorData: "e30=")

    static let bearer: [Exchange] = [
        Exchange(
            "AUTH XOAUTH2\r\ndXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n\r\nNOOP\r\n", "334 ", xoauth2, "334 e30=",
            "refused: 535 5.7.0 no", "250 2.0.0 OK"),
        Exchange(
            "AUTH xoauth2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n\r\n", xoauth2, "334 e30=", "refused: 535 5.7.0 no"),
        Exchange(
            "AUTH XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ==\r\nNOOP\r\n", xoauth2, "334 e30=",
            "refused: 500 5.5.1 Invalid command", "250 2.0.0 OK"),
        Exchange(
            "AUTH XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n*\r\n", xoauth2, "334 e30=",
            "refused: 500 5.5.1 Invalid command"),
        Exchange("AUTH XOAUTH2 *\r\n", "\(base64Note) XOAUTH2 command)", "500 5.5.1 Invalid command"),
        Exchange(
            "AUTH OAUTHBEARER\r\nbixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ==\r\nNOOP\r\n", "334 ", oauthBearer,
            "334 e30=", "refused: 535 5.7.0 no", "250 2.0.0 OK"),
        Exchange(
            "AUTH OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ==\r\n", oauthBearer, "334 e30=",
            "refused: 535 5.7.0 no"),
        Exchange(
            "AUTH OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\n\r\nNOOP\r\n", oauthBearer, "334 e30=",
            "refused: 500 5.5.1 Invalid command", "250 2.0.0 OK"),
        Exchange(
            "AUTH OAUTHBEARER bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\nAQ\rx\r\nNOOP\r\n", oauthBearer, "334 e30=",
            "refused: 500 5.5.1 Invalid command", "250 2.0.0 OK"),
        Exchange("AUTH OAUTHBEARER *\r\n", "\(base64Note) OAUTHBEARER command)", "500 5.5.1 Invalid command"),
        Exchange(
            "AUTH OAUTHBEARER dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n",
            "(client sent invalid login in AUTH OAUTHBEARER command)", "500 5.5.1 Invalid command"),
        Exchange("AUTH PLAIN AGJvYgA\r\nNOOP\r\n", "auth plain \"bob\" \"\"", "535 5.7.0 no", "250 2.0.0 OK"),
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
        #expect(try reply("AUTH \(mechanism)\r\n", all) == ["500 5.5.1 Invalid command"])
    }

    @Test func `ends a refusal at an endless answer`() throws {
        var conversation = try Conversation(Self.tokens)
        try conversation.send(
            "AUTH XOAUTH2 dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\r\n".bytes + [UInt8](repeating: 0x41, count: 20_000))
        #expect(conversation.minutes == [xoauth2, "334 e30=", "too long: 500 5.5.1 Invalid command"])
    }
}
