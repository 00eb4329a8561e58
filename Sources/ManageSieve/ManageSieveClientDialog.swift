import ApusMail

/// The client's side of ManageSieve before authentication (RFC 5804 §2).
struct ManageSieveClientDialog: ClientDialog {
    private enum Stage {
        case commands
        /// AUTHENTICATE has sent a challenge.
        case exchange(SASLExchange)
        /// The credentials are with the provider.
        case verdict(AuthenticationMethod)
        /// The client was sent error data.
        case refusal(SASLRefusal)
        /// STARTTLS was accepted.
        case handshake
    }

    var refusesCommands = false
    private let service: ManageSieveService
    private var client: ClientFacts
    private var stage = Stage.commands
    private var parser = CommandParser()

    init(_ client: ClientFacts, service: ManageSieveService) { (self.client, self.service) = (client, service) }

    var inputLimit: Int { parser.limit }

    func greeting() -> [UInt8] { service.capabilities(for: client) + Response.ok("ManageSieve ready") }

    mutating func startedTLS(_ client: ClientFacts) {
        self.client = client
        backToCommands()
    }

    /// The capabilities once more, since nothing that was said in clear counts (RFC 5804 §2.2).
    func greetingInTLS() -> [UInt8] { service.capabilities(for: client) + Response.ok("TLS started") }

    mutating func receive(_ input: Span<UInt8>) throws(Bug) -> ClientStep {
        switch stage {
        case .commands, .exchange, .refusal: break
        case .verdict: throw Bug("no input is read while credentials are checked")
        case .handshake: throw Bug("no input is read before the TLS handshake")
        }
        switch parser.parse(input) {
        case .needMoreInput:
            return ClientStep(consumed: 0, .needMoreInput)
        case .refused(let length, announcesLiteral: true):
            return ClientStep(consumed: length, .invalidAndClose(Response.bye("Invalid or too long literal")))
        case .refused(let length, announcesLiteral: false):
            defer { backToCommands() }
            if case .refusal = stage { return ClientStep(consumed: length, .endRefusal(Self.invalid)) }
            return ClientStep(consumed: length, .invalid(Self.invalid))
        case .complete(let length) where refusesCommands:
            return ClientStep(consumed: length, .tooManyCommands(Response.bye("Too many commands")))
        case .complete(let length):
            var step =
                switch stage {
                case .exchange(let exchange): respond(input, in: exchange)
                case .refusal(let refusal): acknowledge(input, refusal)
                case .commands, .verdict, .handshake: perform(input)
                }
            step.consumed = length
            return step
        }
    }

    func inputTooLong() -> [UInt8] { Response.bye("Command too long") }

    func farewell(_ reason: Farewell) -> [UInt8] {
        switch reason {
        case .timeout: Response.bye("Too slow to log in")
        case .tooManyErrors: Response.bye("Too many errors")
        case .loginRefused: Response.bye("Login refused")
        }
    }

    /// Of what may hold credentials, or a user's script, only the word is shown.
    func redacted(_ input: Span<UInt8>) -> [UInt8] {
        guard case .commands = stage, let word = parser.word else { return "...".bytes }
        switch word {
        case .noop, .capability, .logout, .startTLS:
            return input.bytes
        case .authenticate, .haveSpace, .putScript, .listScripts, .setActive, .getScript, .deleteScript, .renameScript,
            .checkScript, .unauthenticate:
            let end = input.firstIndex(of: 0x20) ?? input.count
            return input.extracting(0..<end).bytes + " ...".bytes
        }
    }

    mutating func refused(_ refusal: Refusal) throws(Bug) -> RefusalStep {
        guard case .verdict(let method) = stage else { throw Bug("a refusal answers credentials") }
        let reply = Response.no(quoting: refusal.message)
        guard let refusal = SASLRefusal(refusal, of: method, reply: reply) else {
            backToCommands()
            return .reply(reply)
        }
        awaitResponse(in: .refusal(refusal))
        return .errorData(Response.challenge(refusal.errorData))
    }

    func makeBackendDialog(_ login: BackendLogin) throws(Bug) -> any BackendDialog {
        guard case .verdict = stage else { throw Bug("a login answers credentials") }
        guard let password = login.password else { throw Bug("ManageSieve is declared to require a password") }
        return try ManageSieveBackendDialog(user: login.user, password: password)
    }

    // MARK: Commands

