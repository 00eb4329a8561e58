package import Config
package import Observability
import Platform

/// Reads the configuration: the part of loading that knows what the directives mean.
package protocol ConfigurationSource: AnyObject {
    /// Called at start and at each reload.
    ///
    /// - Parameter log: Takes warnings; they are complete with their place.
    func read(log: Log) throws(ConfigError) -> ReadConfiguration
}

/// A configuration whose text is in order; nothing was opened for it yet but what its service needs.
package struct ReadConfiguration {
    package let loaded: LoadedConfiguration
    package let service: any Service

    package init(loaded: LoadedConfiguration, service: any Service) { (self.loaded, self.service) = (loaded, service) }
}

/// One configuration in force, with all that was opened for it. Each reload makes a new one; an old one lives as long
/// as it has workers.
final class Generation {
    let number: Int
    let core: CoreSettings
    let events: EventsSettings
    let service: any Service
    let logs: LogRegistry
    /// Whom workers become; nil where that is not to be.
    let user: UserIdentity?
    let pidFile: PIDFile
    let lockFile: String
    let sockets: ListeningSockets
    /// Read by the helpers; those that changed are replaced.
    var watchedFiles: [WatchedFile]

    init(
        number: Int, core: CoreSettings, events: EventsSettings, service: any Service, logs: LogRegistry,
        user: UserIdentity?, pidFile: PIDFile, lockFile: String, sockets: ListeningSockets
    ) {
        self.number = number
        self.core = core
        self.events = events
        self.service = service
        self.logs = logs
        self.user = user
        self.pidFile = pidFile
        self.lockFile = lockFile
        self.sockets = sockets
        watchedFiles = (service.helpers?.files ?? []).map { WatchedFile(path: $0.path, owning: $0.descriptor) }
    }

    var log: Log { logs.main }

    var workerCount: Int {
        switch core.workerCount {
        case .fixed(let count): count
        case .automatic: Process.processorCount
        }
    }
}
