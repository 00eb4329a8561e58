import ApusMail
import Testing

/// What the server behind says, step by step, and the minutes of it: `send BYTES (ACTIVITY)`, `in: REPLY`,
/// `unexpected: QUOTED`, `failed: NOTE`, `more`; CR and LF as `|`.
private struct Server {
    private var dialog: any BackendDialog

    init(_ client: Client) throws {
        let service = Service(directives: client.directives + ["smtp_auth none external"])
        var dialog = try service.make().makeClientDialog(service.client)
        var input = client.lines.map { $0 + "\r\n" }.joined().bytes
        while !input.isEmpty {
            let step = try dialog.receive(input.span)
            input.removeFirst(step.consumed)
        }
        self.dialog = try dialog.makeBackendDialog(
            BackendLogin(
                user: client.user, password: client.password.map { Secret($0.bytes) },
                clientAddress: client.address.bytes, clientHostName: client.host.bytes, method: client.method))
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

private struct Client {
    var directives: [String] = []
    var lines = ["EHLO me", "AUTH PLAIN AGJvYgA"]
    var user = "bob".bytes
    var password: String? = "secret"
    var address = "192.0.2.7"
    var host = "[UNAVAILABLE]"
    var method = AuthenticationMethod.plain

    static let withoutXCLIENT = Client(directives: ["xclient off"])
    static let withAuth = Client(directives: ["xclient off", "proxy_smtp_auth on"])
    static let mail = Client(lines: ["MAIL FROM:<a>", "RCPT TO:<b>"], user: [], password: nil, method: .none)
}

@Suite struct `SMTP dialog with the server behind` {
    private typealias Step = (reply: String, expected: String)

    private static let ehlo = ("220 hi\r\n", "send EHLO mx| (sending HELO/EHLO to upstream)")
    private static let helo = ("220 hi\r\n", "send HELO mx| (sending HELO/EHLO to upstream)")
    private static let xclient = (
        "250-a\r\n250 b\r\n",
        "send XCLIENT ADDR=192.0.2.7 LOGIN=bob NAME=[UNAVAILABLE]| (sending XCLIENT to upstream)"
    )
    private static let clientEHLO = ("220 ok\r\n", "send EHLO me| (sending client HELO/EHLO to upstream)")
    private static let accepted = "in: 235 2.0.0 OK|"
    private static let auth = "send AUTH PLAIN AGJvYgBzZWNyZXQ=| (sending AUTH to upstream)"
    private static let mailFrom = "send MAIL FROM:<a>| (sending MAIL FROM to upstream)"
    private static let rcptTo = "send RCPT TO:<b>| (sending RCPT TO to upstream)"

    private static var mailWithoutXCLIENT: Client {
        var client = Client.mail
        client.directives = ["xclient off"]
        return client
    }

    private static var heloClient: Client { Client(lines: ["HELO me", "AUTH PLAIN AGJvYgA"]) }
    private static var namelessClient: Client { Client(lines: ["AUTH PLAIN AGJvYgA"]) }
    private static var heloAfterEHLO: Client { Client(lines: ["EHLO a", "HELO me", "AUTH PLAIN AGJvYgA"]) }

    private static func sends(_ line: String, _ activity: String) -> String {
        "send \(line)| (sending \(activity) to upstream)"
    }

    private static let dialogs: [(Client, [Step])] = [
        (Client(), [ehlo, xclient, clientEHLO, ("250-x\r\n250 y\r\n", accepted)]),
        (Client(), [ehlo, xclient, ("250 ok\r\n", clientEHLO.1), ("250\r\n", accepted)]),
        (heloAfterEHLO, [ehlo, xclient, clientEHLO, ("250 y\r\n", accepted)]),
        (
            heloClient,
            [ehlo, xclient, ("220 ok\r\n", sends("HELO me", "client HELO/EHLO")), ("250 y\r\n", accepted)]
        ),
        (namelessClient, [ehlo, xclient, ("220 ok\r\n", accepted)]),
        (namelessClient, [ehlo, xclient, ("250 ok\r\n", accepted)]),
        (.withoutXCLIENT, [ehlo, ("250 b\r\n", accepted)]),
        (
            Client(directives: ["xclient off"], lines: ["HELO me", "AUTH PLAIN AGJvYgA"]),
            [helo, ("250 b\r\n", accepted)]
        ),
        (.withAuth, [ehlo, ("250 b\r\n", auth), ("235 in\r\n", accepted)]),
        (.withAuth, [ehlo, ("250 b\r\n", auth), ("535 5.7.8 no\r\n", "unexpected: 535 5.7.8 no")]),
        (.withAuth, [ehlo, ("250 b\r\n", auth), ("334 \r\n", "unexpected: 334 ")]),
        (
            Client(directives: ["proxy_smtp_auth on"]),
            [
                ehlo, ("250 b\r\n", sends("XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE]", "XCLIENT")), clientEHLO,
                ("250 b\r\n", auth), ("235 in\r\n", accepted),
            ]
        ),
        (
            Client(directives: ["xclient off", "proxy_smtp_auth on"], password: nil),
            [ehlo, ("250 b\r\n", "failed: no password available")]
        ),
        (Client(password: nil), [ehlo, xclient, clientEHLO, ("250 b\r\n", accepted)]),
        (
            mailWithoutXCLIENT,
            [helo, ("250 b\r\n", mailFrom), ("250 ok\r\n", rcptTo), ("250-a\r\n250 ok\r\n", "in: 250-a|250 ok|")]
        ),
        (mailWithoutXCLIENT, [helo, ("250 b\r\n", mailFrom), ("250 ok\r\n", rcptTo), ("550 no\r\n", "in: 550 no|")]),
        (mailWithoutXCLIENT, [helo, ("250 b\r\n", mailFrom), ("550 no\r\n", "unexpected: 550 no")]),
        (
            .mail,
            [
                ehlo, ("250 b\r\n", sends("XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE]", "XCLIENT")),
                ("220 b\r\n", mailFrom), ("250 ok\r\n", rcptTo), ("450 later\r\n", "in: 450 later|"),
            ]
        ),
        (Client(), [("554 go away\r\n", "unexpected: 554 go away")]),
        (Client(), [("554-go\r\n554 away\r\n", "unexpected: 554-go|554 away")]),
        (Client(), [("2200 hi\r\n", "unexpected: 2200 hi")]),
        (Client(), [("\r\n\r\n", "unexpected: |")]),
        (Client(), [("220 hi\r\n250 early\r\n", "unexpected: 220 hi|250 early")]),
        (Client(), [ehlo, ("220 b\r\n", "unexpected: 220 b")]),
        (Client(), [ehlo, xclient, ("550 b\r\n", "unexpected: 550 b")]),
        (Client(), [ehlo, xclient, clientEHLO, ("220 b\r\n", "unexpected: 220 b")]),
        (Client(), [("220-a\r\n554 b\r\n", ehlo.1)]),
        (Client(), [("220-a\r\n250-b\r\n220\r\n", ehlo.1)]),
    ]

    @Test func `follows the table, at every split`() throws {
        for (client, dialog) in Self.dialogs {
            for (index, step) in dialog.enumerated() {
                let bytes = step.reply.bytes
                var whole = try Server(client)
                for before in dialog[..<index] { #expect(try whole.receive(before.reply.bytes) == before.expected) }
                #expect(try whole.receive(bytes) == step.expected)
                var slowly = try Server(client)
                for before in dialog[..<index] { _ = try slowly.receive(before.reply.bytes) }
                let answers = try bytes.indices.map { try slowly.receive(Array(bytes[...$0])) }
                guard !step.expected.contains("early"), !step.expected.hasPrefix("unexpected: |") else { continue }
                #expect(answers.last == step.expected)
                #expect(answers.dropLast().allSatisfy { $0 == "more" })
            }
        }
    }

    @Test(
        arguments: [
            ("192.0.2.7", "bob", "x.example", "ADDR=192.0.2.7 LOGIN=bob NAME=x.example"),
            ("2001:db8::1", "bob", "x", "ADDR=IPV6:2001:db8::1 LOGIN=bob NAME=x"),
            ("unix:", "bob", "[TEMPUNAVAIL]", "ADDR=[UNAVAILABLE] LOGIN=bob NAME=[TEMPUNAVAIL]"),
            ("unix:/tmp/a b\r\nc", "bob", "x", "ADDR=[UNAVAILABLE] LOGIN=bob NAME=x"),
            ("192.0.2.7", "", "x", "ADDR=192.0.2.7 NAME=x"),
            ("192.0.2.7", "a b+c=d\r\n\u{7F}", "x", "ADDR=192.0.2.7 LOGIN=a+20b+2Bc+3Dd+0D+0A+7F NAME=x"),
            ("192.0.2.7", "\u{E9}~!", "x", "ADDR=192.0.2.7 LOGIN=+C3+A9~! NAME=x"),
            ("192.0.2.7", "b", "", "ADDR=192.0.2.7 LOGIN=b NAME=[UNAVAILABLE]"),
            ("192.0.2.7", "b", "x LOGIN=root", "ADDR=192.0.2.7 LOGIN=b NAME=[UNAVAILABLE]"),
            ("192.0.2.7", "b", "x\r\nRSET", "ADDR=192.0.2.7 LOGIN=b NAME=[UNAVAILABLE]"),
        ])
    func `introduces the client`(address: String, user: String, host: String, expected: String) throws {
        var server = try Server(Client(user: user.bytes, address: address, host: host))
        _ = try server.receive("220 hi\r\n".bytes)
        #expect(try server.receive("250 hi\r\n".bytes) == "send XCLIENT \(expected)| (sending XCLIENT to upstream)")
    }

    @Test func `waits for whole lines`() throws {
        var server = try Server(Client())
        for part in ["", "2", "220", "220 hi\r", "220 hi\n", "220-hi\r\n", "220-hi\r\n220 x"] {
            #expect(try server.receive(part.bytes) == "more")
        }
        #expect(try server.receive("220-hi\r\n220 x\r\n".bytes) == Self.ehlo.1)
    }
}
