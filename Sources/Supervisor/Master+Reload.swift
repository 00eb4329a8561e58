import Config
import Glibc
import Observability

// A reload is over when every new worker has said that it accepts: only then are the old ones told to quit. Until then
// nothing that serves is touched, and any trouble leaves things as they were.
extension Master {
    static var timeToAccept: Duration { .seconds(30) }

    /// Loads the configuration anew, with names that its rehearsal has resolved. A failure is logged and changes nothing.
    func reload(_ names: NameTable) {
        guard let generation = load(names) else { return }
        pending = generation
        for socket in generation.sockets.opened { openSockets.append(socket) }
        reloadDeadline = loop?.schedule(after: Self.timeToAccept) { [unowned self] in wishes.abandonReload = true }
        guard startChildren(of: generation) else { return abortReload("not all processes could be started") }
        completeReloadIfReady()
    }

    private func load(_ names: NameTable) -> Generation? {
        do throws(ConfigError) {
            let configuration = try loader.read(log: current.log, names: names)
            return try loader.open(configuration, after: current, sockets: openSockets, log: current.log)
        } catch {
            loadingFailed(error)
            return nil
        }
    }

    func loadingFailed(_ error: ConfigError) {
        loader.report(error)
        answerReload(error.message)
        reloadFailure = error.message
        manager.ready(statusText, isMain: false)
    }

    /// The control socket goes to where the configuration has it now.
    private func moveControl() {
        if let problem = openControl() { log.write(.emergency, "\(problem): there is no control socket") }
        control?.listen(true)
    }

    func completeReloadIfReady() {
        guard let pending else { return }
        let workers = children.values.filter { $0.kind == .worker && $0.generation === pending }
        guard workers.count >= pending.workerCount, workers.allSatisfy(\.isAccepting) else { return }
        endWaiting()
        let old = current
        current = pending
        self.pending = nil
        current.service.tookForce()
        closeUnwantedSockets()
        if old.pidFile.path != current.pidFile.path { old.pidFile.remove(log: log) }
        current.logs.redirectStandardError()
        moveControl()
        tellWorkersToQuit { $0.generation !== self.current }
        answerReload(nil)
        reloadFailure = nil
        manager.ready(statusText, isMain: false)
        retireHelpers()
    }

    /// HUP while a new binary runs: this master serves again, with the configuration it has (process-model.md 8.4).
    func restart() {
        wishes.stopAccepting = false
        manager.reloading()
        defer { manager.ready(statusText, isMain: false) }
        guard hasStoppedAccepting else { return }
        hasStoppedAccepting = false
        startChildren(of: current)
    }

    func stopAccepting() {
        hasStoppedAccepting = true
        tellWorkersToQuit { _ in true }
    }

    /// Gives the new configuration up; those of its workers that serve already may finish what they began.
    func abortReload(_ reason: String) {
        guard let failed = pending else { return }
        endWaiting()
        log.write(.emergency, "reload failed, the old configuration stays: \(reason)")
        answerReload(reason)
        reloadFailure = reason
        manager.ready(statusText, isMain: false)
        for child in children.values where child.generation === failed && child.kind == .worker {
            child.isLeaving = true
            child.tell(ControlMessage(child.isAccepting ? .quit : .terminate))
        }
        if failed.pidFile.path != current.pidFile.path { failed.pidFile.remove(log: log) }
        pending = nil
        closeUnwantedSockets()
        retireHelpers()
    }

    private func endWaiting() {
        loop?.cancel(&reloadDeadline)
        wishes.abandonReload = false
    }

    private func closeUnwantedSockets() {
        let wanted = current.sockets.sockets
        for socket in openSockets where !wanted.contains(where: { $0 === socket }) {
            if socket.isActivated { continue }
            socket.unlinkWithWarning(log: log)
            socket.close()
        }
        // The service manager holds its sockets anyway: closed ones could not be had again.
        openSockets =
            wanted
            + openSockets.filter { socket in
                socket.isActivated && !wanted.contains { $0 === socket }
            }
    }

    func tellWorkersToQuit(_ isMeant: (Child) -> Bool) {
        for child in children.values where child.kind == .worker && !child.isLeaving && isMeant(child) {
            child.isLeaving = true
            child.tell(ControlMessage(.quit))
        }
    }
}
