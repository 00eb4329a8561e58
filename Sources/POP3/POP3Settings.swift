import ApusMail

/// The directives of POP3. Commands have no buffer directive, as in nginx: 128 bytes are enough for anybody.
struct POP3Settings: SettingsBlock {
    var methods: POP3Methods = .plain
    var capabilities: [[UInt8]] = ["TOP".bytes, "USER".bytes, "UIDL".bytes]

    static var title: String { "POP3" }

    static var directives: [Directive<POP3Settings>] {
        [
            .mask(
                "pop3_auth", in: [.mail, .server], \.methods,
                [
                    ("plain", .plain), ("apop", .apop), ("cram-md5", .cramMD5), ("external", .external),
                    ("xoauth2", .xoauth2), ("oauthbearer", .oauthBearer),
                ],
                """
                The methods shown to POP3 clients; `plain` stands for USER and PASS, PLAIN and LOGIN, which \
                are always taken unless `auth_strict` is on. The others are taken only when listed.
                """),
            .list(
                "pop3_capabilities", in: [.mail, .server], \.capabilities, placeholder: "capability ...",
                """
                The capabilities shown to POP3 clients before login, in this order. `SASL` and `STLS` are added as they \
                apply; `USER` is left out where it is refused.
                """),
        ]
    }
}

/// A set of methods, as `pop3_auth` lists them.
struct POP3Methods: OptionSet, Sendable {
    let rawValue: UInt8
    static var plain: POP3Methods { POP3Methods(rawValue: 1) }
    static var apop: POP3Methods { POP3Methods(rawValue: 2) }
    static var cramMD5: POP3Methods { POP3Methods(rawValue: 4) }
    static var external: POP3Methods { POP3Methods(rawValue: 8) }
    static var xoauth2: POP3Methods { POP3Methods(rawValue: 16) }
    static var oauthBearer: POP3Methods { POP3Methods(rawValue: 32) }

    /// The SASL mechanisms they stand for; there is no word of its own for LOGIN.
    var mechanisms: SASLMechanisms {
        var mechanisms: SASLMechanisms = []
        if contains(.plain) { mechanisms.formUnion([.plain, .login]) }
        if contains(.cramMD5) { mechanisms.insert(.cramMD5) }
        if contains(.external) { mechanisms.insert(.external) }
        if contains(.xoauth2) { mechanisms.insert(.xoauth2) }
        if contains(.oauthBearer) { mechanisms.insert(.oauthBearer) }
        return mechanisms
    }
}
