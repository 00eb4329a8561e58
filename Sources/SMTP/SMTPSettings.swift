import ApusMail

/// The directives of SMTP.
struct SMTPSettings: SettingsBlock {
    var mechanisms: SASLMechanisms = [.plain, .login]
    var capabilities: [[UInt8]] = []
    var clientBuffer = 4096
    var greetingDelay = Duration.zero
    var sendsXCLIENT = true
    var authenticatesUpstream = false

    static var title: String { "SMTP" }

    static var directives: [Directive<SMTPSettings>] {
        [
            .mask(
                "smtp_auth", in: [.mail, .server], \.mechanisms,
                [
                    ("plain", .plain), ("login", .login), ("cram-md5", .cramMD5), ("external", .external),
                    ("xoauth2", .xoauth2), ("oauthbearer", .oauthBearer), ("none", .noLogin),
                ],
                """
                The SASL mechanisms shown to SMTP clients. CRAM-MD5, EXTERNAL, XOAUTH2 and OAUTHBEARER are taken only \
                when listed; PLAIN and LOGIN always, unless `auth_strict` is on. `none` takes mail without a login: the authentication service is \
                asked about each recipient. It is never shown.
                """),
            .list(
                "smtp_capabilities", in: [.mail, .server], \.capabilities, placeholder: "extension ...",
                """
                The extensions shown to SMTP clients in the reply to EHLO, in this order, each a line of its own. `AUTH` and \
                `STARTTLS` are added as they apply.
                """),
            Directive(
                "smtp_client_buffer", in: [.mail, .server], \.clientBuffer, .size,
                """
                The most bytes a client's command may have, its line end included. SASL responses may have 12288 bytes in \
                any case.
                """),
            Directive(
                "smtp_greeting_delay", in: [.mail, .server], \.greetingDelay, .time,
                """
                How long to wait before the greeting. A client that speaks earlier, as senders of spam do, is refused. \
                With 0 there is no waiting, and whoever speaks early is served.
                """),
            Directive(
                "xclient", in: [.mail, .server], \.sendsXCLIENT, .flag,
                """
                Whether the server behind is told of the client by an XCLIENT command: its address, its login and its name. \
                The server must trust Apus with it.
                """),
            Directive(
                "proxy_smtp_auth", in: [.mail, .server], \.authenticatesUpstream, .flag,
                "Whether the client's login and password are used for an AUTH PLAIN at the server behind."),
        ]
    }
}

extension SASLMechanisms {
    /// Mail is taken without a login: `none` of `smtp_auth`, whose place in the list is behind the mechanisms.
    static var noLogin: SASLMechanisms { SASLMechanisms(rawValue: 128) }
}
