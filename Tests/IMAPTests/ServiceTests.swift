import ApusMail
import IMAP
import Testing

@Suite struct `IMAP service` {
    private func capabilities(_ service: Service) throws -> String {
        var conversation = try Conversation(service)
        try conversation.send("a CAPABILITY\r\n".bytes)
        let line = try #require(conversation.minutes.first)
        return String(line.prefix { $0 != "/" })
    }

    @Test(
        arguments: [
            (Service(), "IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN"),
            (Service(startTLS: .on), "IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN STARTTLS"),
            (Service(startTLS: .only), "IMAP4 IMAP4rev1 UIDPLUS STARTTLS LOGINDISABLED"),
            (
                Service(directives: ["imap_auth external cram-md5 plain login", "imap_capabilities B a"]),
                "B a AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=EXTERNAL"
            ),
            (Service(directives: ["imap_auth login"]), "IMAP4 IMAP4rev1 UIDPLUS AUTH=LOGIN"),
            (
                Service(directives: ["imap_auth login"], startTLS: .on, isStrict: true),
                "IMAP4 IMAP4rev1 UIDPLUS AUTH=LOGIN STARTTLS LOGINDISABLED"
            ),
        ])
    func `lists its capabilities`(service: Service, expected: String) throws {
        #expect(try capabilities(service) == "* CAPABILITY \(expected) ")
    }

    @Test func `lists the plain form under TLS`() throws {
        for policy in [StartTLSPolicy.off, .on, .only] {
            var service = Service(startTLS: policy)
            service.isEncrypted = true
            #expect(try capabilities(service) == "* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN ")
        }
    }

    @Test func `does not list digests that nobody can verify`() throws {
        var service = Service(directives: ["imap_auth plain cram-md5"])
        service.canVerifyDigests = false
        #expect(try capabilities(service) == "* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN ")
    }

    @Test func `starts TLS once, and forgets what came before`() throws {
        for policy in [StartTLSPolicy.on, .only] {
            var conversation = try Conversation(Service(startTLS: policy))
            try conversation.send("a STARTTLS ignored\r\nb NOOP\r\n".bytes)
            try conversation.send("c STARTTLS\r\nd LOGIN bob secret\r\n".bytes)
            #expect(
                conversation.minutes == [
                    "tls: a OK completed", "c BAD invalid command", "auth plain \"bob\" \"secret\"", "d NO no",
                ])
        }
    }

    @Test func `is declared as nginx has it`() throws {
        let declaration = IMAP.declaration
        #expect(declaration.name == "imap")
        #expect(declaration.defaultPorts == [143, 993])
        #expect(declaration.applicationProtocol == "imap")
        #expect(declaration.requiresPassword)
        #expect(declaration.internalServerError == "* BAD internal server error\r\n".bytes)
        #expect(declaration.certificateError == "* BYE SSL certificate error\r\n".bytes)
        #expect(declaration.missingCertificate == "* BYE No required SSL certificate\r\n".bytes)
        #expect(
            declaration.directives.map { "\($0.name) \($0.defaultText ?? "")" } == [
                "imap_auth plain", "imap_capabilities IMAP4 IMAP4rev1 UIDPLUS", "imap_client_buffer 4k",
            ])
        var dialog = try Service().make().makeClientDialog(Service().client)
        #expect(try dialog.greeting() == "* OK IMAP4 ready\r\n".bytes)
    }

    @Test func `throws when the session breaks its promises`() throws {
        var dialog = try Service().make().makeClientDialog(Service().client)
        #expect(throws: ApusMail.Bug.self) { try dialog.refused(Refusal(message: [])) }
        let login = BackendLogin(user: [], password: nil, clientAddress: [], method: .plain)
        #expect(throws: ApusMail.Bug.self) { _ = try dialog.makeBackendDialog(login) }
        let line = "a LOGIN b s\r\n".bytes
        _ = try dialog.receive(line.span)
        #expect(throws: ApusMail.Bug.self) { _ = try dialog.makeBackendDialog(login) }
        #expect(throws: ApusMail.Bug.self) { try dialog.receive(line.span) }
    }
}
