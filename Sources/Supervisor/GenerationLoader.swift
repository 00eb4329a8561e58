package import Config
package import Observability
import Platform

/// Loads a configuration and opens what it needs (process-model.md 3). All or nothing: after an error the world is as
/// it was.
package final class GenerationLoader {
    package let installation: Installation
    package let environment: LogEnvironment
    private let source: any ConfigurationSource
    private var count = 0
    /// See ``NameTable/sockets``.
    var socketNames: [String: [String]]?
    /// Where an error of the last loading belongs: the log it was given, or the new one once that is open.
    package private(set) var reportingLog: Log

    package init(_ source: any ConfigurationSource, _ installation: Installation, _ environment: LogEnvironment) {
        (self.source, self.installation, self.environment) = (source, installation, environment)
        reportingLog = LogRegistry(environment).main
    }

    var zones: [HandedZone] { source.zones }

    func adopt(_ zones: [HandedZone], log: Log) { source.adopt(zones, log: log) }

    /// Reads the text and nothing more: what `-s` needs, and the beginning of everything else.
    package func read(log: Log, names: NameTable = NameTable()) throws(ConfigError) -> ReadConfiguration {
        environment.clock.reloadTimeZone()
        reportingLog = log
        names.sockets = socketNames
        return try source.read(log: log, names: names)
    }

    /// Writes an error of the last loading to the log it belongs to.
    package func report(_ error: ConfigError) {
        reportingLog.write(error.level == .critical ? .critical : .emergency, error.message)
        if let hint = error.hint { reportingLog.hint(hint) }
    }

    /// The pid file a configuration asks for.
    package func pidPath(of configuration: ReadConfiguration) -> String {
        configuration.loaded.root.settings[CoreSettings.self].pidFile ?? installation.pidFile
    }

    /// The control socket a configuration asks for; nil for none.
    package func controlPath(of configuration: ReadConfiguration) -> String? {
        configuration.loaded.root.settings[CoreSettings.self].controlPath(besides: pidPath(of: configuration))
    }

    /// Opens everything, as a start would, and closes it again.
    package func test(_ configuration: ReadConfiguration, log: Log) throws(ConfigError) {
        _ = try checkedUser(configuration, previous: nil, log: log)
        try PIDFile(path: pidPath(of: configuration)).test()
        let logs = try openLogs(configuration)
        var sockets = try ListeningSockets(configuration.service.listeners, reusing: [], isTest: true, log: logs.main)
        sockets.abandon(log: logs.main)
    }

    /// Makes a configuration ready to be served.
    ///
    /// - Parameters:
    ///   - previous: The one in force; nil at start.
    ///   - sockets: Open ones that may be taken over.
    ///   - log: Where to report; the logs of the new configuration take over once they are open.
    func open(
        _ configuration: ReadConfiguration, after previous: Generation?, sockets old: [ListeningSocket], log: Log
    ) throws(ConfigError) -> Generation {
        let settings = configuration.loaded.root.settings
        let core = settings[CoreSettings.self]
        let user = try checkedUser(configuration, previous: previous, log: log)
        let pidFile = PIDFile(path: pidPath(of: configuration))
        let logs = try openLogs(configuration)
        let movesPID = previous.map { $0.pidFile.path != pidFile.path } ?? false
        if movesPID { try pidFile.write() }
        do throws(ConfigError) {
            let sockets = try ListeningSockets(
                configuration.service.listeners, reusing: old, isTest: false, log: logs.main)
            let events = eventsSettings(of: configuration)
            count += 1
            let generation = Generation(
                number: count, core: core, events: events, service: configuration.service, logs: logs, user: user,
                pidFile: pidFile, lockFile: core.lockFile ?? installation.lockFile, sockets: sockets)
            announce(generation)
            return generation
        } catch {
            if movesPID { pidFile.remove(log: log) }
            throw error
        }
    }

    /// The checks that come after parsing (config-grammar.md 4.1), in their order.
    ///
    /// - Returns: Whom workers become.
    private func checkedUser(
        _ configuration: ReadConfiguration, previous: Generation?, log: Log
    ) throws(ConfigError) -> UserIdentity? {
        let core = configuration.loaded.root.settings[CoreSettings.self]
        if case .fixed(let workerCount) = core.workerCount {
            warnOfMasks(core, workerCount, log)
        } else {
            warnOfMasks(core, Process.processorCount, log)
        }
        var user = core.user
        if user == nil { user = try builtInUser() }
        if let previous, previous.lockFile != core.lockFile ?? installation.lockFile {
            log.write(.emergency, "\"lock_file\" could not be changed, ignored")
        }
        try configuration.loaded.requireEvents()
        let (slots, listeners) = (
            eventsSettings(of: configuration).connectionLimit, configuration.service.listeners.count
        )
        guard slots >= listeners + 1 else {
            throw ConfigError("\(slots) worker_connections are not enough for \(listeners) listening sockets")
        }
        return user
    }

    private func warnOfMasks(_ core: CoreSettings, _ workerCount: Int, _ log: Log) {
        guard let affinity = core.affinity, affinity.mismatches(workerCount: workerCount) else { return }
        log.write(
            .warning,
            "the number of \"worker_processes\" is not equal to the number of \"worker_cpu_affinity\" masks, using "
                + "last mask for remaining worker processes")
    }

    private func builtInUser() throws(ConfigError) -> UserIdentity? {
        guard UserIdentity.canChange else { return nil }
        let group = installation.groupNames.first { name in (try? UserIdentity.number(ofGroup: name)) != nil }
        return try UserIdentity(name: installation.userName, groupName: group ?? installation.groupNames[0])
    }

    private func eventsSettings(of configuration: ReadConfiguration) -> EventsSettings {
        let block = configuration.loaded.root.children.first { $0.name == "events" }
        return block?.settings[EventsSettings.self] ?? EventsSettings()
    }

    private func openLogs(_ configuration: ReadConfiguration) throws(ConfigError) -> LogRegistry {
        let logs = LogRegistry(environment)
        let root = configuration.loaded.root
        try logs.openMain(root.settings[LogSettings.self], defaultPath: installation.errorLog)
        try openLogs(below: root, logs)
        reportingLog = logs.main
        return logs
    }

    private func openLogs(below block: Block, _ logs: LogRegistry) throws(ConfigError) {
        for child in block.children {
            if !child.arguments(of: "error_log").isEmpty { try logs.open(child.settings[LogSettings.self]) }
            try openLogs(below: child, logs)
        }
    }

    private func announce(_ generation: Generation) {
        generation.log.write(.notice, "using the \"epoll\" event method")
        let limit = generation.core.openFileLimit ?? Int(clamping: Process.openFileLimits.soft)
        if generation.events.connectionLimit > limit {
            generation.log.write(
                .warning,
                "\(generation.events.connectionLimit) worker_connections exceed open file resource limit: \(limit)")
        }
    }
}
