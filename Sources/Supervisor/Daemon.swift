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
        let inherited = InheritedSockets.take(log: builtInLog.main)
        guard let generation = load(inherited ?? [], builtInLog.main) else { return nil }
        closeUnwanted(inherited ?? [], generation)
        announce(generation.log)
        Signals.block()
        // The built-in log closes here: from now on there are those of the configuration.
        builtInLog = LogRegistry(loader.environment)
        guard settle(generation, isInherited: inherited != nil) else { return nil }
        let serial: SharedCounter
        do throws(SystemError) {
            serial = try SharedCounter()
        } catch {
            generation.log.write(.emergency, errno: error.errno, "\(error.call)() failed")
            return nil
        }
        guard generation.core.hasMaster else { return .single(SingleProcess(loader, generation, serial: serial)) }
        title.set((["master process"] + installation.commandLine).joined(separator: " "))
        return .master(
            Master(
                loader, generation, title: title, isDaemon: generation.core.isDaemon || inherited != nil,
                predecessor: inherited == nil ? nil : getppid(), serial: serial))
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

    private func closeUnwanted(_ inherited: [ListeningSocket], _ generation: Generation) {
        for socket in inherited where !generation.sockets.sockets.contains(where: { $0 === socket }) {
            if socket.isUnix {
                generation.log.write(.warning, "deleting socket \(socket.address.hostText.dropFirst(5))")
                socket.unlink(log: generation.log)
            }
            socket.close()
        }
    }

    private func announce(_ log: Log) {
        let limits = Process.openFileLimits
        log.write(.notice, installation.version)
        log.write(.notice, "built by \(installation.compiler)")
        log.write(.notice, "OS: \(Process.systemText)")
        log.write(.notice, "getrlimit(RLIMIT_NOFILE): \(limits.soft):\(limits.hard)")
    }

    /// Leaves the terminal if that is wanted, writes the pid file and takes the console's place.
    private func settle(_ generation: Generation, isInherited: Bool) -> Bool {
        guard generation.core.isDaemon, !isInherited else { return takeOver(generation) }
        var isSettled = false
        do throws(SystemError) {
            // While the parent waits, so that its exit status tells of trouble and its end means "ready".
            try Process.daemonise {
                isSettled = takeOver(generation); return isSettled
            }
        } catch {
            let call = error.call.description
            generation.log.write(
                .emergency, errno: error.errno, call == "open" ? "open(\"/dev/null\") failed" : "\(call)() failed")
        }
        return isSettled
    }

    private func takeOver(_ generation: Generation) -> Bool {
        do throws(ConfigError) {
            try generation.pidFile.write()
        } catch {
            generation.log.write(.emergency, error.message)
            return false
        }
        generation.logs.redirectStandardError()
        loader.environment.copiesToConsole = false
        return true
    }
}
