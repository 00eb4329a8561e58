package import Config
package import Observability
import Platform

/// Reads the configuration: the part of loading that knows what the directives mean.
package protocol ConfigurationSource: AnyObject {
    /// Called at start and at each reload.
    ///
    /// - Parameters:
    ///   - log: Takes warnings; they are complete with their place.
    ///   - names: Host names that are resolved already, and whether this is a rehearsal.
    func read(log: Log, names: NameTable) throws(ConfigError) -> ReadConfiguration
    /// The shared memory of the configuration in force, for a binary upgrade.
    var zones: [HandedZone] { get }
    /// Shared memory of the master before: the next configuration read may ask for it. Owns the descriptors.
    func adopt(_ zones: [HandedZone], log: Log)
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

    /// The environment of workers: the variables the configuration lists, and `TZ` unless it is among them.
    func environment() -> [(name: String, value: String)] {
        var listed = core.environment
        if !listed.contains(where: { $0.name == "TZ" }) { listed.append(.init(name: "TZ", value: nil)) }
        return listed.compactMap { variable in
            (variable.value ?? Process.environmentValue(variable.name)).map { (variable.name, $0) }
        }
    }

    var controlPath: String? { core.controlPath(besides: pidFile.path) }

    var workerCount: Int {
        switch core.workerCount {
        case .fixed(let count): count
        case .automatic: Process.processorCount
        }
    }
}
