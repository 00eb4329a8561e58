import ApusMail

/// What the IMAP sessions of one `server` block share.
final class IMAPService: ProtocolService {
    let startTLS: StartTLSPolicy
    let policy: SASLPolicy
    let clientBuffer: Int
    private let capabilities: CapabilityTexts
    private let capabilitiesWithoutDigests: CapabilityTexts

    init(_ context: ServiceContext) {
        let settings = context.settings[IMAPSettings.self]
        startTLS = context.startTLS
        policy = SASLPolicy(listed: settings.mechanisms, isStrict: context.isStrict)
        // Of 0 bytes, any command is too long.
        clientBuffer = max(settings.clientBuffer, 1)
        capabilities = CapabilityTexts(settings.capabilities, policy, startTLS, canVerifyDigests: true)
        capabilitiesWithoutDigests = CapabilityTexts(settings.capabilities, policy, startTLS, canVerifyDigests: false)
    }

    func makeClientDialog(_ client: ClientFacts) -> any ClientDialog { IMAPClientDialog(client, service: self) }

    /// The untagged line that answers CAPABILITY (RFC 9051 §6.1.1).
    func capabilityLine(for client: ClientFacts) -> [UInt8] {
        let texts = client.canVerifyDigests ? capabilities : capabilitiesWithoutDigests
        return client.isEncrypted ? texts.encrypted : texts.plain
    }

    /// Whether passwords may be given at all on this connection.
    func admitsLogin(of client: ClientFacts) -> Bool { client.isEncrypted || startTLS != .only }
}

/// The capability lines of a `server` block, made once.
private struct CapabilityTexts {
    /// Without TLS, and with it.
    let plain, encrypted: [UInt8]

    init(_ extensions: [[UInt8]], _ policy: SASLPolicy, _ startTLS: StartTLSPolicy, canVerifyDigests: Bool) {
        let start = "* CAPABILITY".bytes + extensions.flatMap { [0x20] + $0 }
        let advertised = SASLMechanism.allCases.filter { policy.advertises($0, canVerifyDigests: canVerifyDigests) }
        let mechanisms = advertised.flatMap { " AUTH=".bytes + $0.name.bytes }
        // Where `auth_strict` turns the LOGIN command off, clients must be told (RFC 9051 §6.2.3).
        let disabled = policy.admitsPasswordCommand ? [] : " LOGINDISABLED".bytes
        let end = "\r\n".bytes
        encrypted = start + mechanisms + disabled + end
        plain =
            switch startTLS {
            case .off: encrypted
            case .on: start + mechanisms + " STARTTLS".bytes + disabled + end
            case .only: start + " STARTTLS LOGINDISABLED".bytes + end
            }
    }
}
