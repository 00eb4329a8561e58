// SMTP up to the login (RFC 5321, RFC 4954), or up to the first recipient where mail is taken without one: the client's
// commands before that, and the dialog that is made of them with the server behind. The session feeds it bytes through
// `ApusMail`'s dialogs; it relies on nothing else.

public import ApusMail

/// The protocol `smtp`.
public enum SMTP {
    public static var declaration: ProtocolDeclaration {
        ProtocolDeclaration(
            name: "smtp", kind: .smtp, defaultPorts: [25, 465, 587], applicationProtocol: "smtp",
            internalServerError: "451 4.3.2 Internal server error\r\n",
            certificateError: "421 4.7.1 SSL certificate error\r\n",
            missingCertificate: "421 4.7.1 No required SSL certificate\r\n",
            requiresPassword: false, usesClientHostName: true, directives: AnyDirective.all(of: SMTPSettings.self),
            makeService: { SMTPService($0) })
    }
}
