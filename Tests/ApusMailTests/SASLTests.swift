import ApusMail
import Testing

/// What a mechanism made of a client's lines, last step only.
private func outcome(_ step: SASLStep) -> String {
    switch step {
    case .challenge(let text): return "challenge \(String(decoding: text, as: UTF8.self))"
    case .failed(let note): return "failed: \(note?.description ?? "")"
    case .authenticate(let credentials):
        let password = credentials.password.withBytes { $0.bytes }
        return [credentials.method.rawValue, text(credentials.login), text(password)].joined(separator: "|")
    }
}

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
private func base64(_ plain: String) -> [UInt8] {
    let bytes = plain.bytes
    return Base64.encode(bytes.span)
}

@Suite struct `SASL mechanisms` {
    private static let digest = "0123456789abcdef0123456789abcdef"

    @Test(
        arguments: [
            (.plain, "\0bob\0secret", "plain|bob|secret"),
            (.plain, "id\0bob\0secret", "plain|bob|secret"),
            (.plain, "\0bøb\0", "plain|bøb|"),
            (.plain, "\0\0x", "plain||x"),
            (.plain, "", "failed: client sent invalid login in AUTH PLAIN command"),
            (.plain, "bob", "failed: client sent invalid login in AUTH PLAIN command"),
            (.plain, "bob\0", "failed: client sent invalid login in AUTH PLAIN command"),
            (.plain, "\0bob", "failed: client sent invalid password in AUTH PLAIN command"),
            (.plain, "\0b\r\nb\0x", "failed: client sent invalid login in AUTH PLAIN command"),
            (.plain, "\0b\u{7F}b\0x", "failed: client sent invalid login in AUTH PLAIN command"),
            (.plain, "\0bob\0x\0y", "failed: client sent invalid password in AUTH PLAIN command"),
            (.plain, "\0bob\0x\n", "failed: client sent invalid password in AUTH PLAIN command"),
            (.cramMD5, "bob \(digest)", "cram-md5|bob|\(digest)"),
            (.cramMD5, " \(digest)", "cram-md5||\(digest)"),
            (.cramMD5, "bob \(digest)0", "failed: client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command"),
            (.cramMD5, "bob x \(digest)", "failed: client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command"),
            (.cramMD5, "bob", "failed: client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command"),
            (.cramMD5, "", "failed: client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command"),
            (.cramMD5, "b\tb \(digest)", "failed: client sent invalid login in AUTH CRAM-MD5 command"),
            (
                .cramMD5, "bob \r\n\(digest.dropFirst(2))",
                "failed: client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command"
            ),
            (.external, "bob", "external|bob|"),
            (.external, "", "external||"),
            (.external, "b\0b", "failed: client sent invalid login in AUTH EXTERNAL command"),
            (.xoauth2, "user=bob\u{1}auth=Bearer t.o=k~e/n\u{1}\u{1}", "xoauth2|bob|t.o=k~e/n"),
            (.xoauth2, "USER=bøb\u{1}Auth=bearer t t\u{1}\u{1}", "xoauth2|bøb|t t"),
            (.xoauth2, "user=\u{1}auth=Bearer \u{1}\u{1}", "xoauth2||"),
            (.xoauth2, "", "failed: client sent invalid login in AUTH XOAUTH2 command"),
            (.xoauth2, "user=bob", "failed: client sent invalid login in AUTH XOAUTH2 command"),
            (.xoauth2, "bob\u{1}auth=Bearer t\u{1}\u{1}", "failed: client sent invalid login in AUTH XOAUTH2 command"),
            (
                .xoauth2, "user=b\nb\u{1}auth=Bearer t\u{1}\u{1}",
                "failed: client sent invalid login in AUTH XOAUTH2 command"
            ),
            (.xoauth2, "user=bob\u{1}", "failed: client sent invalid token in AUTH XOAUTH2 command"),
            (.xoauth2, "user=bob\u{1}auth=Bearer t", "failed: client sent invalid token in AUTH XOAUTH2 command"),
            (.xoauth2, "user=bob\u{1}auth=Bearer t\u{1}", "failed: client sent invalid token in AUTH XOAUTH2 command"),
            (
                .xoauth2, "user=bob\u{1}auth=Basic t\u{1}\u{1}",
                "failed: client sent invalid token in AUTH XOAUTH2 command"
            ),
            (
                .xoauth2, "user=bob\u{1}auth=Bearer t\0\u{1}\u{1}",
                "failed: client sent invalid token in AUTH XOAUTH2 command"
            ),
            (
                .xoauth2, "user=bob\u{1}auth=Bearer t\u{1}x\u{1}\u{1}",
                "failed: client sent invalid token in AUTH XOAUTH2 command"
            ),
            (.oauthBearer, "n,a=bob,\u{1}auth=Bearer tok\u{1}\u{1}", "oauthbearer|bob|tok"),
            (
                .oauthBearer, "n,a=b=2Co=3Db,\u{1}host=h\u{1}port=143\u{1}AUTH=BEARER t\u{1}x=y\u{1}\u{1}",
                "oauthbearer|b,o=b|t"
            ),
            (.oauthBearer, "n,a=bob,\u{1}auth=Bearer tok\u{1}", "oauthbearer|bob|tok"),
            (
                .oauthBearer, "n,,\u{1}auth=Bearer t\u{1}\u{1}",
                "failed: client sent invalid login in AUTH OAUTHBEARER command"
            ),
            (
                .oauthBearer, "n,a=,\u{1}auth=Bearer t\u{1}\u{1}",
                "failed: client sent invalid login in AUTH OAUTHBEARER command"
            ),
            (
                .oauthBearer, "n,a=b=2cb,\u{1}auth=Bearer t\u{1}\u{1}",
                "failed: client sent invalid login in AUTH OAUTHBEARER command"
            ),
            (
                .oauthBearer, "n,a=b=,\u{1}auth=Bearer t\u{1}\u{1}",
                "failed: client sent invalid login in AUTH OAUTHBEARER command"
            ),
            (
                .oauthBearer, "n,a=b\rb,\u{1}auth=Bearer t\u{1}\u{1}",
                "failed: client sent invalid login in AUTH OAUTHBEARER command"
            ),
            (
                .oauthBearer, "n,a=bob,auth=Bearer t\u{1}\u{1}",
                "failed: client sent invalid login in AUTH OAUTHBEARER command"
            ),
            (.oauthBearer, "n,a=bob,", "failed: client sent invalid login in AUTH OAUTHBEARER command"),
            (.oauthBearer, "", "failed: client sent invalid login in AUTH OAUTHBEARER command"),
            (.oauthBearer, "n,a=bob,\u{1}", "failed: client sent invalid token in AUTH OAUTHBEARER command"),
            (
                .oauthBearer, "n,a=bob,\u{1}auth=Bearer t",
                "failed: client sent invalid token in AUTH OAUTHBEARER command"
            ),
            (
                .oauthBearer, "n,a=bob,\u{1}auth=Bearer \u{1}\u{1}",
                "failed: client sent invalid token in AUTH OAUTHBEARER command"
            ),
            (
                .oauthBearer, "n,a=bob,\u{1}auth=Bearer t\n\u{1}\u{1}",
                "failed: client sent invalid token in AUTH OAUTHBEARER command"
            ),
        ] as [(SASLMechanism, String, String)])
    func `read one response`(mechanism: SASLMechanism, response: String, expected: String) {
        var exchange = SASLExchange(mechanism, salt: [])
        let line = base64(response)
        #expect(outcome(exchange.respond(line.span)) == expected)
    }

