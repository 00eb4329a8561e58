import ApusMail

/// What the SMTP sessions of one `server` block share.
final class SMTPService: ProtocolService {
    let serverName: [UInt8]
    let startTLS: StartTLSPolicy
    let policy: SASLPolicy
    let clientBuffer: Int
    let greetingDelay: Duration
    let sendsXCLIENT, authenticatesUpstream: Bool
    private let extensions: ExtensionTexts
    private let extensionsWithoutDigests: ExtensionTexts

    init(_ context: ServiceContext) {
        let settings = context.settings[SMTPSettings.self]
        serverName = context.serverName
        startTLS = context.startTLS
        policy = SASLPolicy(listed: settings.mechanisms, isStrict: context.isStrict)
        // Of 0 bytes, any command is too long.
        clientBuffer = max(settings.clientBuffer, 1)
        greetingDelay = settings.greetingDelay
        sendsXCLIENT = settings.sendsXCLIENT
        authenticatesUpstream = settings.authenticatesUpstream
        let lines = [serverName] + settings.capabilities
        extensions = ExtensionTexts(lines, policy, startTLS, canVerifyDigests: true)
        extensionsWithoutDigests = ExtensionTexts(lines, policy, startTLS, canVerifyDigests: false)
    }

    func makeClientDialog(_ client: ClientFacts) -> any ClientDialog { SMTPClientDialog(client, service: self) }

    /// The reply to EHLO (RFC 5321 §4.1.1.1).
    func extensionLines(for client: ClientFacts) -> [UInt8] {
        let texts = client.canVerifyDigests ? extensions : extensionsWithoutDigests
        return client.isEncrypted ? texts.encrypted : texts.plain
    }

    /// Whether passwords may be given at all on this connection.
    func admitsLogin(of client: ClientFacts) -> Bool { client.isEncrypted || startTLS != .only }

    /// Mail is taken without a login.
    var admitsNoLogin: Bool { policy.listed.contains(.noLogin) }
}

/// The replies to EHLO of a `server` block, made once.
private struct ExtensionTexts {
    /// Without TLS, and with it.
    let plain, encrypted: [UInt8]

    init(_ lines: [[UInt8]], _ policy: SASLPolicy, _ startTLS: StartTLSPolicy, canVerifyDigests: Bool) {
        let advertised = SASLMechanism.allCases.filter { policy.advertises($0, canVerifyDigests: canVerifyDigests) }
        let mechanisms = advertised.isEmpty ? [] : ["AUTH".bytes + advertised.flatMap { [0x20] + $0.name.bytes }]
        encrypted = Self.reply(lines + mechanisms)
        plain =
            switch startTLS {
            case .off: encrypted
            case .on: Self.reply(lines + mechanisms + ["STARTTLS".bytes])
            case .only: Self.reply(lines + ["STARTTLS".bytes])
            }
    }

    /// A hyphen in each line but the last (RFC 5321 §4.2.1).
    private static func reply(_ lines: [[UInt8]]) -> [UInt8] {
        let hyphenated = lines.dropLast().flatMap { "250-".bytes + $0 + "\r\n".bytes }
        return hyphenated + "250 ".bytes + (lines.last ?? []) + "\r\n".bytes
    }
}
