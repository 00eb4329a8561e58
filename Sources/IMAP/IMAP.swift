// IMAP up to the login (RFC 3501, RFC 9051): the client's commands before authentication, and the LOGIN that is made of
// them for the server behind. The session feeds it bytes through `ApusMail`'s dialogs; it relies on nothing else.

public import ApusMail

/// The protocol `imap`.
public enum IMAP {
    public static var declaration: ProtocolDeclaration {
        ProtocolDeclaration(
            name: "imap", kind: .imap, defaultPorts: [143, 993], applicationProtocol: "imap",
            internalServerError: "* BAD internal server error\r\n",
            certificateError: "* BYE SSL certificate error\r\n",
            missingCertificate: "* BYE No required SSL certificate\r\n",
            requiresPassword: true, directives: AnyDirective.all(of: IMAPSettings.self),
            makeService: { IMAPService($0) })
    }
}