    @Test(
        arguments: [
            ("bob", "secret", "plain|bob|secret"),
            ("", "", "plain||"),
            ("b\0b", "", "failed: client sent invalid login in AUTH LOGIN command"),
            ("bob", "x\ny", "failed: client sent invalid password in AUTH LOGIN command"),
        ])
    func `LOGIN reads two`(user: String, password: String, expected: String) {
        var exchange = SASLExchange(.login, salt: [])
        let (first, second) = (base64(user), base64(password))
        let step = exchange.respond(first.span)
        guard case .challenge(let prompt) = step else {
            #expect(outcome(step) == expected)
            return
        }
        #expect(text(prompt) == "UGFzc3dvcmQ6")
        #expect(outcome(exchange.respond(second.span)) == expected)
    }

    @Test(arguments: SASLMechanism.allCases, ["*", "A", "AAAAA", "AA A", "AA\0A", "-_==", "AAé="])
    func `refuse what is not Base64`(mechanism: SASLMechanism, response: String) {
        var exchange = SASLExchange(mechanism, salt: [])
        let line = response.bytes
        #expect(
            outcome(exchange.respond(line.span))
                == "failed: client sent invalid base64 encoding in AUTH \(mechanism.name) command")
    }

    @Test(
        arguments: [
            (.plain, "challenge "), (.login, "challenge VXNlcm5hbWU6"), (.cramMD5, "challenge PDEuMkBteD4="),
            (.external, "challenge "), (.xoauth2, "challenge "), (.oauthBearer, "challenge "),
        ] as [(SASLMechanism, String)])
    func `begin`(mechanism: SASLMechanism, expected: String) {
        #expect(outcome(SASLExchange(mechanism, salt: "<1.2@mx>".bytes).begin()) == expected)
    }

    @Test func `take an initial response where there is one`() {
        let response = base64("\0bob\0x")
        var (plain, cram) = (SASLExchange(.plain, salt: []), SASLExchange(.cramMD5, salt: []))
        #expect(outcome(plain.begin(with: response.span)) == "plain|bob|x")
        #expect(outcome(cram.begin(with: response.span)) == "failed: ")
    }

    @Test func `have names in any case`() {
        for mechanism in SASLMechanism.allCases {
            let (name, lower) = (mechanism.name.bytes, mechanism.name.description.lowercased().bytes)
            #expect(SASLMechanism(named: name.span) == mechanism)
            #expect(SASLMechanism(named: lower.span) == mechanism)
        }
        for other in ["", "PLAI", "PLAINS", "XOAUTH"] {
            let name = other.bytes
            #expect(SASLMechanism(named: name.span) == nil)
        }
    }

    @Test func `are admitted by the list`() {
        let loose = SASLPolicy(listed: .cramMD5, isStrict: false)
        #expect(
            SASLMechanism.allCases.filter { loose.admits($0, canVerifyDigests: true) } == [.plain, .login, .cramMD5])
        #expect(SASLMechanism.allCases.filter { loose.advertises($0, canVerifyDigests: true) } == [.cramMD5])
        #expect(!loose.admits(.cramMD5, canVerifyDigests: false))
        #expect(loose.admitsPasswordCommand)
        let strict = SASLPolicy(listed: [.login, .external], isStrict: true)
        #expect(SASLMechanism.allCases.filter { strict.admits($0, canVerifyDigests: true) } == [.login, .external])
        #expect(!strict.admitsPasswordCommand)
    }

    @Test(
        arguments: [
            (.xoauth2, "", true), (.xoauth2, "AQ==", false), (.xoauth2, "x", false), (.oauthbearer, "AQ==", true),
            (.oauthbearer, "", false), (.oauthbearer, "AQ", false), (.oauthbearer, "aq==", false),
        ] as [(AuthenticationMethod, String, Bool)])
    func `have error data acknowledged`(method: AuthenticationMethod, response: String, isGood: Bool) throws {
        let refusal = Refusal(message: "no".bytes, errorData: "e30=".bytes)
        let told = try #require(SASLRefusal(refusal, of: method, reply: "no".bytes))
        let line = response.bytes
        #expect(told.errorData == "e30=".bytes)
        #expect(told.reply(to: line.span, orElse: "bad".bytes) == (isGood ? "no" : "bad").bytes)
    }

    @Test func `have error data only where tokens are given`() {
        let refusal = Refusal(message: "no".bytes, errorData: "e30=".bytes)
        for method in [.plain, .cramMD5, .apop, .external, .none] as [AuthenticationMethod] {
            #expect(SASLRefusal(refusal, of: method, reply: []) == nil)
        }
        #expect(SASLRefusal(Refusal(message: "no".bytes), of: .xoauth2, reply: []) == nil)
    }
}
