import ApusMail
import ManageSieve
import Testing

@Suite struct `ManageSieve service` {
    private func list(_ service: Service) throws -> String? {
        var conversation = try Conversation(service)
        try conversation.send("CAPABILITY\r\n".bytes)
        return conversation.minutes.last
    }

    private func greeting(_ service: Service) throws -> String {
        var dialog = try service.make().makeClientDialog(service.client)
        return String(decoding: try dialog.greeting(), as: UTF8.self)
    }

    @Test(
        arguments: [
            (Service(), capabilities),
            (Service(startTLS: .on), listed + #" / "SASL" "PLAIN" / "STARTTLS" / "VERSION" "1.0""#),
            (Service(startTLS: .only), listed + #" / "SASL" "" / "STARTTLS" / "VERSION" "1.0""#),
            (Service(startTLS: .on, isEncrypted: true), capabilities),
            (Service(startTLS: .only, isEncrypted: true), capabilities),
            (
                Service(directives: [
                    "sieve_auth oauthbearer xoauth2 external cram-md5 login plain",
                    "sieve_capabilities SIEVE=fileinto MAXREDIRECTS=5 LANGUAGE=de OWNER",
                ]),
                #""IMPLEMENTATION" "Apus" / "SIEVE" "fileinto" / "MAXREDIRECTS" "5" / "LANGUAGE" "de" / "OWNER""#
                    + #" / "SASL" "PLAIN LOGIN CRAM-MD5 EXTERNAL XOAUTH2 OAUTHBEARER" / "VERSION" "1.0""#
            ),
            (
                Service(directives: [#"sieve_capabilities implementation=Cy"r\us SIEVE= version=2.0"#]),
                #""implementation" "Cy\"r\\us" / "SIEVE" "" / "version" "2.0" / "SASL" "PLAIN""#
            ),
        ])
    func `lists its capabilities`(service: Service, expected: String) throws {
        #expect(try list(service) == expected + #" / OK "Capabilities listed""#)
        #expect(
            try greeting(service)
                == (expected + " / OK \"ManageSieve ready\" / ").replacing(" / ", with: "\r\n"))
    }

    @Test func `does not list digests that nobody can verify`() throws {
        let service = Service(directives: ["sieve_auth plain cram-md5"], canVerifyDigests: false)
        #expect(try list(service) == capabilities + #" / OK "Capabilities listed""#)
    }

    @Test func `starts TLS once, lists again, and forgets what came before`() throws {
        for policy in [StartTLSPolicy.on, .only] {
            var conversation = try Conversation(Service(startTLS: policy))
            try conversation.send("STARTTLS\r\nAUTHENTICATE \"PLAIN\"\r\n".bytes)
            try conversation.send("NOOP\r\nSTARTTLS\r\nAUTHENTICATE \"PLAIN\" \"AGJvYgA\"\r\n".bytes)
            #expect(
                conversation.minutes == [
                    #"tls: OK "Begin TLS negotiation""#, capabilities + #" / OK "TLS started""#, #"OK "Done""#,
                    #"NO "TLS is on already""#, "auth plain \"bob\" \"\"", #"NO "no""#,
                ])
        }
    }

    @Test func `is declared as its service is registered`() {
        let declaration = ManageSieve.declaration
        #expect(declaration.name == "sieve")
        #expect(declaration.kind == .sieve)
        #expect(declaration.kind.rawValue == 3)
        #expect(declaration.defaultPorts == [4190])
        #expect(declaration.applicationProtocol == "managesieve")
        #expect(declaration.requiresPassword)
        #expect(declaration.internalServerError == "BYE (TRYLATER) \"Internal server error\"\r\n".bytes)
        #expect(declaration.certificateError == "BYE \"SSL certificate error\"\r\n".bytes)
        #expect(declaration.missingCertificate == "BYE \"No required SSL certificate\"\r\n".bytes)
        #expect(declaration.directives.map(\.name) == ["sieve_auth", "sieve_capabilities"])
        #expect(declaration.directives.map(\.defaultText)[0] == "plain")
    }

    @Test(
        arguments: [
            (["SIEVE=a", "=x"], "invalid capability \"=x\""),
            (["SIEVE=a", ""], "invalid capability \"\""),
            (["SIEVE=a", "A B=x"], "invalid capability \"A B=x\""),
            (["SIEVE=a", "\"A\""], "invalid capability \"\"A\"\""),
            (["SIEVE=a\r\nOK"], "invalid capability \"SIEVE=a\r\nOK\""),
            (["SIEVE=a", "sasl=PLAIN"], "\"sasl=PLAIN\" cannot be listed, it is added as it applies"),
            (["SIEVE=a", "STARTTLS"], "\"STARTTLS\" cannot be listed, it is added as it applies"),
            (["SIEVE=a", "NOTIFY=x", "NOTIFY=y"], "duplicate capability \"NOTIFY=y\""),
            (["SIEVE=a", "sieve=b"], "duplicate capability \"sieve=b\""),
            (["NOTIFY=mailto"], "no \"SIEVE\" in \"sieve_capabilities\""),
            (["SIEVE"], "no \"SIEVE\" in \"sieve_capabilities\""),
        ])
    func `refuses capabilities that would break the list`(words: [String], message: String) throws {
        let environment = LoadingEnvironment(prefix: "", configurationPrefix: "", isPrivileged: false, warn: { _ in })
        let use = DirectiveUse(
            name: "sieve_capabilities", arguments: words.map { Word($0) }, position: Position(file: nil, line: 1),
            isFirst: true, environment: environment)
        let directive = try #require(ManageSieve.declaration.directives.first { $0.name == "sieve_capabilities" })
        do throws(ConfigError) {
            _ = try directive.read(use)
            Issue.record("taken")
        } catch {
            #expect(error.message.hasPrefix(message))
        }
    }

    @Test func `throws when the session breaks its promises`() throws {
        var dialog = try Service().make().makeClientDialog(Service().client)
        #expect(throws: ApusMail.Bug.self) { try dialog.refused(Refusal(message: [])) }
        let login = BackendLogin(user: [], password: nil, clientAddress: [], method: .plain)
        #expect(throws: ApusMail.Bug.self) { _ = try dialog.makeBackendDialog(login) }
        let line = "AUTHENTICATE \"PLAIN\" \"AGJvYgA\"\r\n".bytes
        _ = try dialog.receive(line.span)
        #expect(throws: ApusMail.Bug.self) { _ = try dialog.makeBackendDialog(login) }
        #expect(throws: ApusMail.Bug.self) { try dialog.receive(line.span) }
    }
}
