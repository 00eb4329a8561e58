import Glibc
import Observability
import Platform

extension Master {
    private static var firstPeriod: Int { 50 }
    /// A period longer than this ends with SIGKILL.
    private static var patience: Int { 1000 }

    /// Tells everybody to end at once, again and again with doubled periods, and at last kills (process-model.md 4.2).
    func terminate() {
        defer { wishes.escalate = false }
        guard let period = escalationPeriod else {
            escalationPeriod = Self.firstPeriod
            tellManagerOfEnd()
            endRehearsal()
            tellWorkersToTerminate()
            retireHelpers()
            return armEscalation()
        }
        guard wishes.escalate else { return retireHelpers() }
        if period > Self.patience {
            for child in children.values { kill(child.process, SIGKILL) }
        } else if period > Self.firstPeriod {
            tellWorkersToTerminate()
        }
        escalationPeriod = min(period * 2, 60_000)
        armEscalation()
    }

    private func tellWorkersToTerminate() {
        for child in children.values where child.kind == .worker {
            child.isLeaving = true
            child.tell(ControlMessage(.terminate))
        }
    }

    private func armEscalation() {
        guard let period = escalationPeriod, let loop else { return }
        _ = loop.schedule(after: .milliseconds(period)) { [unowned self] in wishes.escalate = true }
    }

    /// Lets the workers finish; takes as long as their sessions do.
    func quit() {
        guard !hasQuit else { return }
        hasQuit = true
        tellManagerOfEnd()
        endRehearsal()
        tellWorkersToQuit { _ in true }
        closeSockets()
        retireHelpers()
        if children.isEmpty { finish() }
    }

    func finish() -> Never {
        tellManagerOfEnd()
        if let pending, pending.pidFile.path != current.pidFile.path { pending.pidFile.remove(log: log) }
        pidPath(pidPlace).remove(log: log)
        log.write(.notice, "exit")
        current.logs.tellSuppressed()
        // Another master may have taken it over.
        closeControl(unlinking: successor == nil && predecessor?.sharesControl != true)
        closeSockets()
        exit(exitStatus)
    }

    private func closeSockets() {
        // Sockets that another master still serves are its own affair.
        let areOurs = successor == nil && predecessor?.isAlive != true
        for socket in openSockets {
            if areOurs, socket.hasFileOfOurs { socket.unlink(log: log) }
            socket.close()
        }
        openSockets = []
    }
}
