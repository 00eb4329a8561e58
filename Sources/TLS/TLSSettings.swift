package import Config

/// What STARTTLS (STLS) means for a server: `tls.md` section 1.
package enum STARTTLSPolicy: Equatable, Sendable {
    case off, on
    /// No authentication before TLS is on.
    case only
}

/// How a client's certificate is treated: `tls.md` section 5.
package enum VerifyClient: Equatable, Sendable {
    case off, on, optional, optionalWithoutCA
}

/// Versions of the protocol. SSLv2 is known by name alone.
package struct TLSVersions: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static var ssl2: TLSVersions { TLSVersions(rawValue: 1) }
    package static var ssl3: TLSVersions { TLSVersions(rawValue: 2) }
    package static var tls1: TLSVersions { TLSVersions(rawValue: 4) }
    package static var tls11: TLSVersions { TLSVersions(rawValue: 8) }
    package static var tls12: TLSVersions { TLSVersions(rawValue: 16) }
    package static var tls13: TLSVersions { TLSVersions(rawValue: 32) }
}

/// The part of `ssl_session_cache` that each process has for itself.
package enum SessionCacheKind: Equatable, Sendable {
    case off, none
    /// A cache of the process; with the library's size if none is given.
    case builtin(Int?)
    /// The shared zone alone.
    case sharedOnly
}

/// A zone for sessions, as `ssl_session_cache shared:NAME:SIZE` declares it.
package struct SharedCacheDeclaration: Equatable, Sendable {
    package var name: String
    package var size: Int
}

/// All directives about TLS towards clients, and `starttls`.
///
/// Checks that need files are made by ``TLSContext``, for the servers that use TLS only.
package struct TLSSettings: SettingsBlock {
    package var startTLS = STARTTLSPolicy.off
    /// Where `starttls` stands that is in effect; nil if nowhere.
    package var startTLSPosition: Position?

    /// File names and `data:` texts as written, relative to the main configuration file.
    package var certificates: [String] = []
    package var certificateKeys: [String] = []
    package var passwords: PasswordList?
    package var compressesCertificates = false
    package var dhParameters: String?
    package var curves = "auto"
    package var versions: TLSVersions = [.tls12, .tls13]
    package var ciphers = "HIGH:!aNULL:!MD5"
    package var prefersServerCiphers = false

    package var sessionCache = SessionCacheKind.none
    package var sharedCache: SharedCacheDeclaration?
    package var usesTickets = true
    package var ticketKeyFiles: [PlacedText] = []
    package var sessionTimeout = Duration.seconds(300)

    package var verifyClient = VerifyClient.off
    package var verifyDepth = 1
    package var clientCertificate: String?
    package var trustedCertificate: String?
    package var revocationList: String?
    package var commands: [Command] = []

    /// One `ssl_conf_command`.
    package struct Command: Equatable, Sendable {
        package var name, value: String
    }

    /// A word and where it stands.
    package struct PlacedText: Equatable, Sendable {
        package var text: String
        package var position: Position
    }

    package init() {}

    package static var title: String { "TLS" }

    package static var directives: [Directive<TLSSettings>] {
        identityDirectives + protocolDirectives + sessionDirectives + verificationDirectives
    }
}

/// Directives of the TLS library that belong to no server.
package struct TLSLibrarySettings: SettingsBlock {
    /// May the next reload take over what the running configuration has read?
    package var isObjectCacheInheritable = true

    package init() {}
    package static var title: String { "TLS library" }

    package static var directives: [Directive<TLSLibrarySettings>] {
        [
            Directive(
                "ssl_object_cache_inheritable", in: .main, \.isObjectCacheInheritable, .flag,
                """
                Whether the next reload may take over certificates, keys and revocation lists whose files have not \
                changed instead of reading them again.
                """)
        ]
    }
}
