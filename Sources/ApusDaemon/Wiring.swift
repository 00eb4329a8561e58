import ApusMail
import Config
import Observability
import Proxy
import Supervisor
import TLS
import Zones

/// What this program is made of, and all directives it has.
struct Wiring {
    let protocols: [ProtocolDeclaration]
    let providers: [AuthProviderDeclaration]

    /// The directives of the process around the mail part.
    static var processDirectives: [AnyDirective] {
        AnyDirective.all(of: CoreSettings.self) + AnyDirective.all(of: LogSettings.self)
            + AnyDirective.all(of: EventsSettings.self) + AnyDirective.all(of: TLSLibrarySettings.self)
    }

    static var processBlocks: [BlockDirective] {
        [
            BlockDirective(
                "events", in: .main, body: .events, "How connections are handled; every configuration has one.")
        ]
    }

    /// The mail part of one reading of the configuration.
    func mailModule(objects: TLSObjectCache, zones: ZoneRegistry, hostName: [UInt8]) -> MailModule {
        MailModule(protocols: protocols, providers: providers, objects: objects, zones: zones, hostName: hostName)
    }

    /// A module that declares and loads nothing: for the manual.
    private var declarations: MailModule { mailModule(objects: TLSObjectCache(), zones: ZoneRegistry(), hostName: []) }

    private func loader(of directives: [AnyDirective]) -> ConfigLoader {
        let environment = LoadingEnvironment(prefix: "", configurationPrefix: "", isPrivileged: true, warn: { _ in })
        return ConfigLoader(directives: directives, blocks: [], environment: environment)
    }

    /// Those of the loader included, which knows directives of its own.
    var manualDirectives: [AnyDirective] {
        loader(of: Self.processDirectives + declarations.directives).directives
    }

    var manualBlocks: [BlockDirective] { Self.processBlocks + declarations.blocks }

    /// Whether the declarations can be served together; the error names the one that cannot.
    func check() throws(ConfigError) {
        let own = loader(of: Self.processDirectives).directives.map(\.name) + MailModule.ownNames
        try DeclarationCheck(protocols: protocols, providers: providers)
            .run(knownNames: own + manualBlocks.map(\.name))
    }
}
