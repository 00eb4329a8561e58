import ApusMail

/// The client's side of SMTP before mail flows (RFC 5321 §4.1.1, RFC 4954, RFC 3207).
struct SMTPClientDialog: ClientDialog {
    private enum Stage {
        case commands
        /// AUTH has sent a challenge.
        case exchange(SASLExchange)
        /// Credentials, or a recipient, are with the provider.
        case verdict(AuthenticationMethod)
        /// The client was sent error data.
        case refusal(SASLRefusal)
        /// STARTTLS was accepted.
        case handshake
    }

    var refusesCommands = false
    private let service: SMTPService
    private var client: ClientFacts
    private var stage = Stage.commands
    private var reader: LineReader
    /// The name the client gave; empty when it gave none.
    private var helo: [UInt8] = []
    /// The client has used EHLO. A later HELO, or TLS, does not change that.
    private var isExtended = false
    /// The MAIL and RCPT commands, as the client wrote them.
    private var sender, recipient: [UInt8]?

    init(_ client: ClientFacts, service: SMTPService) {
        (self.client, self.service) = (client, service)
        reader = LineReader(bufferSize: service.clientBuffer)
    }

    var inputLimit: Int { reader.limit }
    var greetingDelay: Duration { service.greetingDelay }

    func greeting() -> [UInt8] { "220 ".bytes + service.serverName + " ESMTP ready\r\n".bytes }

