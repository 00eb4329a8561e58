import ApusMail

/// The client's side of IMAP before authentication (RFC 9051 §6.1, §6.2).
struct IMAPClientDialog: ClientDialog {
    private enum Stage {
        case commands
        /// AUTHENTICATE has sent a challenge.
        case exchange(SASLExchange)
        /// The credentials are with the provider; the parser keeps the tag.
        case verdict(AuthenticationMethod)
        /// The client was sent error data.
        case refusal(SASLRefusal)
        /// STARTTLS was accepted.
        case handshake
    }

    var refusesCommands = false
    private let service: IMAPService
    private var client: ClientFacts
    private var stage = Stage.commands
    private var parser: CommandParser

    init(_ client: ClientFacts, service: IMAPService) {
        (self.client, self.service) = (client, service)
        parser = CommandParser(bufferSize: service.clientBuffer)
    }

    var inputLimit: Int { parser.limit }

    func greeting() -> [UInt8] { "* OK IMAP4 ready\r\n".bytes }

    mutating func startedTLS(_ client: ClientFacts) {
        self.client = client
        backToCommands()
    }

    mutating func receive(_ input: Span<UInt8>) throws(Bug) -> ClientStep {
        switch stage {
        case .commands, .exchange, .refusal: break
        case .verdict: throw Bug("no input is read while credentials are checked")
        case .handshake: throw Bug("no input is read before the TLS handshake")
        }
        switch parser.parse(input) {
        case .needMoreInput:
            return ClientStep(consumed: 0, .needMoreInput)
        case .literalAnnounced:
            return ClientStep(consumed: 0, .reply("+ OK\r\n".bytes))
        case .refused(let length, let announcesLiteral):
            let reply = invalid
            defer { backToCommands() }
            if case .refusal = stage, !announcesLiteral { return ClientStep(consumed: length, .endRefusal(reply)) }
            return ClientStep(consumed: length, announcesLiteral ? .invalidAndClose(reply) : .invalid(reply))
        case .complete(let length) where refusesCommands:
            return ClientStep(consumed: length, .tooManyCommands(invalid))
        case .complete(let length):
            var step =
                switch stage {
                case .exchange(let exchange): respond(input, in: exchange)
                case .refusal(let refusal): acknowledge(input, refusal)
                case .commands, .verdict, .handshake: try perform(input)
                }
            step.consumed = length
            return step
        }
    }

    func inputTooLong() -> [UInt8] { invalid }

    func redacted(_ input: Span<UInt8>) -> [UInt8] {
        guard case .commands = stage else { return "...".bytes }
        switch parser.word {
        case .noop, .capability, .logout, .startTLS: return input.bytes
        case .login, .authenticate, nil: break
        }
        let word = input.firstIndex(of: 0x20).map { $0 + 1 } ?? input.count
        // Longer than any tag: it may be the answer to a challenge that was not made.
        guard word <= 33 else { return "...".bytes }
        let end = min(input.firstIndex(of: 0x20, from: word) ?? input.count, 64)
        return input.extracting(0..<end).bytes + (end < input.count ? " ...".bytes : [])
    }

    mutating func refused(_ refusal: Refusal) throws(Bug) -> RefusalStep {
        guard case .verdict(let method) = stage else { throw Bug("a refusal answers credentials") }
        let reply = prefix + "NO ".bytes + refusal.message + "\r\n".bytes
        guard let refusal = SASLRefusal(refusal, of: method, reply: reply) else {
            backToCommands()
            return .reply(reply)
        }
        awaitResponse(in: .refusal(refusal))
        return .errorData(continuation(refusal.errorData))
    }

    func makeBackendDialog(_ login: BackendLogin) throws(Bug) -> any BackendDialog {
        guard case .verdict = stage, let tag = parser.tag else { throw Bug("a login has a tag") }
        guard let password = login.password else { throw Bug("IMAP is declared to require a password") }
        return IMAPBackendDialog(tag: tag, user: login.user, password: password)
    }

    // MARK: Commands

