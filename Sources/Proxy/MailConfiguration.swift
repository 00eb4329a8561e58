import ApusMail
import Auth
package import Config
import DNS
package import EventLoop
package import Observability
import Platform
import TLS

/// One `server` block of a finished configuration.
package struct ServerPlan {
    let index: Int
    package let settings: Settings
    let declaration: ProtocolDeclaration
    let context: TLSContext?
    let authentication: MailModule.Authentication
    let serverName: [UInt8]

    init(
        index: Int, settings: Settings, declaration: ProtocolDeclaration, context: TLSContext?,
        authentication: MailModule.Authentication, hostName: [UInt8]
    ) {
        self.index = index
        self.settings = settings
        self.declaration = declaration
        self.context = context
        self.authentication = authentication
        let name = settings[ServerSettings.self].serverName
        serverName = name.isEmpty ? hostName : name
    }

    /// What the protocol learns about the block.
    var serviceContext: ServiceContext {
        ServiceContext(
            serverName: serverName, startTLS: startTLS, isStrict: settings[ServerSettings.self].isStrict,
            settings: settings)
    }

    var startTLS: StartTLSPolicy {
        switch settings[TLSSettings.self].startTLS {
        case .off: .off
        case .on: .on
        case .only: .only
        }
    }
}

/// The mail part of a configuration, checked and complete: the master opens its sockets, workers are made from it.
package final class MailConfiguration {
    package let servers: [ServerPlan]
    package let listeners: [ListenerPlan]
    private var passwordFiles: PasswordFiles

    init(servers: [ServerPlan]) throws(ConfigError) {
        guard servers.count <= Int(UInt16.max) else { throw ConfigError("no more than 65535 servers can be defined") }
        self.servers = servers
        passwordFiles = try PasswordFiles(of: servers)
        listeners = ListenerPlan.plans(
            for: servers.flatMap { server in
                server.settings[ListenSettings.self].addresses.map { ($0, server: server.index) }
            })
    }

    /// The password files; empty where all authentication is done elsewhere.
    package var passwordFilePaths: [String] { passwordFiles.paths }

    /// Gives the open descriptors of the password files away, in the order of their paths.
    package func takePasswordFiles() -> [CInt] { passwordFiles.take() }

    /// What a worker is made with.
    package struct WorkerParts {
        package var loop: EventLoop
        package var log: Log
        /// The log of a `server` block.
        package var logOf: (Settings) -> Log
        package var settings: Worker.Settings
        package var sharesListeners: Bool
        package var takeNumber: () -> UInt64
        /// The worker's end of the socket to the password helpers.
        package var helperSocket: CInt?

        package init(
            loop: EventLoop, log: Log, logOf: @escaping (Settings) -> Log, settings: Worker.Settings,
            sharesListeners: Bool, takeNumber: @escaping () -> UInt64, helperSocket: CInt?
        ) {
            self.loop = loop
            self.log = log
            self.logOf = logOf
            self.settings = settings
            self.sharesListeners = sharesListeners
            self.takeNumber = takeNumber
            self.helperSocket = helperSocket
        }
    }
}

extension MailConfiguration {
    /// The worker of this process.
    package func makeWorker(_ parts: WorkerParts) -> Worker {
        let providers = ProviderList(parts)
        let resolvers = ResolverList(parts)
        let runtime = servers.map { plan in
            let provider = providers.provider(for: plan) { self.passwordFiles.number(of: $0) }
            return Server(
                plan, provider: provider, resolver: resolvers.resolver(for: plan), log: parts.logOf(plan.settings))
        }
        let worker = Worker(
            loop: parts.loop, log: parts.log, settings: parts.settings, servers: runtime,
            sharesListeners: parts.sharesListeners, takeNumber: parts.takeNumber)
        providers.ask { [unowned worker] in
            _ = worker.nextNumber()
            return worker.hasRoomForConnection(worker.log)
        }
        worker.releaseIdle = { providers.closeIdle() }
        worker.keepNothing = { providers.stopKeeping() }
        return worker
    }
}

extension Server {
    convenience init(_ plan: ServerPlan, provider: any AuthProvider, resolver: Resolver?, log: Log) {
        let settings = plan.settings[ServerSettings.self]
        let tlsSettings = plan.settings[TLSSettings.self]
        plan.context?.warn = { text in log.write(.warning, text) }
        self.init(
            index: UInt16(truncatingIfNeeded: plan.index), declaration: plan.declaration,
            service: plan.declaration.makeService(plan.serviceContext),
            provider: provider, settings: settings, startTLS: plan.startTLS, tls: plan.context,
            tlsSettings: tlsSettings,
            realIP: plan.settings[RealIPSettings.self], resolver: resolver,
            resolverTimeout: plan.settings[ResolverSettings.self].timeout, serverName: plan.serverName, log: log)
    }
}
