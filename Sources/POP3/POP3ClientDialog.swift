import ApusMail

/// The client's side of POP3's AUTHORIZATION state (RFC 1939 §4).
struct POP3ClientDialog: ClientDialog {
    private enum Stage {
        case start
        /// USER was accepted.
        case user([UInt8])
        /// AUTH has sent a challenge.
        case exchange(SASLExchange)
        /// The credentials are with the provider.
        case verdict(AuthenticationMethod)
        /// The client was sent error data.
        case refusal(SASLRefusal)
        /// STLS was accepted.
        case handshake
    }

    var refusesCommands = false
    private let service: POP3Service
    private var client: ClientFacts
    /// The greeting had one: APOP without is a digest of something the client has not seen.
    private let hasTimestamp: Bool
    private var stage = Stage.start
    private var parser = CommandParser()

    init(_ client: ClientFacts, service: POP3Service) {
        (self.client, self.service) = (client, service)
        hasTimestamp = service.showsTimestamp(to: client)
    }

    var inputLimit: Int { parser.limit }

    func greeting() -> [UInt8] {
        "+OK POP3 ready".bytes + (hasTimestamp ? " ".bytes + client.challenge.text : []) + "\r\n".bytes
    }

    mutating func startedTLS(_ client: ClientFacts) {
        self.client = client
        backToStart()
    }

    mutating func receive(_ input: Span<UInt8>) throws(Bug) -> ClientStep {
        switch stage {
        case .start, .user, .exchange, .refusal: break
        case .verdict: throw Bug("no input is read while credentials are checked")
        case .handshake: throw Bug("no input is read before the TLS handshake")
        }
        switch parser.parse(input) {
        case .needMoreInput:
            return ClientStep(consumed: 0, .needMoreInput)
        case .refused(let length):
            defer { backToStart() }
            if case .refusal = stage { return ClientStep(consumed: length, .endRefusal(Self.invalid)) }
            return ClientStep(consumed: length, .invalid(Self.invalid))
        case .complete(let length) where refusesCommands:
            return ClientStep(consumed: length, .tooManyCommands(Self.invalid))
        case .complete(let length):
            var step = try perform(input)
            step.consumed = length
            return step
        }
    }

    func inputTooLong() -> [UInt8] { Self.invalid }

    /// What is no command at all is not shown: it may be a response to an AUTH that was refused.
    func redacted(_ input: Span<UInt8>) -> [UInt8] {
        switch parser.word {
        case .user, .quit, .capa, .noop, .stls: input.bytes
        case .pass, .apop, .auth: input.extracting(0..<min(4, input.count)).bytes + " ...".bytes
        case nil: "...".bytes
        }
    }

    mutating func refused(_ refusal: Refusal) throws(Bug) -> RefusalStep {
        guard case .verdict(let method) = stage else { throw Bug("a refusal answers credentials") }
        let reply = "-ERR ".bytes + refusal.message + "\r\n".bytes
        guard let refusal = SASLRefusal(refusal, of: method, reply: reply) else {
            backToStart()
            return .reply(reply)
        }
        return .errorData(askFor(refusal.errorData, in: .refusal(refusal)))
    }

    func makeBackendDialog(_ login: BackendLogin) throws(Bug) -> any BackendDialog {
        guard case .verdict = stage else { throw Bug("a login answers credentials") }
        guard let password = login.password else { throw Bug("POP3 is declared to require a password") }
        return try POP3BackendDialog(user: login.user, password: password)
    }

    // MARK: Commands

    /// Carries out the line the parser has read.
    private mutating func perform(_ input: Span<UInt8>) throws(Bug) -> ClientStep {
        switch stage {
        case .start: return try performAtStart(input)
        case .user(let name): return try perform(input, asUser: name)
        case .exchange(let begun): return respond(input, in: begun)
        case .refusal(let refusal): return acknowledge(input, refusal)
        case .verdict, .handshake: throw Bug("a line is read before the login")
        }
    }

    private mutating func performAtStart(_ input: Span<UInt8>) throws(Bug) -> ClientStep {
        switch parser.word {
        case .user: return nameUser(input)
        case .apop: return apop(input)
        case .auth: return authenticate(input)
        case .capa: return answer(service.capabilities(for: client, isUserNamed: false))
        case .noop: return answer(Self.ok)
        case .quit: return ClientStep(consumed: 0, .replyAndClose(Self.ok))
        case .stls: return startTLS()
        case .pass: return refuse()
        case nil: throw Bug("a complete command has a word")
        }
    }

    private mutating func perform(_ input: Span<UInt8>, asUser name: [UInt8]) throws(Bug) -> ClientStep {
        switch parser.word {
        case .pass: return pass(input, user: name)
        case .capa: return answer(service.capabilities(for: client, isUserNamed: true))
        case .noop: return answer(Self.ok)
        case .quit: return ClientStep(consumed: 0, .replyAndClose(Self.ok))
        case .user, .apop, .auth, .stls: return refuse()
        case nil: throw Bug("a complete command has a word")
        }
    }

