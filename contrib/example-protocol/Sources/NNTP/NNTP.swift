import ApusMail

/// News (RFC 3977) up to the login with AUTHINFO USER and PASS (RFC 4643), in clear or after STARTTLS (RFC 4642).
public enum NNTP {
    /// The protocol `nntp`.
    public static var declaration: ProtocolDeclaration {
        ProtocolDeclaration(
            name: "nntp", kind: ProtocolKind(rawValue: 119), defaultPorts: [119, 563], applicationProtocol: "nntp",
            internalServerError: "400 internal error\r\n",
            certificateError: "400 TLS certificate error\r\n",
            missingCertificate: "400 no required TLS certificate\r\n",
            requiresPassword: true, directives: AnyDirective.all(of: NNTPSettings.self),
            makeService: { NNTPService($0) })
    }
}

/// The directives of NNTP.
struct NNTPSettings: SettingsBlock {
    var hasPosting = true

    static var title: String { "NNTP" }

    static var directives: [Directive<NNTPSettings>] {
        [
            Directive(
                "nntp_posting", in: [.mail, .server], \.hasPosting, .flag,
                "Whether the greeting tells NNTP clients that they may post articles.")
        ]
    }
}

/// What the NNTP sessions of one `server` block share.
final class NNTPService: ProtocolService {
    let startTLS: StartTLSPolicy
    let greeting: [UInt8]

    init(_ context: ServiceContext) {
        startTLS = context.startTLS
        let code = context.settings[NNTPSettings.self].hasPosting ? "200 ".bytes : "201 ".bytes
        greeting = code + context.serverName + " NNTP ready\r\n".bytes
    }

    func makeClientDialog(_ client: ClientFacts) -> any ClientDialog {
        NNTPClientDialog(service: self, isEncrypted: client.isEncrypted)
    }
}
