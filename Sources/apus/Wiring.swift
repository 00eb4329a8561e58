import ApusMail
import Config
import IMAP
import ManageSieve
import Observability
import POP3
import Proxy
import SMTP
import Supervisor
import TLS
import Zones

/// What this daemon is made of: protocols come in here, and nowhere else.
enum Wiring {
    static var protocols: [ProtocolDeclaration] {
        [IMAP.declaration, POP3.declaration, SMTP.declaration, ManageSieve.declaration]
    }

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

    /// A module that declares and loads nothing: for the manual.
    private static var declarations: MailModule {
        MailModule(protocols: protocols, objects: TLSObjectCache(), zones: ZoneRegistry(), hostName: [])
    }

    static var manualDirectives: [AnyDirective] {
        // The loader knows directives of its own.
        let environment = LoadingEnvironment(prefix: "", configurationPrefix: "", isPrivileged: true, warn: { _ in })
        return ConfigLoader(
            directives: processDirectives + declarations.directives, blocks: [], environment: environment
        ).directives
    }

    static var manualBlocks: [BlockDirective] { processBlocks + declarations.blocks }
}
