import ApusMail

/// What the ManageSieve sessions of one `server` block share.
final class ManageSieveService: ProtocolService {
    let startTLS: StartTLSPolicy
    let policy: SASLPolicy
    private let texts: CapabilityTexts
    private let textsWithoutDigests: CapabilityTexts

    init(_ context: ServiceContext) {
        let settings = context.settings[ManageSieveSettings.self]
        startTLS = context.startTLS
        policy = SASLPolicy(listed: settings.mechanisms, isStrict: context.isStrict)
        texts = CapabilityTexts(settings.capabilities, policy, startTLS, canVerifyDigests: true)
        textsWithoutDigests = CapabilityTexts(settings.capabilities, policy, startTLS, canVerifyDigests: false)
    }

    func makeClientDialog(_ client: ClientFacts) -> any ClientDialog { ManageSieveClientDialog(client, service: self) }

    /// The capability list without the response that ends it: in the greeting, after STARTTLS, and when asked for.
    func capabilities(for client: ClientFacts) -> [UInt8] {
        let texts = client.canVerifyDigests ? self.texts : textsWithoutDigests
        return client.isEncrypted ? texts.encrypted : texts.plain
    }

    /// Whether credentials may be given at all on this connection.
    func admitsLogin(of client: ClientFacts) -> Bool { client.isEncrypted || startTLS != .only }
}

/// The capability lists of a `server` block, made once.
private struct CapabilityTexts {
    /// Where TLS may still be started, and where it may not.
    let plain, encrypted: [UInt8]

    init(_ listed: [Capability], _ policy: SASLPolicy, _ startTLS: StartTLSPolicy, canVerifyDigests: Bool) {
        let advertised = SASLMechanism.allCases.filter { policy.advertises($0, canVerifyDigests: canVerifyDigests) }
        let sasl = Capability("SASL", advertised.map { "\($0.name)" }.joined(separator: " "))
        let start = Capability("STARTTLS")
        encrypted = Self.list(listed, [sasl])
        plain =
            switch startTLS {
            case .off: encrypted
            case .on: Self.list(listed, [sasl, start])
            // None, until TLS is on (RFC 5804 §1.7).
            case .only: Self.list(listed, [Capability("SASL", ""), start])
            }
    }

    private static func list(_ listed: [Capability], _ own: [Capability]) -> [UInt8] {
        let implementation =
            listed.contains { $0.isNamed("IMPLEMENTATION") } ? [] : [Capability("IMPLEMENTATION", "Apus")]
        let version = listed.contains { $0.isNamed("VERSION") } ? [] : [Capability("VERSION", "1.0")]
        return (implementation + listed + own + version).flatMap(\.line)
    }
}