    /// Carries out the command the parser has read.
    private mutating func perform(_ input: Span<UInt8>) throws(Bug) -> ClientStep {
        switch parser.word {
        case .noop:
            return answer(completed)
        case .capability:
            return answer(service.capabilityLine(for: client) + completed)
        case .logout:
            return ClientStep(consumed: 0, .replyAndClose("* BYE\r\n".bytes + completed))
        case .startTLS:
            guard !client.isEncrypted, service.startTLS != .off else { return answer(invalid) }
            stage = .handshake
            return ClientStep(consumed: 0, .startTLS(completed))
        case .login:
            return logIn(input)
        case .authenticate:
            return authenticate(input)
        case nil:
            throw Bug("a complete command has a word")
        }
    }

    /// LOGIN (RFC 9051 §6.2.3).
    private mutating func logIn(_ input: Span<UInt8>) -> ClientStep {
        guard service.admitsLogin(of: client), service.policy.admitsPasswordCommand, parser.arguments.count == 2 else {
            return answer(invalid)
        }
        let user = parser.arguments[0].read(in: input) { $0.bytes }
        let password = parser.arguments[1].read(in: input) { Secret($0) }
        guard !user.isEmpty, !user.contains(where: { $0 == 0 || $0 == 0x0D || $0 == 0x0A }),
            password.withBytes({ $0.firstIndex(of: 0) }) == nil
        else { return answer(invalid) }
        return check(Credentials(method: .plain, login: user, password: password))
    }

    /// AUTHENTICATE (RFC 9051 §6.2.2), with the initial response of RFC 4959.
    private mutating func authenticate(_ input: Span<UInt8>) -> ClientStep {
        let arguments = parser.arguments
        guard service.admitsLogin(of: client), arguments.count == 1 || arguments.count == 2,
            let mechanism = arguments[0].read(in: input, { SASLMechanism(named: $0) }),
            service.policy.admits(mechanism, canVerifyDigests: client.canVerifyDigests)
        else { return answer(invalid) }
        var exchange = SASLExchange(
            mechanism, salt: mechanism == .cramMD5 ? client.challenge.text : [],
            externalChallenge: SASLExchange.nginxExternalChallenge)
        let step =
            arguments.count == 1 ? exchange.begin() : arguments[1].read(in: input) { exchange.begin(with: $0) }
        return goOn(exchange, step)
    }

    /// A line of the exchange. Its first word is the response; more words are ignored.
    private mutating func respond(_ input: Span<UInt8>, in begun: SASLExchange) -> ClientStep {
        guard let response = parser.arguments.first else { return answer(invalid) }
        var exchange = begun
        let step = response.read(in: input) { exchange.respond($0) }
        return goOn(exchange, step)
    }

    /// The client's answer to error data.
    private mutating func acknowledge(_ input: Span<UInt8>, _ refusal: SASLRefusal) -> ClientStep {
        let invalid = self.invalid
        let reply = parser.arguments.first?.read(in: input) { refusal.reply(to: $0, orElse: invalid) } ?? invalid
        backToCommands()
        return ClientStep(consumed: 0, .endRefusal(reply))
    }

    private mutating func goOn(_ exchange: SASLExchange, _ step: SASLStep) -> ClientStep {
        switch step {
        case .challenge(let text):
            awaitResponse(in: .exchange(exchange))
            return ClientStep(consumed: 0, .reply(continuation(text)))
        case .authenticate(let credentials):
            return check(credentials)
        case .failed(let note):
            return answer(invalid, note: note)
        }
    }

    private mutating func awaitResponse(in stage: Stage) {
        self.stage = stage
        parser = CommandParser(responseTo: parser.tag, bufferSize: service.clientBuffer)
    }

    private mutating func check(_ credentials: Credentials) -> ClientStep {
        stage = .verdict(credentials.method)
        return ClientStep(consumed: 0, .authenticate(credentials))
    }

    // MARK: Replies

    private func continuation(_ text: [UInt8]) -> [UInt8] { "+ ".bytes + text + "\r\n".bytes }

    /// The tag and a space; `* ` when no tag was read.
    private var prefix: [UInt8] { parser.tag ?? "* ".bytes }
    private var completed: [UInt8] { prefix + "OK completed\r\n".bytes }
    private var invalid: [UInt8] { prefix + "BAD invalid command\r\n".bytes }

    /// The reply that ends a command.
    private mutating func answer(_ reply: [UInt8], note: StaticString? = nil) -> ClientStep {
        backToCommands()
        return ClientStep(consumed: 0, .reply(reply), note: note)
    }

    private mutating func backToCommands() {
        stage = .commands
        parser = CommandParser(bufferSize: service.clientBuffer)
    }
}
