import EventLoop
import Glibc
import Observability
import Platform

/// What a worker process is handed by the master it was forked from.
struct WorkerInheritance {
    let generation: Generation
    let index: Int
    let serial: SharedCounter
    let row: ProcessRow
    let channel: CInt
    let helperSocket: CInt?
    let title: ProcessTitle
    let isDaemon: Bool
}

/// The life of a worker process around its ``WorkerBody``: becoming somebody else, signals, the master's messages.
final class WorkerProcess {
    /// Ends a worker that could not begin; the master starts no other in its place.
    static var fatal: CInt { 2 }

    private let inheritance: WorkerInheritance
    private let log: Log
    private var loop: EventLoop?
    private var channel: Channel?
    private var signals: SignalSource?
    private var body: (any WorkerBody)?
    private var isQuitting = false

    private init(_ inheritance: WorkerInheritance) {
        self.inheritance = inheritance
        log = inheritance.generation.log
    }

    /// Lives the whole life of a worker.
    static func run(_ inheritance: WorkerInheritance) -> Never {
        inheritance.title.set("worker process")
        let worker = WorkerProcess(inheritance)
        WorkerIdentity(inheritance.generation, index: inheritance.index).assume()
        do throws(SystemError) {
            try worker.begin()
        } catch {
            worker.log.write(.emergency, errno: error.errno, "\(error.call)() failed")
            exit(fatal)
        }
        worker.loop?.run()
        exit(0)
    }

    private func begin() throws(SystemError) {
        let generation = inheritance.generation
        inheritance.row.takeCrashReport()
        let loop = try EventLoop(eventsPerTurn: min(max(1, generation.events.eventsPerTurn), 1 << 16))
        self.loop = loop
        let log = log
        generation.logs.environment.useTimers(of: loop)
        loop.waitFailed = { log.write(.alert, errno: $0.errno, "epoll_wait() failed") }
        // A closed channel is the master's death: the worker serves on.
        channel = try Channel(owning: inheritance.channel, loop) { [unowned self] bytes, descriptor in
            hear(bytes, descriptor)
        } ended: {
        }
        signals = try SignalSource(loop) { [unowned self] signal in receive(signal) }
        let body = generation.service.makeWorker(context(loop))
        self.body = body
        beat()
        body.start()
    }

    /// Shows the master that the loop turns, several times within the span that it may be silent (`worker_watchdog`).
    private func beat() {
        guard let loop, let period = inheritance.generation.core.watchdogPeriod else { return }
        inheritance.row.beat = loop.now
        _ = loop.schedule(after: period) { [unowned self] in beat() }
    }

    private func context(_ loop: EventLoop) -> WorkerContext {
        let generation = inheritance.generation
        return WorkerContext(
            loop: loop, sockets: generation.sockets.sockets.map(\.descriptor), log: log, logs: generation.logs,
            core: generation.core, events: generation.events, helperSocket: inheritance.helperSocket,
            workerIndex: inheritance.index, generation: generation.number, serial: inheritance.serial,
            row: inheritance.row,
            report: { [unowned self] in channel?.send(ControlMessage(.accepting).bytes) },
            finished: { [unowned self] in end() })
    }

    // MARK: What it is told

    private func hear(_ bytes: [UInt8], _ descriptor: CInt) {
        guard let message = ControlMessage(bytes) else { return }
        switch message.kind {
        case .quit: quit()
        case .terminate: end()
        case .reopening: log.write(.notice, "reopening logs")
        case .logFile: inheritance.generation.logs.adopt(descriptor, file: Int(message.number))
        case .reopened: inheritance.generation.logs.redirectStandardError()
        case .accepting, .pleaseReopen: break
        }
    }

    private func receive(_ signal: Signals.Received) {
        let action = SignalAction(signal.number, inWorkerOfDaemon: inheritance.isDaemon)
        log.write(.notice, signal.logText(action))
        switch action {
        case .terminate: end()
        case .quit: quit()
        case .reopen: channel?.send(ControlMessage(.pleaseReopen).bytes)
        case .none, .ignore, .reconfigure, .reap, .stopAccepting, .changeBinary: break
        }
    }

    // MARK: Its end

    private func quit() {
        guard !isQuitting, let loop else { return }
        isQuitting = true
        log.write(.notice, "gracefully shutting down")
        inheritance.title.set("worker process is shutting down")
        let timeout = inheritance.generation.core.shutdownTimeout
        if timeout > .zero {
            _ = loop.schedule(after: timeout) { [unowned self] in body?.shutdownTimeout() }
        }
        body?.quit()
    }

    /// Without a goodbye: whatever is open, the kernel closes.
    private func end() {
        log.write(.notice, "exiting")
        inheritance.generation.logs.tellSuppressed()
        log.firstFileOnly().write(.notice, "exit")
        exit(0)
    }
}
