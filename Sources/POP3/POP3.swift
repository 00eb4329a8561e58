// POP3 up to the login (RFC 1939, RFC 2449, RFC 5034): the client's commands before authentication, and the USER and PASS
// that are made of them for the server behind. The session feeds it bytes through `ApusMail`'s dialogs; it relies on
// nothing else.

public import ApusMail

/// The protocol `pop3`.
public enum POP3 {
    public static var declaration: ProtocolDeclaration {
        ProtocolDeclaration(
            name: "pop3", kind: .pop3, defaultPorts: [110, 995], applicationProtocol: "pop3",
            internalServerError: "-ERR internal server error\r\n",
            certificateError: "-ERR SSL certificate error\r\n",
            missingCertificate: "-ERR No required SSL certificate\r\n",
            requiresPassword: true, directives: AnyDirective.all(of: POP3Settings.self),
            makeService: { POP3Service($0) })
    }
}
