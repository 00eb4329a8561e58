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
            (.external, "challenge VXNlcm5hbWU6"),
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
        for other in ["", "PLAI", "PLAINS", "XOAUTH2"] {
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
}
