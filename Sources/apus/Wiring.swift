import Config
import Observability
import Platform
import Supervisor

/// What this daemon is made of: protocols and providers come in here, and nowhere else.
enum Wiring {
    /// The directives of the process around the mail part.
    static var processDirectives: [AnyDirective] {
        AnyDirective.all(of: CoreSettings.self) + AnyDirective.all(of: LogSettings.self)
            + AnyDirective.all(of: EventsSettings.self)
    }

    static var processBlocks: [BlockDirective] {
        [
            BlockDirective(
                "events", in: .main, body: .events, "How connections are handled; every configuration has one.")
        ]
    }

    // The mail part: room Proxy, MailModule.
    static var mailDirectives: [AnyDirective] { [] }
    static var mailBlocks: [BlockDirective] {
        [BlockDirective("mail", in: .main, body: .mail, "The mail servers.")]
    }
    static var tlsLibrary: String { "OpenSSL" }

    static func service(of configuration: LoadedConfiguration) throws(ConfigError) -> any Service { NoService() }

    static var manualDirectives: [AnyDirective] {
        // The loader knows directives of its own.
        let environment = LoadingEnvironment(prefix: "", configurationPrefix: "", isPrivileged: true, warn: { _ in })
        return ConfigLoader(
            directives: processDirectives + mailDirectives, blocks: [], environment: environment
        ).directives
    }

    static var manualBlocks: [BlockDirective] { processBlocks + mailBlocks }
}

/// Reads the configuration with all directives this daemon has.
final class MailSource: ConfigurationSource {
    private let paths: BuiltInPaths
    private let globalDirectives: String

    init(_ paths: BuiltInPaths, globalDirectives: String) {
        (self.paths, self.globalDirectives) = (paths, globalDirectives)
    }

    func read(log: Log) throws(ConfigError) -> ReadConfiguration {
        let environment = LoadingEnvironment(
            prefix: paths.prefix, configurationPrefix: paths.configurationPrefix,
            isPrivileged: UserIdentity.canChange, warn: { log.write(.warning, $0) },
            notice: { log.write(.notice, $0) })
        let loader = ConfigLoader(
            directives: Wiring.processDirectives + Wiring.mailDirectives,
            blocks: Wiring.processBlocks + Wiring.mailBlocks, environment: environment)
        let loaded = try loader.load(file: paths.configurationFile, globalDirectives: globalDirectives)
        return ReadConfiguration(loaded: loaded, service: try Wiring.service(of: loaded))
    }
}

/// Serves nothing: a process model without mail.
final class NoService: Service {
    private final class Idle: WorkerBody {
        private let context: WorkerContext
        init(_ context: WorkerContext) { self.context = context }
        func start() { context.report() }
        func quit() { context.finished() }
        func shutdownTimeout() {}
    }

    var listeners: [ListenerRequest] { [] }
    var helpers: HelperPlan? { nil }
    func makeWorker(_ context: WorkerContext) -> any WorkerBody { Idle(context) }
}
