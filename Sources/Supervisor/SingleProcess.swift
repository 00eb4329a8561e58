import Config
import EventLoop
import Glibc
import Observability
import Platform

/// `master_process off`: one process does everything, as whoever started it. For debugging.
final class SingleProcess {
    private let loader: GenerationLoader
    private let serial: SharedCounter
    private var current: Generation
    private var openSockets: [ListeningSocket]
    /// By the number of their configuration; those of earlier ones live on for their sessions.
    private var bodies: [Int: any WorkerBody] = [:]
    private var loop: EventLoop?
    private var signals: SignalSource?

    init(_ loader: GenerationLoader, _ generation: Generation, serial: SharedCounter) {
        self.loader = loader
        self.serial = serial
        current = generation
        openSockets = generation.sockets.sockets
    }

    private var log: Log { current.log }

    func run() -> Never {
        do throws(SystemError) {
            let loop = try EventLoop(eventsPerTurn: min(max(1, current.events.eventsPerTurn), 1 << 16))
            self.loop = loop
            current.logs.environment.useTimers(of: loop)
            signals = try SignalSource(loop) { [unowned self] signal in receive(signal) }
        } catch {
            log.write(.emergency, errno: error.errno, "\(error.call)() failed")
            exit(1)
        }
        serve(current)
        loop?.run()
        exit(0)
    }

    private func serve(_ generation: Generation) {
        guard let loop else { return }
        let context = WorkerContext(
            // Copies: the body closes its own, the next configuration goes on with the same sockets.
            loop: loop, sockets: generation.sockets.sockets.map { fcntl($0.descriptor, F_DUPFD_CLOEXEC, 3) },
            log: generation.log, logs: generation.logs, core: generation.core, events: generation.events,
            helperSocket: nil, workerIndex: 0, generation: generation.number, serial: serial, row: nil,
            report: {},
            finished: { [unowned self] in loop.later { self.bodies[generation.number] = nil } })
        let body = generation.service.makeWorker(context)
        bodies[generation.number] = body
        body.start()
    }

    private func receive(_ signal: Signals.Received) {
        let action = SignalAction(signal.number, inMasterOfDaemon: false)
        log.write(.notice, signal.logText(action))
        switch action {
        case .terminate, .quit: end()
        case .reconfigure: reload()
        case .reopen:
            log.write(.notice, "reopening logs")
            _ = current.logs.reopen(reportingTo: log)
            current.logs.redirectStandardError()
        case .stopAccepting, .reap, .changeBinary, .ignore, .none: break
        }
    }

    private func reload() {
        log.write(.notice, "reconfiguring")
        do throws(ConfigError) {
            let configuration = try loader.read(log: log)
            let old = current
            current = try loader.open(configuration, after: old, sockets: openSockets, log: log)
            serve(current)
            bodies[old.number]?.quit()
            if old.pidFile.path != current.pidFile.path { old.pidFile.remove(log: log) }
            closeUnwantedSockets()
        } catch {
            loader.report(error)
        }
    }

    private func closeUnwantedSockets() {
        let wanted = current.sockets.sockets
        for socket in openSockets where !wanted.contains(where: { $0 === socket }) {
            if socket.isUnix { socket.unlink(log: log) }
            socket.close()
        }
        openSockets = wanted
    }

    private func end() -> Never {
        current.pidFile.remove(log: log)
        log.write(.notice, "exit")
        current.logs.tellSuppressed()
        for socket in openSockets {
            if socket.isUnix { socket.unlink(log: log) }
            socket.close()
        }
        exit(0)
    }
}
