import ApusMail

/// The directives of ManageSieve. Commands have no buffer directive: before the login none is long.
struct ManageSieveSettings: SettingsBlock {
    var mechanisms: SASLMechanisms = .plain
    var capabilities = Capability.pigeonhole

    static var title: String { "ManageSieve" }

    static var directives: [Directive<ManageSieveSettings>] {
        [
            .mask(
                "sieve_auth", in: [.mail, .server], \.mechanisms,
                [
                    ("plain", .plain), ("login", .login), ("cram-md5", .cramMD5), ("external", .external),
                    ("xoauth2", .xoauth2), ("oauthbearer", .oauthBearer),
                ],
                """
                The SASL mechanisms shown to ManageSieve clients. CRAM-MD5, EXTERNAL, XOAUTH2 and OAUTHBEARER are taken \
                only when listed; PLAIN and LOGIN always, unless `auth_strict` is on.
                """),
            capabilitiesDirective,
        ]
    }

    private static var capabilitiesDirective: Directive<ManageSieveSettings> {
        Directive(
            "sieve_capabilities", in: [.mail, .server], arguments: .atLeast(1), placeholder: "name[=value] ...",
            default: Capability.pigeonhole.map(\.word.written).joined(separator: " "),
            """
            The capabilities shown to ManageSieve clients before login, in this order: those of the servers behind, as \
            a connection to one of them shows. The default is Dovecot's. `SIEVE`, with the extensions of the language, \
            has to be among them; `IMPLEMENTATION` is `Apus` and `VERSION` is `1.0` unless they are listed; `SASL` \
            and `STARTTLS` are added as they apply. After the login clients hear the server behind itself.
            """
        ) { use throws(ConfigError) in
            var capabilities: [Capability] = []
            for word in use.arguments {
                guard let capability = Capability(word.bytes) else {
                    throw use.error(
                        "invalid capability \"\(word.text)\"",
                        hint: "written NAME or NAME=value, as in \"NOTIFY=mailto\"")
                }
                if capability.isNamed("SASL") || capability.isNamed("STARTTLS") {
                    throw use.error("\"\(word.text)\" cannot be listed, it is added as it applies")
                }
                if capabilities.contains(where: { $0.isNamed(as: capability) }) {
                    throw use.error("duplicate capability \"\(word.text)\"")
                }
                capabilities.append(capability)
            }
            guard capabilities.contains(where: { $0.isNamed("SIEVE") && $0.value != nil }) else {
                throw use.error(
                    "no \"SIEVE\" in \"sieve_capabilities\"", hint: "it is \"SIEVE=\" and the extensions, in quotes")
            }
            return { [capabilities] in $0.capabilities = capabilities }
        }
    }
}