    func spokeTooEarly() -> [UInt8] { "503 5.5.0 Improper use of SMTP command pipelining\r\n".bytes }

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
        guard let length = reader.read(input) else { return ClientStep(consumed: 0, .needMoreInput) }
        let line = input.extracting(0..<length.content)
        var step =
            switch stage {
            case .exchange(let exchange): respond(line, in: exchange)
            case .refusal(let refusal): acknowledge(line, refusal)
            case .commands, .verdict, .handshake: perform(line)
            }
        step.consumed = length.whole
        return step
    }

    func inputTooLong() -> [UInt8] { Self.invalid }

    /// Everything up to the first AUTH, of which the mechanism is shown, or up to what is longer than any command's name: it may
    /// be the answer to a challenge that was not made.
    func redacted(_ input: Span<UInt8>) -> [UInt8] {
        guard case .commands = stage else { return "...".bytes }
        var position = 0
        while position < input.count {
            while position < input.count, input[position] == 0x20 { position += 1 }
            let lineEnd = input.firstIndex(of: 0x0A, from: position) ?? input.count
            let wordEnd = min(input.firstIndex(of: 0x20, from: position) ?? lineEnd, lineEnd)
            if input.extracting(position..<wordEnd).spells("AUTH") {
                let shown = min(input.firstIndex(of: 0x20, from: wordEnd + 1) ?? lineEnd, lineEnd, wordEnd + 21)
                return input.extracting(0..<shown).bytes + (shown < input.count ? " ...".bytes : [])
            }
            if wordEnd - position > Self.longestWord { return input.extracting(0..<position).bytes + "...".bytes }
            position = lineEnd + 1
        }
        return input.bytes
    }

    /// Longer than `STARTTLS`, for what people make up.
    private static var longestWord: Int { 16 }

    mutating func refused(_ refusal: Refusal) throws(Bug) -> RefusalStep {
        guard case .verdict(let method) = stage else { throw Bug("a refusal answers credentials") }
        recipient = nil
        let reply = (refusal.code ?? "535 5.7.0".bytes) + " ".bytes + refusal.message + "\r\n".bytes
        guard let refusal = SASLRefusal(refusal, of: method, reply: reply) else {
            backToCommands()
            return .reply(reply)
        }
        return .errorData(askFor(refusal.errorData, in: .refusal(refusal)))
    }

    func makeBackendDialog(_ login: BackendLogin) throws(Bug) -> any BackendDialog {
        guard case .verdict = stage else { throw Bug("a login was checked") }
        var envelope: Envelope?
        if login.method == .none {
            guard let sender, let recipient else { throw Bug("mail without a login has a sender and a recipient") }
            envelope = Envelope(helo: helo, from: sender, to: recipient)
        }
        return SMTPBackendDialog(
            login, envelope: envelope, helo: helo, isExtended: isExtended, service: service)
    }

    // MARK: Commands

    private mutating func perform(_ line: Span<UInt8>) -> ClientStep {
        guard let command = Command(line) else { return ClientStep(consumed: 0, .invalid(Self.invalid)) }
        guard !refusesCommands else { return ClientStep(consumed: 0, .tooManyCommands(Self.invalid)) }
        switch command.word {
        case .helo, .ehlo: return greet(command, line)
        case .auth: return authenticate(command, line)
        case .mail: return takeSender(command, line)
        case .rcpt: return takeRecipient(command, line)
        case .rset:
            forgetEnvelope()
            return answer(Self.success)
        case .noop: return answer(Self.success)
        case .quit: return ClientStep(consumed: 0, .replyAndClose("221 2.0.0 Bye\r\n".bytes))
        case .startTLS: return startTLS()
        case .vrfy, .expn, .help: return answer(Self.invalid)
        }
    }

    /// HELO and EHLO (RFC 5321 §4.1.1.1).
    private mutating func greet(_ command: Command, _ line: Span<UInt8>) -> ClientStep {
        guard command.arguments.count == 1, !line.hasControlCharacter else { return answer(Self.invalidArgument) }
        helo = line.extracting(command.arguments[0]).bytes
        forgetEnvelope()
        guard command.word == .ehlo else { return answer("250 ".bytes + service.serverName + "\r\n".bytes) }
        isExtended = true
        return answer(service.extensionLines(for: client))
    }

    /// STARTTLS (RFC 3207 §4.2): what the client said in clear is forgotten.
    private mutating func startTLS() -> ClientStep {
        guard !client.isEncrypted, service.startTLS != .off else { return answer(Self.invalid) }
        helo = []
        forgetEnvelope()
        stage = .handshake
        return ClientStep(consumed: 0, .startTLS("220 2.0.0 Start TLS\r\n".bytes))
    }

    /// MAIL (RFC 5321 §4.1.1.2). The address is the server's business.
    private mutating func takeSender(_ command: Command, _ line: Span<UInt8>) -> ClientStep {
        guard service.admitsNoLogin else {
            var step = answer("530 5.7.1 Authentication required\r\n".bytes, note: "client was rejected: ")
            step.quoting = line.bytes
            return step
        }
        guard sender == nil else { return answer(Self.badSequence) }
        guard let text = envelopeText(command, line) else { return answer(Self.invalidArgument) }
        sender = text
        return answer(Self.success)
    }

    /// RCPT (RFC 5321 §4.1.1.3): the provider is asked.
    private mutating func takeRecipient(_ command: Command, _ line: Span<UInt8>) -> ClientStep {
        guard let sender else { return answer(Self.badSequence) }
        guard let text = envelopeText(command, line) else { return answer(Self.invalidArgument) }
        recipient = text
        let envelope = Envelope(helo: helo, from: sender, to: text)
        return check(Credentials(method: .none, login: [], password: Secret([]), envelope: envelope))
    }

    /// The command as it was written; nil when it lacks arguments, or has what must not reach other servers.
    private func envelopeText(_ command: Command, _ line: Span<UInt8>) -> [UInt8]? {
        guard !command.arguments.isEmpty, !line.hasControlCharacter else { return nil }
        return line.extracting(0..<command.end).bytes
    }

    private mutating func forgetEnvelope() { (sender, recipient) = (nil, nil) }

    // MARK: AUTH (RFC 4954 §4)

    private mutating func authenticate(_ command: Command, _ line: Span<UInt8>) -> ClientStep {
        guard service.admitsLogin(of: client) else { return answer(Self.invalid) }
        let arguments = command.arguments
        guard !arguments.isEmpty else { return answer(Self.invalidArgument) }
        guard arguments.count <= 2, let mechanism = SASLMechanism(named: line.extracting(arguments[0])),
            service.policy.admits(mechanism, canVerifyDigests: client.canVerifyDigests)
        else { return answer(Self.invalid) }
        var exchange = SASLExchange(
            mechanism, salt: mechanism == .cramMD5 ? client.challenge.text : [],
            externalChallenge: SASLExchange.nginxExternalChallenge)
        let step = arguments.count == 1 ? exchange.begin() : exchange.begin(with: line.extracting(arguments[1]))
        return goOn(exchange, step)
    }

    private mutating func respond(_ line: Span<UInt8>, in begun: SASLExchange) -> ClientStep {
        guard let response = ResponseLine(line)?.response else {
            backToCommands()
            return ClientStep(consumed: 0, .invalid(Self.invalid))
        }
        guard !refusesCommands else { return ClientStep(consumed: 0, .tooManyCommands(Self.invalid)) }
        var exchange = begun
        let step = exchange.respond(line.extracting(response))
        return goOn(exchange, step)
    }

    /// The client's answer to error data.
    private mutating func acknowledge(_ line: Span<UInt8>, _ refusal: SASLRefusal) -> ClientStep {
        guard !refusesCommands else { return ClientStep(consumed: 0, .tooManyCommands(Self.invalid)) }
        backToCommands()
        let response = ResponseLine(line)?.response
        let reply = response.map { refusal.reply(to: line.extracting($0), orElse: Self.invalid) } ?? Self.invalid
        return ClientStep(consumed: 0, .endRefusal(reply))
    }

    private mutating func goOn(_ exchange: SASLExchange, _ step: SASLStep) -> ClientStep {
        switch step {
        case .challenge(let text):
            return ClientStep(consumed: 0, .reply(askFor(text, in: .exchange(exchange))))
        case .authenticate(let credentials):
            return check(credentials)
        case .failed(let note):
            return answer(Self.invalid, note: note)
        }
    }

    /// The continuation that asks for another line.
    private mutating func askFor(_ text: [UInt8], in stage: Stage) -> [UInt8] {
        self.stage = stage
        reader = LineReader(bufferSize: service.clientBuffer, isResponse: true)
        return "334 ".bytes + text + "\r\n".bytes
    }

    private mutating func check(_ credentials: Credentials) -> ClientStep {
        stage = .verdict(credentials.method)
        return ClientStep(consumed: 0, .authenticate(credentials))
    }

    // MARK: Replies

    private static var success: [UInt8] { "250 2.0.0 OK\r\n".bytes }
    private static var invalid: [UInt8] { "500 5.5.1 Invalid command\r\n".bytes }
    private static var invalidArgument: [UInt8] { "501 5.5.4 Invalid argument\r\n".bytes }
    private static var badSequence: [UInt8] { "503 5.5.1 Bad sequence of commands\r\n".bytes }

    /// The reply that ends a command.
    private mutating func answer(_ reply: [UInt8], note: StaticString? = nil) -> ClientStep {
        backToCommands()
        return ClientStep(consumed: 0, .reply(reply), note: note)
    }

    private mutating func backToCommands() {
        stage = .commands
        reader = LineReader(bufferSize: service.clientBuffer)
    }
}
