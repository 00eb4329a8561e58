import ApusMail

/// The directives of IMAP.
struct IMAPSettings: SettingsBlock {
    var mechanisms: SASLMechanisms = .plain
    var capabilities: [[UInt8]] = ["IMAP4".bytes, "IMAP4rev1".bytes, "UIDPLUS".bytes]
    var clientBuffer = 4096

    static var title: String { "IMAP" }

    static var directives: [Directive<IMAPSettings>] {
        [
            .mask(
                "imap_auth", in: [.mail, .server], \.mechanisms,
                [
                    ("plain", .plain), ("login", .login), ("cram-md5", .cramMD5), ("external", .external),
                    ("xoauth2", .xoauth2), ("oauthbearer", .oauthBearer),
                ],
                """
                The SASL mechanisms shown to IMAP clients. CRAM-MD5, EXTERNAL, XOAUTH2 and OAUTHBEARER are taken only \
                when listed; PLAIN, LOGIN and the LOGIN command always, unless `auth_strict` is on (`plain` then stands for the command too).
                """),
            .list(
                "imap_capabilities", in: [.mail, .server], \.capabilities, placeholder: "capability ...",
                """
                The capabilities shown to IMAP clients before login, in this order. `AUTH=`, `STARTTLS` and \
                `LOGINDISABLED` are added as they apply.
                """),
            Directive(
                "imap_client_buffer", in: [.mail, .server], \.clientBuffer, .size,
                """
                The most bytes a client's command may have, literals included. SASL responses may have 12288 bytes in \
                any case.
                """),
        ]
    }
}
