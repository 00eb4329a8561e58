// The mail part of the configuration: which directives there are, what is checked when a block closes, and what the
// master and its workers are given in the end.

package import ApusMail
import Auth
package import Config
import DNS
import Platform
package import TLS
package import Zones

package final class MailModule {
    private let protocols: [ProtocolDeclaration]
    private let providers: [AuthProviderDeclaration]
    private let objects: TLSObjectCache
    private let zones: ZoneRegistry
    /// What was made when the blocks closed, in the order of the `server` blocks.
    private var contexts: [TLSContext?] = []
    private let hostName: [UInt8]

    /// - Parameters:
    ///   - objects: Certificates and keys already read; those of the running configuration at a reload.
    ///   - zones: Memory shared by workers, kept over reloads.
    ///   - hostName: The machine's, the default of `server_name`.
    package init(
        protocols: [ProtocolDeclaration], providers: [AuthProviderDeclaration], objects: TLSObjectCache,
        zones: ZoneRegistry, hostName: [UInt8]
    ) {
        (self.protocols, self.providers) = (protocols, providers)
        (self.objects, self.zones, self.hostName) = (objects, zones, hostName)
    }

    // MARK: Declarations

    package var directives: [AnyDirective] {
        AnyDirective.all(of: ListenSettings.self) + [AnyDirective(protocolDirective)] + Self.commonDirectives
            + protocols.flatMap(\.directives) + providers.flatMap(\.directives)
    }

    /// The names of the directives that are there whatever the protocols and providers are.
    package static var ownNames: [String] {
        AnyDirective.all(of: ListenSettings.self).map(\.name) + ["protocol"] + commonDirectives.map(\.name)
    }

    private static var commonDirectives: [AnyDirective] {
        AnyDirective.all(of: ServerSettings.self) + AnyDirective.all(of: RealIPSettings.self)
            + AnyDirective.all(of: ResolverSettings.self) + AnyDirective.all(of: TLSSettings.self)
            + AnyDirective.all(of: AuthHTTPSettings.self) + AnyDirective.all(of: PasswdFileSettings.self)
    }

    package var blocks: [BlockDirective] {
        [
            BlockDirective(
                "mail", in: .main, body: .mail,
                "The mail servers. What is set here holds for every `server` inside that does not set it itself."
            ) { [unowned self] block, environment throws(ConfigError) in
                try self.close(block, environment)
            },
            BlockDirective(
                "server", in: .mail, body: .server, isRepeatable: true,
                "One mail server: its addresses, its protocol, and whatever is different from the `mail` block around it."
            ) { block, _ throws(ConfigError) in
                guard block.uses["listen"] != nil else {
                    throw ConfigError("no \"listen\" is defined for server", at: block.position)
                }
            },
        ]
    }

    private var protocolDirective: Directive<ServerSettings> {
        let names = protocols.map(\.name)
        return Directive(
            "protocol", in: .server, arguments: .exactly(1), placeholder: names.joined(separator: " | "), default: nil,
            repetition: .lastWins,
            """
            The protocol of the server; the authentication service is told it as `Auth-Protocol`. Without it the first `listen` with a port that belongs to a protocol decides: \
            \(protocols.map { "\($0.defaultPorts.map(String.init).joined(separator: ", ")) for \($0.name)" }
                .joined(separator: "; ")).
            """
        ) { use throws(ConfigError) in
            let name = use.arguments[0].text
            guard names.contains(name) else {
                throw use.error("unknown protocol \"\(name)\"", hint: "known: \(names.joined(separator: ", "))")
            }
            return { $0.protocolName = name }
        }
    }

    // MARK: The closing brace of `mail`

    /// The checks in nginx's order: for each part, every server in the order of the file.
    private func close(_ mail: Block, _ environment: LoadingEnvironment) throws(ConfigError) {
        let servers = mail.children.filter { $0.name == "server" }
        var declarations: [ProtocolDeclaration] = []
        for server in servers { declarations.append(try declaration(of: server)) }
        contexts = []
        for (server, declaration) in zip(servers, declarations) {
            contexts.append(try context(of: server, declaration, environment))
        }
        var authentications: [Authentication] = []
        for server in servers { authentications.append(try authentication(of: server)) }
        for (index, (server, declaration)) in zip(servers, declarations).enumerated() {
            let plan = ServerPlan(
                index: index, settings: server.settings, declaration: declaration, context: contexts[index],
                authentication: authentications[index], hostName: hostName)
            do throws(ConfigError) {
                try declaration.check(plan.serviceContext)
                if case .declared(let provider) = authentications[index] { try provider.check(plan.serviceContext) }
            } catch {
                throw ConfigError(error.message, at: server.position, level: error.level, hint: error.hint)
            }
        }
    }

    private func declaration(of server: Block) throws(ConfigError) -> ProtocolDeclaration {
        let settings = server.settings
        if let name = settings[ServerSettings.self].protocolName,
            let found = protocols.first(where: { $0.name == name })
        {
            return found
        }
        for port in settings[ListenSettings.self].firstPorts {
            if let found = protocols.first(where: { $0.defaultPorts.contains(port) }) { return found }
        }
        throw ConfigError(
            "unknown mail protocol for server", at: server.position,
            hint: "no protocol belongs to its ports: name one, as in \"protocol \(protocols[0].name);\"")
    }

    private func context(
        of server: Block, _ declaration: ProtocolDeclaration, _ environment: LoadingEnvironment
    ) throws(ConfigError) -> TLSContext? {
        let settings = server.settings
        let tls = settings[TLSSettings.self]
        let listenPosition = settings[ListenSettings.self].lastTLSPosition
        guard let position = listenPosition ?? (tls.startTLS == .off ? nil : tls.startTLSPosition) else { return nil }
        return try TLSContext(
            tls, name: declaration.applicationProtocol, mode: listenPosition == nil ? "starttls" : "listen ... ssl",
            position: position, environment: environment, objects: objects, zones: zones)
    }

    /// How the users of a server are authenticated: by the innermost block that says so.
    private func authentication(of server: Block) throws(ConfigError) -> Authentication {
        let ways = ["auth_http", "auth_passwd_file"] + providers.map(\.directive)
        var block: Block? = server
        while let current = block {
            let used = ways.filter { current.uses[$0] != nil }
            guard used.count < 2 else {
                throw ConfigError("both \"\(used[0])\" and \"\(used[1])\" are defined for server", at: server.position)
            }
            if let way = used.first, let found = authentication(by: way, server.settings) { return found }
            block = current.parent
        }
        throw ConfigError(
            "no \"auth_http\" is defined for server", at: server.position,
            hint: "users can also be in a file: \"auth_passwd_file\" with \"proxy_pass\"")
    }

    /// - Parameter way: The directive that says so; nil where it says that there is none.
    private func authentication(by way: String, _ settings: Settings) -> Authentication? {
        switch way {
        case "auth_http": settings[AuthHTTPSettings.self].service.map { .http($0) }
        case "auth_passwd_file": settings[PasswdFileSettings.self].path.map { .passwdFile(path: $0) }
        default: providers.first { $0.directive == way }.map { .declared($0) }
        }
    }

    enum Authentication {
        case http(HTTPAuthService)
        case passwdFile(path: String)
        case declared(AuthProviderDeclaration)
    }

    // MARK: The result

    /// The finished configuration; called once everything is read.
    package func configuration(_ root: Block) throws(ConfigError) -> MailConfiguration {
        let blocks = root.children.filter { $0.name == "mail" }.flatMap(\.children).filter { $0.name == "server" }
        var plans: [ServerPlan] = []
        for (index, block) in blocks.enumerated() {
            plans.append(
                ServerPlan(
                    index: index, settings: block.settings, declaration: try declaration(of: block),
                    context: contexts.indices.contains(index) ? contexts[index] : nil,
                    authentication: try authentication(of: block), hostName: hostName))
        }
        return try MailConfiguration(servers: plans)
    }
}
