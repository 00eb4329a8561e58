import ApusMail

/// What the POP3 sessions of one `server` block share.
final class POP3Service: ProtocolService {
    let startTLS: StartTLSPolicy
    let policy: SASLPolicy
    let methods: POP3Methods
    private let texts: ListTexts
    private let textsWithoutDigests: ListTexts

    init(_ context: ServiceContext) {
        let settings = context.settings[POP3Settings.self]
        startTLS = context.startTLS
        methods = settings.methods
        policy = SASLPolicy(listed: methods.mechanisms, isStrict: context.isStrict)
        texts = ListTexts(settings.capabilities, policy, startTLS, canVerifyDigests: true)
        textsWithoutDigests = ListTexts(settings.capabilities, policy, startTLS, canVerifyDigests: false)
    }

    func makeClientDialog(_ client: ClientFacts) -> any ClientDialog { POP3ClientDialog(client, service: self) }

    /// The answer to CAPA (RFC 2449 §5). Once a user is named STLS is refused, so it is not listed.
    func capabilities(for client: ClientFacts, isUserNamed: Bool) -> [UInt8] {
        let texts = texts(for: client)
        return client.isEncrypted || isUserNamed ? texts.full : texts.plain
    }

    /// The answer to AUTH alone.
    func mechanisms(for client: ClientFacts) -> [UInt8] { texts(for: client).mechanisms }

    private func texts(for client: ClientFacts) -> ListTexts {
        client.canVerifyDigests ? texts : textsWithoutDigests
    }

    /// Whether the greeting has a timestamp (RFC 1939 §7), which is CRAM-MD5's challenge too.
    func showsTimestamp(to client: ClientFacts) -> Bool {
        client.canVerifyDigests && !methods.isDisjoint(with: [.apop, .cramMD5])
    }

    /// Whether credentials may be given at all on this connection.
    func admitsLogin(of client: ClientFacts) -> Bool { client.isEncrypted || startTLS != .only }
}

/// The lists a `server` block answers with, made once.
private struct ListTexts {
    /// Capabilities where TLS may still be started, and where it may not.
    let plain, full: [UInt8]
    let mechanisms: [UInt8]

    init(_ extensions: [[UInt8]], _ policy: SASLPolicy, _ startTLS: StartTLSPolicy, canVerifyDigests: Bool) {
        let advertised = SASLMechanism.allCases.filter { policy.advertises($0, canVerifyDigests: canVerifyDigests) }
        let withoutUser = extensions.filter { !$0.span.spells("USER") }
        // Where `auth_strict` turns USER off, it is no capability (RFC 2449 §6.3).
        let lines = policy.admitsPasswordCommand ? extensions : withoutUser
        let sasl = "SASL".bytes + advertised.flatMap { " ".bytes + $0.name.bytes }
        let start = "Capability list follows".bytes
        full = Self.list(start, lines + [sasl])
        plain =
            switch startTLS {
            case .off: full
            case .on: Self.list(start, lines + [sasl, "STLS".bytes])
            case .only: Self.list(start, withoutUser + ["STLS".bytes])
            }
        mechanisms = Self.list("methods supported:".bytes, advertised.map(\.name.bytes))
    }

    /// A multi-line response (RFC 1939 §3).
    private static func list(_ first: [UInt8], _ lines: [[UInt8]]) -> [UInt8] {
        "+OK ".bytes + ([first] + lines + [".".bytes]).flatMap { $0 + "\r\n".bytes }
    }
}
