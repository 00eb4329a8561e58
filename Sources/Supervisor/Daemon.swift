import Config
import Glibc
package import Observability
package import Platform

/// The start of the daemon, from the configuration to the loop (process-model.md 2, steps 5 to 13).
package struct Daemon {
    private let loader: GenerationLoader
    private let title: ProcessTitle
    private var installation: Installation { loader.installation }

    package init(_ loader: GenerationLoader, title: ProcessTitle) { (self.loader, self.title) = (loader, title) }

    /// Starts; comes back only in the status the process ends with.
    ///
    /// - Parameter builtInLog: Where messages go before the configuration's logs are open. Not needed any more afterwards.
    package func run(builtInLog: consuming LogRegistry) -> CInt {
        // What the first configuration holds must not stay open in this frame for good: hence the two steps.
        switch prepare(builtInLog) {
        case .master(let master): master.run()
        case .single(let process): process.run()
        case nil: return 1
        }
    }

    private enum Life { case master(Master), single(SingleProcess) }

    private func prepare(_ builtInLog: consuming LogRegistry) -> Life? {
        var inheritance = InheritedSockets.take(log: builtInLog.main)
        let activated = inheritance == nil ? ServiceManager.takeSockets(log: builtInLog.main) : []
        loader.adopt(inheritance?.state.zones ?? [], log: builtInLog.main)
        let offered = (inheritance?.sockets ?? []) + activated
        let named = Dictionary(grouping: offered.filter { !$0.name.isEmpty }, by: \.name)
        loader.socketNames = named.mapValues { $0.map(\.text) }
        guard let generation = load(offered, builtInLog.main) else { return nil }
        guard let unwanted = unwantedSockets(offered, generation, inheritance) else { return nil }
        inheritance?.abandoned = unwanted
        let spare = offered.filter { socket in
            socket.isActivated && !generation.sockets.sockets.contains { $0 === socket }
        }
        announce(generation.log)
        Signals.block()
        // The built-in log closes here: from now on there are those of the configuration.
        builtInLog = LogRegistry(loader.environment)
        var starter: DaemonStarter?
        guard settle(generation, isInherited: inheritance != nil, &starter) else { return nil }
        let serial: SharedCounter
        do throws(SystemError) {
            serial = try counter(inheritance?.state.counter ?? -1)
        } catch {
            generation.log.write(.emergency, errno: error.errno, "\(error.call)() failed")
            return nil
        }
        guard generation.core.hasMaster else {
            starter?.tell(success: true)
            return .single(SingleProcess(loader, generation, serial: serial))
        }
        title.set((["master process"] + installation.commandLine).joined(separator: " "))
        return .master(
            Master(
                loader, generation, title: title, isDaemon: generation.core.isDaemon || inheritance != nil,
                inheritance: inheritance, spareSockets: spare, starter: starter, serial: serial))
    }

    /// Of the connections: that of the master before goes on.
    private func counter(_ handed: CInt) throws(SystemError) -> SharedCounter {
        if handed >= 0, let counter = try? SharedCounter(adopting: handed) { return counter }
        return try SharedCounter()
    }

    private func load(_ sockets: [ListeningSocket], _ log: Log) -> Generation? {
        do throws(ConfigError) {
            let configuration = try loader.read(log: log)
            return try loader.open(configuration, after: nil, sockets: sockets, log: log)
        } catch {
            loader.report(error)
            return nil
        }
    }

    /// Closes what the configuration does not name.
    ///
    /// - Returns: Those whose files the old master still uses; nil when the start must fail: what nginx serves beside
    ///   mail would be lost with its sockets.
    private func unwantedSockets(
        _ offered: [ListeningSocket], _ generation: Generation, _ inheritance: Inheritance?
    ) -> [ListeningSocket]? {
        let unwanted = offered.filter { socket in !generation.sockets.sockets.contains { $0 === socket } }
        if inheritance?.isFromNginx == true, generation.core.foreignSockets == .refuse, let first = unwanted.first {
            generation.log.write(
                .emergency,
                "nginx serves \(first.text), which the configuration does not name: taking over would end that service "
                    + "(\"takeover_foreign_sockets close\" allows it)")
            return nil
        }
        for socket in unwanted {
            if socket.isActivated {
                generation.log.write(
                    .warning, "no \"listen\" names \(socket.text), which was passed by the service manager")
                continue
            }
            if inheritance?.isFromNginx == true {
                generation.log.write(
                    .notice, "nginx serves \(socket.text), which the configuration does not name: closed here")
            }
            socket.close()
        }
        return unwanted.filter(\.hasFileOfOurs)
    }

    private func announce(_ log: Log) {
        let limits = Process.openFileLimits
        log.write(.notice, installation.version)
        log.write(.notice, "built by \(installation.compiler)")
        log.write(.notice, "OS: \(Process.systemText)")
        log.write(.notice, "getrlimit(RLIMIT_NOFILE): \(limits.soft):\(limits.hard)")
    }

    /// Leaves the terminal if that is wanted, writes the pid file and takes the console's place.
    private func settle(_ generation: Generation, isInherited: Bool, _ starter: inout DaemonStarter?) -> Bool {
        guard generation.core.isDaemon, !isInherited else { return takeOver(generation) }
        do throws(SystemError) {
            // The parent waits until workers accept, so that its exit status tells of trouble and its end means "ready".
            starter = try Process.daemonise()
            return takeOver(generation)
        } catch {
            let call = error.call.description
            generation.log.write(
                .emergency, errno: error.errno, call == "open" ? "open(\"/dev/null\") failed" : "\(call)() failed")
        }
        return false
    }

    private func takeOver(_ generation: Generation) -> Bool {
        do throws(ConfigError) {
            try generation.pidFile.write()
        } catch {
            generation.log.write(.emergency, error.message)
            if let hint = error.hint { generation.log.hint(hint) }
            return false
        }
        generation.logs.redirectStandardError()
        loader.environment.copiesToConsole = false
        return true
    }
}
