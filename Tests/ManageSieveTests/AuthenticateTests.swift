import ApusMail
import Testing

private let unavailable = #"NO "Mechanism not available""#
private let invalid = #"NO "Invalid response""#
private let cancelled = #"NO "Authentication cancelled""#
private let syntax = #"counted: NO "Syntax error""#
private let refused = #"NO "no""#
private let note = "(client sent invalid base64 encoding in AUTH"
private let bob = "auth plain \"bob\" \"secret\""
private let digest = "0123456789abcdef0123456789abcdef"
private let all = Service(directives: ["sieve_auth plain login cram-md5 external"])
private let xoauth2 = "auth xoauth2 \"bob\" \"tok\""
private let oauthBearer = "auth oauthbearer \"bob\" \"tok\""

@Suite struct `ManageSieve AUTHENTICATE` {
    static let table: [Exchange] = [
        Exchange("AUTHENTICATE \"PLAIN\"\r\n\"AGJvYgBzZWNyZXQ=\"\r\n", "\"\"", bob, refused),
        Exchange("AUTHENTICATE \"PLAIN\" \"AGJvYgBzZWNyZXQ=\"\r\n", bob, refused),
        Exchange("authenticate \"plain\" \"AGJvYgBzZWNyZXQ\"\n", bob, refused),
        Exchange("AUTHENTICATE \"PLAIN\" {16+}\r\nAGJvYgBzZWNyZXQ=\r\n", bob, refused),
        Exchange("AUTHENTICATE \"PLAIN\"\r\n{16+}\r\nAGJvYgBzZWNyZXQ=\r\n", "\"\"", bob, refused),
        Exchange("AUTHENTICATE {5+}\r\nPLAIN {16}\r\nAGJvYgBzZWNyZXQ=\r\n", bob, refused),
        Exchange(#"AUTHENTICATE "PL\AIN" "AGJv\YgBzZWNyZXQ=""# + "\r\n", bob, refused),
        Exchange("AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ=\r\n", bob, refused),
        Exchange("AUTHENTICATE \"PLAIN\" \"AGJvYgA\"  \r\n", "auth plain \"bob\" \"\"", refused),
        Exchange("AUTHENTICATE \"PLAIN\"\r\n\"*\"\r\nNOOP\r\n", "\"\"", cancelled, #"OK "Done""#),
        Exchange("AUTHENTICATE \"PLAIN\"\r\n*\r\n", "\"\"", cancelled),
        Exchange("AUTHENTICATE \"PLAIN\" \"*\"\r\n", "\(note) PLAIN command)", invalid),
        Exchange("AUTHENTICATE \"PLAIN\"\r\n\r\nNOOP\r\n", "\"\"", invalid, #"OK "Done""#),
        Exchange("AUTHENTICATE \"PLAIN\"\r\n\"AGJv\" \"YgA\"\r\n", "\"\"", invalid),
        Exchange(
            "AUTHENTICATE \"PLAIN\"\r\n\"\"\r\n", "\"\"", "(client sent invalid login in AUTH PLAIN command)", invalid),
        Exchange("AUTHENTICATE \"PLAIN\" \"\"\r\n", "(client sent invalid login in AUTH PLAIN command)", invalid),
        Exchange(
            "AUTHENTICATE \"PLAIN\" \"AGJvYg\"\r\n", "(client sent invalid password in AUTH PLAIN command)", invalid),
        // "bob", "a\r\nb"; "b\nb", "a"; "bob", "a\0b".
        Exchange(
            "AUTHENTICATE \"PLAIN\" \"AGJvYgBhDQpi\"\r\n", "(client sent invalid password in AUTH PLAIN command)",
            invalid),
        Exchange(
            "AUTHENTICATE \"PLAIN\" \"AGIKYgBh\"\r\n", "(client sent invalid login in AUTH PLAIN command)", invalid),
        Exchange(
            "AUTHENTICATE \"PLAIN\" \"AGJvYgBhAGI=\"\r\n", "(client sent invalid password in AUTH PLAIN command)",
            invalid),
        Exchange("AUTHENTICATE \"PLAIN\" {3+}\r\nA\r\n\r\n", "\(note) PLAIN command)", invalid),
        Exchange(
            "AUTHENTICATE \"LOGIN\"\r\n\"Ym9i\"\r\n{8+}\r\nc2VjcmV0\r\n", "\"VXNlcm5hbWU6\"", "\"UGFzc3dvcmQ6\"", bob,
            refused),
        Exchange("AUTHENTICATE \"LOGIN\" \"Ym9i\"\r\n\"c2VjcmV0\"\r\n", "\"UGFzc3dvcmQ6\"", bob, refused),
        Exchange("AUTHENTICATE \"LOGIN\" \"Ym9i\"\r\n\"*\"\r\n", "\"UGFzc3dvcmQ6\"", cancelled),
        Exchange(
            "AUTHENTICATE \"CRAM-MD5\"\r\n\"Ym9iIDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm\"\r\n", "\"PDEuMkBteD4=\"",
            "auth cram-md5 \"bob\" \"\(digest)\" salt <1.2@mx>", refused),
        Exchange("AUTHENTICATE \"CRAM-MD5\" \"Ym9i\"\r\n", invalid),
        Exchange(
            "AUTHENTICATE \"CRAM-MD5\"\r\n\"Ym9i\"\r\n", "\"PDEuMkBteD4=\"",
            "(client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command)", invalid),
        Exchange(
            "AUTHENTICATE \"EXTERNAL\"\r\n\"Ym9i\"\r\n", "\"\"", "auth external \"bob\" \"\"", refused),
        Exchange("AUTHENTICATE \"EXTERNAL\" \"\"\r\n", "auth external \"\" \"\"", refused),
        Exchange("AUTHENTICATE \"XOAUTH2\" \"x\"\r\n", unavailable),
        Exchange("AUTHENTICATE \"GSSAPI\"\r\n", unavailable),
        Exchange("AUTHENTICATE \"\"\r\n", unavailable),
        // Responses that are no strings.
        Exchange("AUTHENTICATE \"EXTERNAL\"\r\n\"Ym9i\r\nNOOP\r\n", "\"\"", syntax, #"OK "Done""#),
        Exchange("AUTHENTICATE \"EXTERNAL\"\r\n\"Ym9i\0\"\r\n", "\"\"", syntax),
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
        let response = "AGIA" + String(repeating: "eHh4", count: (longest - 4) / 4)  // NUL, "b", NUL, the password
        let accepted = ["auth plain \"b\" \"" + String(repeating: "xxx", count: (longest - 4) / 4) + "\"", refused]
        let name = "{20+}\r\nPLAIN               "
        for argument in ["\"\(response)\"", "{\(longest)+}\r\n\(response)"] {
            #expect(try reply("AUTHENTICATE \"PLAIN\"\r\n\(argument)\r\n", all) == ["\"\""] + accepted)
            #expect(try reply("AUTHENTICATE \"PLAIN\" \(argument)\r\n", all) == accepted)
            #expect(try reply("AUTHENTICATE \(name) \(argument)\r\n", all) == [unavailable])
        }
        let tooLong = #"too long: BYE "Command too long""#
        let endless = "\"" + String(repeating: "x", count: longest + 60)
        #expect(try reply("AUTHENTICATE \"PLAIN\"\r\n" + endless, all) == ["\"\"", tooLong])
        #expect(try reply("AUTHENTICATE \"PLAIN\" " + endless, all) == [tooLong])
        let literal = #"counted, close: BYE "Invalid or too long literal""#
        #expect(try reply("AUTHENTICATE \"PLAIN\" {12400+}\r\n", all) == [literal])
        #expect(try reply("AUTHENTICATE \"PLAIN\"\r\n{12400+}\r\n", all) == ["\"\"", literal])
        #expect(try reply("AUTHENTICATE \"PLAIN\"\r\n\"*\"\r\nNOOP {4096+}\r\n", all).last == literal)
    }

    @Test func `take unlisted PLAIN and LOGIN, and nothing else unlisted`() throws {
        let service = Service(directives: ["sieve_auth external"])
        #expect(try reply("AUTHENTICATE \"PLAIN\"\r\n", service) == ["\"\""])
        #expect(try reply("AUTHENTICATE \"LOGIN\"\r\n", service) == ["\"VXNlcm5hbWU6\""])
        #expect(try reply("AUTHENTICATE \"CRAM-MD5\"\r\n", service) == [unavailable])
        #expect(try reply("AUTHENTICATE \"EXTERNAL\"\r\n", Service()) == [unavailable])
        #expect(try reply("AUTHENTICATE \"EXTERNAL\" \"Ym9i\"\r\n", Service()) == [unavailable])
    }

    @Test func `take nothing unlisted when strict`() throws {
        let service = Service(directives: ["sieve_auth cram-md5"], isStrict: true)
        for line in ["\"PLAIN\"", "\"PLAIN\" \"AGJvYgA\"", "\"LOGIN\""] {
            #expect(try reply("AUTHENTICATE \(line)\r\n", service) == [unavailable])
        }
        #expect(try reply("AUTHENTICATE \"CRAM-MD5\"\r\n", service) == ["\"PDEuMkBteD4=\""])
    }

    @Test func `take no digests that nobody can verify`() throws {
        var service = all
        service.canVerifyDigests = false
        #expect(try reply("AUTHENTICATE \"CRAM-MD5\"\r\n", service) == [unavailable])
    }

    @Test(arguments: ["\"PLAIN\"", "\"PLAIN\" \"AGJvYgA\"", "\"EXTERNAL\" \"Ym9i\"", "\"FOO\""])
    func `need TLS where it is required`(line: String) throws {
        var service = all
        service.startTLS = .only
        #expect(try reply("AUTHENTICATE \(line)\r\n", service) == [#"NO (ENCRYPT-NEEDED) "Use STARTTLS first""#])
        service.isEncrypted = true
        #expect(try reply("AUTHENTICATE \(line)\r\n", service) != [#"NO (ENCRYPT-NEEDED) "Use STARTTLS first""#])
    }

    private func reply(_ line: String, _ service: Service) throws -> [String] {
        try Exchange(line).held([line.bytes], with: service)
    }

    private static let tokens = Service(directives: ["sieve_auth xoauth2 oauthbearer"], errorData: "e30=")

    static let bearer: [Exchange] = [
        Exchange(
            "AUTHENTICATE \"XOAUTH2\"\r\n\"dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\"\"\r\nNOOP\r\n", "\"\"", xoauth2,
            "\"e30=\"", "refused: " + refused, #"OK "Done""#),
        Exchange(
            "AUTHENTICATE \"xoauth2\" \"dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n{0+}\r\n\r\n", xoauth2, "\"e30=\"",
            "refused: " + refused),
        Exchange(
            "AUTHENTICATE \"XOAUTH2\" \"dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\"AQ==\"\r\n", xoauth2, "\"e30=\"",
            "refused: " + invalid),
        Exchange(
            "AUTHENTICATE \"XOAUTH2\" \"dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\"*\"\r\n", xoauth2, "\"e30=\"",
            "refused: " + invalid),
        Exchange(
            "AUTHENTICATE \"XOAUTH2\" \"dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\r\n", xoauth2, "\"e30=\"",
            "refused: " + invalid),
        Exchange(
            "AUTHENTICATE \"OAUTHBEARER\"\r\n\"bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\"AQ==\"\r\nNOOP\r\n", "\"\"",
            oauthBearer, "\"e30=\"", "refused: " + refused, #"OK "Done""#),
        Exchange(
            "AUTHENTICATE \"OAUTHBEARER\" \"bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n\"AQ=\r\nNOOP\r\n", oauthBearer,
            "\"e30=\"", #"refused: NO "Syntax error""#, #"OK "Done""#),
        Exchange(
            "AUTHENTICATE \"OAUTHBEARER\" \"bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\"\r\n{}\r\n", oauthBearer, "\"e30=\"",
            #"counted, close: BYE "Invalid or too long literal""#),
        Exchange("AUTHENTICATE \"PLAIN\" \"AGJvYgA\"\r\nNOOP\r\n", "auth plain \"bob\" \"\"", refused, #"OK "Done""#),
    ]

    @Test(arguments: bearer)
    func `takes tokens, and tells why they are refused`(exchange: Exchange) throws {
        for delivery in exchange.deliveries {
            #expect(try exchange.held(delivery, with: Self.tokens) == exchange.minutes)
        }
    }

    @Test(arguments: ["\"XOAUTH2\"", "\"OAUTHBEARER\" \"bixhPWJvYiwBYXV0aD1CZWFyZXIgdG9rAQE=\""])
    func `takes no tokens unlisted`(mechanism: String) throws {
        #expect(try reply("AUTHENTICATE \(mechanism)\r\n", all) == [unavailable])
    }

    @Test(
        arguments: [
            (#"say "no" \ never"#, #"NO "say \"no\" \\ never""#), ("", "NO \"\""), ("nö", "NO \"nö\""),
        ])
    func `quote the words of the provider`(message: String, expected: String) throws {
        #expect(try refusal(message.bytes) == (expected + "\r\n").bytes)
    }

    @Test func `tell long words of the provider as a literal`() throws {
        let message = [UInt8](repeating: 0x78, count: 1025)
        #expect(try refusal(message) == "NO {1025}\r\n".bytes + message + "\r\n".bytes)
    }

    private func refusal(_ message: [UInt8]) throws -> [UInt8] {
        var dialog = try Service().make().makeClientDialog(Service().client)
        let line = "AUTHENTICATE \"PLAIN\" \"AGJvYgA\"\r\n".bytes
        _ = try dialog.receive(line.span)
        guard case .reply(let reply) = try dialog.refused(Refusal(message: message)) else { return [] }
        return reply
    }
}
