import ApusMail
import POP3
import Testing

@Suite struct `POP3 service` {
    private func capabilities(_ service: Service, after line: String = "") throws -> String? {
        var conversation = try Conversation(service)
        try conversation.send((line + "CAPA\r\n").bytes)
        return conversation.minutes.last
    }

    @Test(
        arguments: [
            (Service(), "TOP / USER / UIDL / SASL PLAIN LOGIN"),
            (Service(startTLS: .on), "TOP / USER / UIDL / SASL PLAIN LOGIN / STLS"),
            (Service(startTLS: .only), "TOP / UIDL / STLS"),
            (Service(directives: ["pop3_capabilities user X"], startTLS: .only), "X / STLS"),
            (
                Service(directives: ["pop3_auth external cram-md5 apop plain", "pop3_capabilities B a"]),
                "B / a / SASL PLAIN LOGIN CRAM-MD5 EXTERNAL"
            ),
            (Service(directives: ["pop3_auth apop"]), "TOP / USER / UIDL / SASL"),
            (Service(directives: ["pop3_auth apop"], startTLS: .on, isStrict: true), "TOP / UIDL / SASL / STLS"),
        ])
    func `lists its capabilities`(service: Service, expected: String) throws {
        #expect(try capabilities(service) == "+OK Capability list follows / \(expected) / .")
    }

    @Test func `lists the full form under TLS and behind USER`() throws {
        let full = "+OK Capability list follows / TOP / USER / UIDL / SASL PLAIN LOGIN / ."
        for policy in [StartTLSPolicy.off, .on, .only] {
            var service = Service(startTLS: policy)
            service.isEncrypted = true
            #expect(try capabilities(service) == full)
        }
        #expect(try capabilities(Service(startTLS: .on), after: "USER bob\r\n") == full)
    }

    @Test func `does not list digests that nobody can verify`() throws {
        var service = Service(directives: ["pop3_auth plain cram-md5"])
        service.canVerifyDigests = false
        #expect(try capabilities(service)?.hasSuffix("SASL PLAIN LOGIN / .") == true)
    }

    @Test(
        arguments: [
            ("plain", true, ""), ("external", true, ""), ("apop", true, " <1.2@mx>"), ("cram-md5", true, " <1.2@mx>"),
            ("plain apop cram-md5", true, " <1.2@mx>"), ("apop cram-md5", false, ""),
        ])
    func `greets with a timestamp where it is of use`(methods: String, canVerify: Bool, timestamp: String) throws {
        var service = Service(directives: ["pop3_auth " + methods])
        service.canVerifyDigests = canVerify
        var dialog = try service.make().makeClientDialog(service.client)
        #expect(try dialog.greeting() == "+OK POP3 ready\(timestamp)\r\n".bytes)
    }

    @Test func `takes no APOP for a timestamp it has not shown`() throws {
        var service = Service(directives: ["pop3_auth apop"])
        service.canVerifyDigests = false
        var dialog = try service.make().makeClientDialog(service.client)
        _ = try dialog.greeting()
        service.canVerifyDigests = true
        try dialog.startedTLS(service.client)
        let line = "APOP bob d\r\n".bytes
        guard case .reply(let reply) = try dialog.receive(line.span).action else { throw ApusMail.Bug("taken") }
        #expect(reply == "-ERR invalid command\r\n".bytes)
    }

    @Test func `starts TLS once, and forgets what came before`() throws {
        for policy in [StartTLSPolicy.on, .only] {
            var conversation = try Conversation(Service(startTLS: policy))
            try conversation.send("STLS ignored\r\nUSER eve\r\n".bytes)
            try conversation.send("PASS x\r\nSTLS\r\nUSER bob\r\nPASS secret\r\n".bytes)
            #expect(
                conversation.minutes == [
                    "tls: +OK", "-ERR invalid command", "-ERR invalid command", "+OK", "auth plain \"bob\" \"secret\"",
                    "-ERR no",
                ])
        }
    }

    @Test func `is declared as nginx has it`() {
        let declaration = POP3.declaration
        #expect(declaration.name == "pop3")
        #expect(declaration.kind == .pop3)
        #expect(declaration.defaultPorts == [110, 995])
        #expect(declaration.applicationProtocol == "pop3")
        #expect(declaration.requiresPassword)
        #expect(declaration.internalServerError == "-ERR internal server error\r\n".bytes)
        #expect(declaration.certificateError == "-ERR SSL certificate error\r\n".bytes)
        #expect(declaration.missingCertificate == "-ERR No required SSL certificate\r\n".bytes)
        #expect(
            declaration.directives.map { "\($0.name) \($0.defaultText ?? "")" } == [
                "pop3_auth plain", "pop3_capabilities TOP USER UIDL",
            ])
    }

    @Test func `throws when the session breaks its promises`() throws {
        var dialog = try Service().make().makeClientDialog(Service().client)
        #expect(throws: ApusMail.Bug.self) { try dialog.refused(Refusal(message: [])) }
        let login = BackendLogin(user: [], password: nil, clientAddress: [], method: .plain)
        #expect(throws: ApusMail.Bug.self) { _ = try dialog.makeBackendDialog(login) }
        let line = "AUTH PLAIN AGJvYgA\r\n".bytes
        _ = try dialog.receive(line.span)
        #expect(throws: ApusMail.Bug.self) { _ = try dialog.makeBackendDialog(login) }
        #expect(throws: ApusMail.Bug.self) { try dialog.receive(line.span) }
    }
}
