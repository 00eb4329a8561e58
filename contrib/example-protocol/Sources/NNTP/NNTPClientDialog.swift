import ApusMail

/// What an NNTP client may say before it is logged in.
struct NNTPClientDialog: ClientDialog {
    let service: NNTPService
    var isEncrypted: Bool
    /// The name of AUTHINFO USER, which AUTHINFO PASS goes with.
    private var user: [UInt8]?

    init(service: NNTPService, isEncrypted: Bool) { (self.service, self.isEncrypted) = (service, isEncrypted) }

    /// The longest command line, its end included (RFC 3977 §3.1).
    var inputLimit: Int { 512 }

    func greeting() -> [UInt8] { service.greeting }

    mutating func startedTLS(_ client: ClientFacts) { (user, isEncrypted) = (nil, client.isEncrypted) }

    mutating func receive(_ input: Span<UInt8>) -> ClientStep {
        guard let lineEnd = input.firstIndex(of: 0x0A) else { return ClientStep(consumed: 0, .needMoreInput) }
        let hasReturn = lineEnd > 0 && input[lineEnd - 1] == 0x0D
        return ClientStep(consumed: lineEnd + 1, perform(input.extracting(0..<(hasReturn ? lineEnd - 1 : lineEnd))))
    }

    private mutating func perform(_ line: Span<UInt8>) -> ClientAction {
        guard !line.hasControlCharacter else { return .invalid("501 control characters\r\n".bytes) }
        let words = line.words
        guard let first = words.first else { return .invalid("500 no command\r\n".bytes) }
        let command = line.extracting(first)
        if command.spells("AUTHINFO") { return authenticate(line, words) }
        if command.spells("STARTTLS") { return startTLS() }
        if command.spells("CAPABILITIES") { return .reply(capabilities) }
        if command.spells("MODE") { return .reply(service.greeting) }
        if command.spells("QUIT") { return .replyAndClose("205 bye\r\n".bytes) }
        return .reply("480 authentication required\r\n".bytes)
    }

    /// AUTHINFO USER and PASS (RFC 4643 §2.3).
    private mutating func authenticate(_ line: Span<UInt8>, _ words: [Range<Int>]) -> ClientAction {
        guard admitsLogin else { return .reply("483 TLS required\r\n".bytes) }
        guard words.count > 2 else { return .invalid("501 AUTHINFO USER name, AUTHINFO PASS password\r\n".bytes) }
        let argument = line.extracting(words[2].lowerBound..<line.count)
        if line.extracting(words[1]).spells("USER") {
            user = argument.bytes
            return .reply("381 password required\r\n".bytes)
        }
        guard line.extracting(words[1]).spells("PASS") else { return .reply("503 only USER and PASS\r\n".bytes) }
        guard let user else { return .reply("482 AUTHINFO USER comes first\r\n".bytes) }
        return .authenticate(Credentials(method: .plain, login: user, password: Secret(argument)))
    }

    private func startTLS() -> ClientAction {
        if isEncrypted { return .reply("502 TLS is on already\r\n".bytes) }
        if service.startTLS == .off { return .reply("500 no STARTTLS here\r\n".bytes) }
        return .startTLS("382 continue with TLS\r\n".bytes)
    }

    private var admitsLogin: Bool { isEncrypted || service.startTLS != .only }

    private var capabilities: [UInt8] {
        "101 capabilities\r\nVERSION 2\r\n".bytes + (admitsLogin ? "AUTHINFO USER\r\n".bytes : "AUTHINFO\r\n".bytes)
            + (!isEncrypted && service.startTLS != .off ? "STARTTLS\r\n".bytes : []) + ".\r\n".bytes
    }

    func inputTooLong() -> [UInt8] { "501 line too long\r\n".bytes }

    func farewell(_ reason: Farewell) -> [UInt8] { "400 closing connection\r\n".bytes }

    mutating func refused(_ refusal: Refusal) -> RefusalStep {
        user = nil
        return .reply("481 ".bytes + refusal.message + "\r\n".bytes)
    }

    func makeBackendDialog(_ login: BackendLogin) throws(Bug) -> any BackendDialog {
        guard let password = login.password else { throw Bug("NNTP is declared to require a password") }
        return try NNTPBackendDialog(user: login.user, password: password)
    }
}

extension Span<UInt8> {
    /// Where the words are that spaces separate.
    var words: [Range<Int>] {
        var words: [Range<Int>] = []
        var start = 0
        while start < count {
            let end = firstIndex(of: 0x20, from: start) ?? count
            if end > start { words.append(start..<end) }
            start = end + 1
        }
        return words
    }
}
