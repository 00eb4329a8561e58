import ApusMail
import SMTP
import Testing

@Suite struct `SMTP service` {
    private func reply(_ line: String, _ service: Service) throws -> [String] {
        try Exchange(line).held([line.bytes], with: service)
    }

    @Test(
        arguments: [
            (Service(), "250-mx / 250 AUTH PLAIN LOGIN"),
            (Service(startTLS: .on), "250-mx / 250-AUTH PLAIN LOGIN / 250 STARTTLS"),
            (Service(startTLS: .only), "250-mx / 250 STARTTLS"),
            (Service(startTLS: .only, isEncrypted: true), "250-mx / 250 AUTH PLAIN LOGIN"),
            (Service(startTLS: .on, isEncrypted: true), "250-mx / 250 AUTH PLAIN LOGIN"),
            (Service(directives: ["smtp_auth none"]), "250 mx"),
            (Service(directives: ["smtp_auth none"], startTLS: .on), "250-mx / 250 STARTTLS"),
            (
                Service(
                    directives: ["smtp_auth none external cram-md5 plain", "smtp_capabilities B a"], startTLS: .on),
                "250-mx / 250-B / 250-a / 250-AUTH PLAIN CRAM-MD5 EXTERNAL / 250 STARTTLS"
            ),
            (
                Service(directives: ["smtp_capabilities B"], startTLS: .only), "250-mx / 250-B / 250 STARTTLS"
            ),
            (Service(directives: ["smtp_auth none", "smtp_capabilities B a"]), "250-mx / 250-B / 250 a"),
        ])
    func `answers EHLO`(service: Service, expected: String) throws {
        #expect(try reply("EHLO x\r\n", service) == [expected])
    }

    @Test func `starts TLS once, and forgets what came before`() throws {
        for policy in [StartTLSPolicy.on, .only] {
            var conversation = try Conversation(Service(directives: ["smtp_auth none"], startTLS: policy))
            try conversation.send("HELO me\r\nMAIL a\r\nSTARTTLS ignored\r\nRCPT b\r\n".bytes)
            try conversation.send("STARTTLS\r\nRCPT b\r\nMAIL a\r\nRCPT b\r\n".bytes)
            #expect(
                conversation.minutes == [
                    "250 mx", "250 2.0.0 OK", "tls: 220 2.0.0 Start TLS", "500 5.5.1 Invalid command",
                    "503 5.5.1 Bad sequence of commands", "250 2.0.0 OK", "auth none  | MAIL a | RCPT b",
                    "535 5.7.0 no",
                ])
        }
    }

    @Test func `refuses with the provider's code`() throws {
        var dialog = try Service().make().makeClientDialog(Service().client)
        let line = "AUTH PLAIN AGJvYgA\r\n".bytes
        _ = try dialog.receive(line.span)
        #expect(
            try dialog.refused(Refusal(message: "later".bytes, code: "454 4.7.0".bytes))
                == .reply("454 4.7.0 later\r\n".bytes))
    }

    @Test func `delays its greeting`() throws {
        let service = Service(directives: ["smtp_greeting_delay 5s"])
        var dialog = try service.make().makeClientDialog(service.client)
        #expect(dialog.greetingDelay == .seconds(5))
        #expect(try dialog.spokeTooEarly() == "503 5.5.0 Improper use of SMTP command pipelining\r\n".bytes)
    }

    @Test func `is declared as nginx has it`() throws {
        let declaration = SMTP.declaration
        #expect(declaration.name == "smtp")
        #expect(declaration.kind == .smtp)
        #expect(declaration.defaultPorts == [25, 465, 587])
        #expect(declaration.applicationProtocol == "smtp")
        #expect(!declaration.requiresPassword)
        #expect(declaration.usesClientHostName)
        #expect(declaration.internalServerError == "451 4.3.2 Internal server error\r\n".bytes)
        #expect(declaration.certificateError == "421 4.7.1 SSL certificate error\r\n".bytes)
        #expect(declaration.missingCertificate == "421 4.7.1 No required SSL certificate\r\n".bytes)
        #expect(
            declaration.directives.map { "\($0.name) \($0.defaultText ?? "")" } == [
                "smtp_auth plain login", "smtp_capabilities ", "smtp_client_buffer 4k", "smtp_greeting_delay 0",
                "xclient on", "proxy_smtp_auth off",
            ])
        var dialog = try Service().make().makeClientDialog(Service().client)
        #expect(dialog.greetingDelay == .zero)
        #expect(try dialog.greeting() == "220 mx ESMTP ready\r\n".bytes)
    }

    @Test func `throws when the session breaks its promises`() throws {
        var dialog = try Service().make().makeClientDialog(Service().client)
        #expect(throws: ApusMail.Bug.self) { try dialog.refused(Refusal(message: [])) }
        let login = BackendLogin(user: [], password: nil, clientAddress: [], method: .none)
        #expect(throws: ApusMail.Bug.self) { _ = try dialog.makeBackendDialog(login) }
        let line = "AUTH PLAIN AGJvYgA\r\n".bytes
        _ = try dialog.receive(line.span)
        #expect(throws: ApusMail.Bug.self) { _ = try dialog.makeBackendDialog(login) }
        #expect(throws: ApusMail.Bug.self) { try dialog.receive(line.span) }
    }
}