    /// Carries out the command the parser has read.
    private mutating func perform(_ input: Span<UInt8>) -> ClientStep {
        let arguments = parser.arguments
        switch parser.word {
        case .authenticate:
            return authenticate(input)
        case .startTLS where arguments.isEmpty:
            return startTLS()
        case .logout where arguments.isEmpty:
            return ClientStep(consumed: 0, .replyAndClose(Response.ok("Logged out")))
        case .capability where arguments.isEmpty:
            return answer(service.capabilities(for: client) + Response.ok("Capabilities listed"))
        case .noop where arguments.isEmpty:
            return answer(Response.ok("Done"))
        case .noop where arguments.count == 1:
            return answer(Response.ok(tag: arguments[0].read(in: input) { $0.bytes }, "Done"))
        case .startTLS, .logout, .capability, .noop:
            return answer(Self.wrongArguments)
        case .haveSpace, .putScript, .listScripts, .setActive, .getScript, .deleteScript, .renameScript, .checkScript,
            .unauthenticate:
            return answer(Response.no("Log in first"))
        case nil:
            backToCommands()
            return ClientStep(consumed: 0, .invalid(Response.no("Unknown command")))
        }
    }

    private mutating func startTLS() -> ClientStep {
        guard !client.isEncrypted else { return answer(Response.no("TLS is on already")) }
        guard service.startTLS != .off else { return answer(Response.no("TLS is not available")) }
        stage = .handshake
        return ClientStep(consumed: 0, .startTLS(Response.ok("Begin TLS negotiation")))
    }

    /// AUTHENTICATE (RFC 5804 §2.1).
    private mutating func authenticate(_ input: Span<UInt8>) -> ClientStep {
        let arguments = parser.arguments
        guard arguments.count == 1 || arguments.count == 2 else { return answer(Self.wrongArguments) }
        guard service.admitsLogin(of: client) else {
            return answer(Response.no("Use STARTTLS first", code: "(ENCRYPT-NEEDED) "))
        }
        guard let mechanism = arguments[0].read(in: input, { SASLMechanism(named: $0) }),
            service.policy.admits(mechanism, canVerifyDigests: client.canVerifyDigests)
        else { return answer(Response.no("Mechanism not available")) }
        var exchange = SASLExchange(mechanism, salt: mechanism == .cramMD5 ? client.challenge.text : [])
        let step =
            arguments.count == 1 ? exchange.begin() : arguments[1].read(in: input) { exchange.begin(with: $0) }
        return goOn(exchange, step)
    }

    /// The client's answer to a challenge: one string, or the string `*`, which cancels.
    private mutating func respond(_ input: Span<UInt8>, in begun: SASLExchange) -> ClientStep {
        guard parser.arguments.count == 1 else { return answer(Self.invalidResponse) }
        let response = parser.arguments[0]
        guard !response.read(in: input, { $0.equals("*") }) else {
            return answer(Response.no("Authentication cancelled"))
        }
        var exchange = begun
        let step = response.read(in: input) { exchange.respond($0) }
        return goOn(exchange, step)
    }

    /// The client's answer to error data.
    private mutating func acknowledge(_ input: Span<UInt8>, _ refusal: SASLRefusal) -> ClientStep {
        let response = parser.arguments.first
        let reply = response?.read(in: input) { refusal.reply(to: $0, orElse: Self.invalidResponse) }
        backToCommands()
        return ClientStep(consumed: 0, .endRefusal(reply ?? Self.invalidResponse))
    }

    private mutating func goOn(_ exchange: SASLExchange, _ step: SASLStep) -> ClientStep {
        switch step {
        case .challenge(let text):
            awaitResponse(in: .exchange(exchange))
            return ClientStep(consumed: 0, .reply(Response.challenge(text)))
        case .authenticate(let credentials):
            stage = .verdict(credentials.method)
            return ClientStep(consumed: 0, .authenticate(credentials))
        case .failed(let note):
            return answer(Self.invalidResponse, note: note)
        }
    }

    private mutating func awaitResponse(in stage: Stage) {
        self.stage = stage
        parser = .response
    }

    // MARK: Replies

    private static var invalid: [UInt8] { Response.no("Syntax error") }
    private static var wrongArguments: [UInt8] { Response.no("Wrong number of arguments") }
    private static var invalidResponse: [UInt8] { Response.no("Invalid response") }

    /// The reply that ends a command.
    private mutating func answer(_ reply: [UInt8], note: StaticString? = nil) -> ClientStep {
        backToCommands()
        return ClientStep(consumed: 0, .reply(reply), note: note)
    }

    private mutating func backToCommands() {
        stage = .commands
        parser = CommandParser()
    }
}
