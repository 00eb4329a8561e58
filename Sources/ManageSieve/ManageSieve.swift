// ManageSieve up to the login (RFC 5804): the client's commands before authentication, and the AUTHENTICATE that is made
// of them for the server behind, on which the user's scripts are. The session feeds it bytes through `ApusMail`'s
// dialogs; it relies on nothing else.

public import ApusMail

/// The protocol `sieve`: named as its service is (RFC 5804 §2.1) and as Dovecot calls it.
public enum ManageSieve {
    public static var declaration: ProtocolDeclaration {
        ProtocolDeclaration(
            name: "sieve", kind: .sieve, defaultPorts: [4190], applicationProtocol: "managesieve",
            internalServerError: "BYE (TRYLATER) \"Internal server error\"\r\n",
            certificateError: "BYE \"SSL certificate error\"\r\n",
            missingCertificate: "BYE \"No required SSL certificate\"\r\n",
            requiresPassword: true, directives: AnyDirective.all(of: ManageSieveSettings.self),
            makeService: { ManageSieveService($0) })
    }
}

extension ProtocolKind {
    /// The first number behind nginx's three.
    public static var sieve: ProtocolKind { ProtocolKind(rawValue: 3) }
}