    /// USER (RFC 1939 §7). Nobody is asked about the name before there is a password.
    private mutating func nameUser(_ input: Span<UInt8>) -> ClientStep {
        guard service.admitsLogin(of: client), service.policy.admitsPasswordCommand, parser.arguments.count == 1 else {
            return refuse()
        }
        let name = input.extracting(parser.arguments[0])
        guard !name.hasControlCharacter else { return refuse() }
        stage = .user(name.bytes)
        return answer(Self.ok)
    }

    private mutating func pass(_ input: Span<UInt8>, user: [UInt8]) -> ClientStep {
        guard parser.arguments.count == 1 else { return refuse() }
        let password = input.extracting(parser.arguments[0])
        guard !password.hasControlCharacter else { return refuse() }
        return check(Credentials(method: .plain, login: user, password: Secret(password)))
    }

    /// APOP (RFC 1939 §7): what the digest should be is for the provider to know.
    private mutating func apop(_ input: Span<UInt8>) -> ClientStep {
        guard service.admitsLogin(of: client), service.methods.contains(.apop), client.canVerifyDigests, hasTimestamp,
            parser.arguments.count == 2
        else { return refuse() }
        let name = input.extracting(parser.arguments[0])
        let digest = input.extracting(parser.arguments[1])
        guard !name.hasControlCharacter, !digest.hasControlCharacter else { return refuse() }
        return check(
            Credentials(method: .apop, login: name.bytes, password: Secret(digest), salt: client.challenge.text))
    }

    private mutating func startTLS() -> ClientStep {
        guard !client.isEncrypted, service.startTLS != .off else { return refuse() }
        stage = .handshake
        return ClientStep(consumed: 0, .startTLS(Self.ok))
    }

    /// AUTH (RFC 5034 §4); alone it lists the mechanisms.
    private mutating func authenticate(_ input: Span<UInt8>) -> ClientStep {
        let arguments = parser.arguments
        guard service.admitsLogin(of: client) else { return refuse() }
        guard let name = arguments.first else { return answer(service.mechanisms(for: client)) }
        guard arguments.count <= 2, let mechanism = SASLMechanism(named: input.extracting(name)),
            service.policy.admits(mechanism, canVerifyDigests: client.canVerifyDigests)
        else { return refuse() }
        var exchange = SASLExchange(
            mechanism, salt: mechanism == .cramMD5 ? client.challenge.text : [],
            externalChallenge: SASLExchange.nginxExternalChallenge)
        let step =
            arguments.count == 1 ? exchange.begin() : exchange.begin(with: input.extracting(arguments[1]))
        return goOn(exchange, step)
    }

    /// A line of the exchange. Its first word is the response; more words are ignored.
    private mutating func respond(_ input: Span<UInt8>, in begun: SASLExchange) -> ClientStep {
        guard let response = parser.arguments.first else { return refuse() }
        var exchange = begun
        let step = exchange.respond(input.extracting(response))
        return goOn(exchange, step)
    }

    /// The client's answer to error data.
    private mutating func acknowledge(_ input: Span<UInt8>, _ refusal: SASLRefusal) -> ClientStep {
        let response = parser.arguments.first
        let reply = response.map { refusal.reply(to: input.extracting($0), orElse: Self.invalid) } ?? Self.invalid
        backToStart()
        return ClientStep(consumed: 0, .endRefusal(reply))
    }

    private mutating func goOn(_ exchange: SASLExchange, _ step: SASLStep) -> ClientStep {
        switch step {
        case .challenge(let text):
            return ClientStep(consumed: 0, .reply(askFor(text, in: .exchange(exchange))))
        case .authenticate(let credentials):
            return check(credentials)
        case .failed(let note):
            return refuse(note: note)
        }
    }

    /// The continuation that asks for another line.
    private mutating func askFor(_ text: [UInt8], in stage: Stage) -> [UInt8] {
        self.stage = stage
        parser = .response
        return "+ ".bytes + text + "\r\n".bytes
    }

    // MARK: Replies

    private static var ok: [UInt8] { "+OK\r\n".bytes }
    private static var invalid: [UInt8] { "-ERR invalid command\r\n".bytes }

    /// Answers a command; the stage stays.
    private mutating func answer(_ reply: [UInt8]) -> ClientStep {
        parser = CommandParser()
        return ClientStep(consumed: 0, .reply(reply))
    }

    /// Refuses a well-formed command, which is not counted. Whatever was refused, USER has to be given again.
    private mutating func refuse(note: StaticString? = nil) -> ClientStep {
        backToStart()
        return ClientStep(consumed: 0, .reply(Self.invalid), note: note)
    }

    private mutating func check(_ credentials: Credentials) -> ClientStep {
        stage = .verdict(credentials.method)
        return ClientStep(consumed: 0, .authenticate(credentials))
    }

    private mutating func backToStart() {
        stage = .start
        parser = CommandParser()
    }
}
