import Config

// How the directives of TLSSettings are written. Order within a group: as the manual shows them.

extension TLSSettings {
    private static var everywhere: Contexts { [.mail, .server] }

    // MARK: Certificates and keys

    static var identityDirectives: [Directive<TLSSettings>] {
        [
            starttls,
            names(
                "ssl_certificate", \.certificates, placeholder: "file",
                """
                A PEM file with the server's certificate followed by the intermediate ones, or `data:` and the PEM text. \
                May be repeated, once for each type of key.
                """
            ).transferred(.readsFile),
            names(
                "ssl_certificate_key", \.certificateKeys, placeholder: "file",
                """
                The private key of the certificate at the same place in the list: a PEM file, `data:PEM`, \
                `engine:NAME:ID` or `store:URI`.
                """
            ).transferred(.readsFile),
            Directive(
                "ssl_password_file", in: everywhere, arguments: .exactly(1), placeholder: "file", default: nil,
                "Passphrases for encrypted keys, one a line, tried in order. Read once, and may be a FIFO."
            ) { use throws(ConfigError) in
                let passwords = try PasswordList(
                    reading: use.environment.configurationPath(use.arguments[0].text), at: use.position,
                    use.environment.names)
                return { $0.passwords = passwords }
            }.transferred(.readsFile),
            Directive(
                "ssl_certificate_compression", in: everywhere, \.compressesCertificates, .flag,
                "Compression of certificates in TLS 1.3, where the TLS library has it."),
        ]
    }

    private static var starttls: Directive<TLSSettings> {
        let syntax = ArgumentSyntax<STARTTLSPolicy>.choice([("off", .off), ("on", .on), ("only", .only)])
        return Directive(
            "starttls", in: everywhere, arguments: .exactly(1), placeholder: syntax.placeholder,
            default: syntax.print(TLSSettings().startTLS),
            "Whether clients may turn on TLS with STARTTLS (POP3: STLS); with `only` they must before they log in."
        ) { use throws(ConfigError) in
            let (policy, position) = (try syntax.parse(use, use.arguments[0]), use.position)
            return { ($0.startTLS, $0.startTLSPosition) = (policy, position) }
        }
    }

    // MARK: Versions and ciphers

    static var protocolDirectives: [Directive<TLSSettings>] {
        [
            Directive(
                "ssl_dhparam", in: everywhere, \.dhParameters, .optional(.string("file")),
                "A PEM file with parameters for DHE ciphers; without it there are none."
            ).transferred(.readsFile),
            Directive(
                "ssl_ecdh_curve", in: everywhere, \.curves, .string("curve[:curve...]"),
                "Groups for the key exchange; `auto` is the library's choice."),
            .mask(
                "ssl_protocols", in: everywhere, \.versions,
                [
                    ("SSLv2", .ssl2), ("SSLv3", .ssl3), ("TLSv1", .tls1), ("TLSv1.1", .tls11), ("TLSv1.2", .tls12),
                    ("TLSv1.3", .tls13),
                ],
                "The enabled versions. One that the TLS library does not have is ignored."),
            Directive(
                "ssl_ciphers", in: everywhere, \.ciphers, .string("ciphers"),
                "The ciphers for TLS 1.2 and older, as the TLS library writes them."),
            Directive(
                "ssl_prefer_server_ciphers", in: everywhere, \.prefersServerCiphers, .flag,
                "Whether the server's order of ciphers counts, not the client's."),
            commandDirective,
        ]
    }

    private static var commandDirective: Directive<TLSSettings> {
        Directive(
            "ssl_conf_command", in: everywhere, arguments: .exactly(2), placeholder: "name value", default: nil,
            repetition: .accumulates,
            "A command of the TLS library's own configuration language, carried out after all other settings."
        ) { use in
            let added = Command(name: use.arguments[0].text, value: use.arguments[1].text)
            let isFirst = use.isFirst
            return { $0.commands = isFirst ? [added] : $0.commands + [added] }
        }
    }

    // MARK: Sessions

    static var sessionDirectives: [Directive<TLSSettings>] {
        [
            SessionCacheSyntax.directive,
            Directive(
                "ssl_session_tickets", in: everywhere, \.usesTickets, .flag,
                "Whether sessions are resumed by tickets, which the client keeps."),
            Directive(
                "ssl_session_ticket_key", in: everywhere, arguments: .exactly(1), placeholder: "file", default: nil,
                repetition: .accumulates,
                """
                A file of 80 or 48 random bytes that tickets are encrypted with; needed where several hosts serve the \
                same clients. The first encrypts, all decrypt. Without one, keys are made and changed automatically.
                """
            ) { use in
                let added = PlacedText(text: use.arguments[0].text, position: use.position)
                let isFirst = use.isFirst
                return { $0.ticketKeyFiles = isFirst ? [added] : $0.ticketKeyFiles + [added] }
            }.transferred(.readsFile),
            Directive(
                "ssl_session_timeout", in: everywhere, \.sessionTimeout, .seconds,
                "How long a session may be resumed."),
        ]
    }

    // MARK: Client certificates

    static var verificationDirectives: [Directive<TLSSettings>] {
        [
            Directive(
                "ssl_verify_client", in: everywhere, \.verifyClient,
                .choice([
                    ("off", .off), ("on", .on), ("optional", .optional), ("optional_no_ca", .optionalWithoutCA),
                ]),
                """
                Whether a client certificate is asked for and must be good: `on` needs one, `optional` checks one if \
                there is one, `optional_no_ca` also accepts one that nobody known has signed.
                """),
            Directive(
                "ssl_verify_depth", in: everywhere, \.verifyDepth, .number,
                "The number of intermediate certificates allowed above a client's."),
            Directive(
                "ssl_client_certificate", in: everywhere, \.clientCertificate, .optional(.string("file")),
                "A PEM file of the authorities that client certificates are checked with; clients are told their names."
            ).transferred(.readsFile),
            Directive(
                "ssl_trusted_certificate", in: everywhere, \.trustedCertificate, .optional(.string("file")),
                "A PEM file of more authorities, whose names clients are not told."
            ).transferred(.readsFile),
            Directive(
                "ssl_crl", in: everywhere, \.revocationList, .optional(.string("file")),
                "A PEM file of revocation lists; there must be one for each authority in a client's chain."
            ).transferred(.readsFile),
        ]
    }

    // MARK: Forms

    /// A directive of one word that may be repeated; the first use hides what was inherited.
    private static func names(
        _ name: String, _ value: WritableKeyPath<TLSSettings, [String]>, placeholder: String, _ documentation: String
    ) -> Directive<TLSSettings> {
        Directive(
            name, in: everywhere, arguments: .exactly(1), placeholder: placeholder, default: nil,
            repetition: .accumulates, documentation
        ) { use in
            let (added, isFirst) = (use.arguments[0].text, use.isFirst)
            return { $0[keyPath: value] = isFirst ? [added] : $0[keyPath: value] + [added] }
        }
    }
}
