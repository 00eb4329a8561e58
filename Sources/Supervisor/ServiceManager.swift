import CLinux
import EventLoop
import Glibc
import Observability
import Platform

/// What the service manager is told, and what it passes on (systemd.md).
///
/// Its protocol is one datagram of `KEY=VALUE` lines to a socket whose name stands in the environment (sd_notify(3)),
/// stable and meant to be spoken by anybody. That is done here rather than through libsystemd, which would bring half a
/// dozen libraries into a process of root.
final class ServiceManager {
    /// What a new binary needs of the environment, whatever `env` says.
    static let passedOn = ["NOTIFY_SOCKET", "WATCHDOG_USEC"]

    private static var patience: CInt { 5000 }

    /// Where to send; nil where nobody listens.
    private let socket: String?
    /// How often the manager wants to hear of this process; nil where it does not watch it.
    let watchdogPeriod: Duration?

    init() {
        socket = Process.environmentValue("NOTIFY_SOCKET").flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
        let watched = Process.environmentValue("WATCHDOG_PID")
        let period = Process.environmentValue("WATCHDOG_USEC").flatMap { Int64($0) } ?? 0
        watchdogPeriod = period > 0 && (watched == nil || watched == "\(getpid())") ? .microseconds(period) : nil
        // Of this process alone: a new binary has another number.
        unsetenv("WATCHDOG_PID")
    }

    // MARK: Telling

    func ready(_ status: String, isMain: Bool) {
        tell(["READY=1", "STATUS=\(status)"] + (isMain ? ["MAINPID=\(getpid())"] : []))
    }

    func reloading() {
        tell(["RELOADING=1", "MONOTONIC_USEC=\(MonotonicClock.microseconds)", "STATUS=Reloading configuration"])
    }

    func stopping(_ status: String) { tell(["STOPPING=1", "STATUS=\(status)"]) }

    /// Asks for more time to end the sessions.
    func extendTimeout(by time: Duration) {
        tell(["EXTEND_TIMEOUT_USEC=\(time.components.seconds * 1_000_000)"])
    }

    func status(_ status: String) { tell(["STATUS=\(status)"]) }

    func isAlive() { tell(["WATCHDOG=1"]) }

    /// Another process is the service from now on. Comes back when the manager has heard it, or after a few seconds.
    func handOver(to process: CInt) {
        guard socket != nil else { return }
        tell(["MAINPID=\(process)"])
        guard let ends = try? Process.pipe() else { return }
        barrier(ends)
    }

    /// The manager closes the end it is sent once it has worked off what came before.
    private func barrier(_ ends: borrowing PipeEnds) {
        send("BARRIER=1", descriptor: ends.input.number)
        // Ours must not keep it open.
        var readiness = pollfd(fd: ends.output.number, events: Int16(POLLIN), revents: 0)
        _ = dup2(ends.output.number, ends.input.number)
        while poll(&readiness, 1, Self.patience) < 0, errno == EINTR {}
    }

    private func tell(_ lines: [String]) { send(lines.joined(separator: "\n"), descriptor: -1) }

    /// Never waits: with a full socket it tries a few times.
    private func send(_ text: String, descriptor: CInt) {
        guard let socket else { return }
        let bytes = Array(text.utf8)
        for _ in 0..<5 {
            let count = linux_notify(socket, bytes, UInt(bytes.count), descriptor)
            guard count < 0, errno == EAGAIN || errno == EINTR else { return }
            usleep(1000)
        }
    }

    // MARK: Sockets it has passed on

    /// Listening sockets (LISTEN_FDS, sd_listen_fds(3)), once: the variables are gone afterwards.
    static func takeSockets(log: Log) -> [ListeningSocket] {
        defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] { unsetenv(name) } }
        guard Process.environmentValue("LISTEN_PID") == "\(getpid())",
            let count = Process.environmentValue("LISTEN_FDS").flatMap({ CInt($0) }), (1...4096).contains(count)
        else { return [] }
        let names = (Process.environmentValue("LISTEN_FDNAMES") ?? "").split(
            separator: ":", omittingEmptySubsequences: false)
        return (3..<(3 + count)).compactMap { number in
            guard ListeningCalls.isListeningStream(number) else {
                log.write(
                    .warning, "descriptor \(number) of the service manager is no listening stream socket, ignored")
                return nil
            }
            let position = Int(number - 3)
            let name = position < names.count ? String(names[position]) : ""
            return InheritedSockets.adopt(number, isActivated: true, name: name, log: log)
        }
    }
}

extension Master {
    private static var drainReport: Duration { .seconds(10) }
    private static var drainTime: Duration { .seconds(30) }

    var statusText: String {
        let workers = children.values.count { $0.kind == .worker && $0.generation === current && !$0.isLeaving }
        let draining = children.values.count { $0.kind == .worker && $0.isLeaving }
        return (reloadFailure.map { "Reload failed: \($0). " } ?? "")
            + "Serving \(Self.counted(sessionCount, "session")) with \(Self.counted(workers, "worker")), "
            + "configuration \(current.number)"
            + (draining > 0 ? "; \(draining) more end\(draining == 1 ? "s" : "") sessions" : "")
    }

    /// Of all workers, those that are leaving too.
    var sessionCount: Int { children.values.reduce(0) { $0 + $1.row.sessions } }

    private static func counted(_ count: Int, _ what: String) -> String { "\(count) \(what)\(count == 1 ? "" : "s")" }

    /// Tells what has changed since.
    func tellStatus() {
        guard hasServed, !hasToldEnd, predecessor?.link == nil, successor == nil, pending == nil, rehearsal == nil,
            toldStatus != statusText
        else { return }
        toldStatus = statusText
        manager.status(toldStatus)
    }

    /// Pings the manager half as often as it may be silent, as long as the loop turns.
    func keepWatchdogCalm() {
        guard let period = manager.watchdogPeriod, let loop else { return }
        manager.isAlive()
        _ = loop.schedule(after: period / 2) { [unowned self] in keepWatchdogCalm() }
    }

    func reportDraining() {
        manager.extendTimeout(by: Self.drainTime)
        _ = loop?.schedule(after: Self.drainReport) { [unowned self] in reportDraining() }
    }

    /// This process ends: the service with it, or goes on in the new master.
    func tellManagerOfEnd() {
        guard !hasToldEnd else { return }
        hasToldEnd = true
        if let successor {
            manager.handOver(to: successor.process)
        } else if predecessor?.isAlive != true {
            manager.stopping(hasQuit ? "Waiting for sessions to end" : "Ending")
            // Without an end in sight the manager's own limit holds: idle clients must not keep a machine from rebooting.
            if hasQuit, current.core.shutdownTimeout > .zero { reportDraining() }
        }
    }
}
