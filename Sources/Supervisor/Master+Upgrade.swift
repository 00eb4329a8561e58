import CLinux
import EventLoop
import Glibc
import Observability
import Platform

// A new binary is started beside this one, with the same listening sockets (process-model.md 8). The pid file tells who
// is who: `PATH` is the newest master, `PATH.oldbin` the one before it, `PATH.oldbin.PID` those that are older still.
// Each master renames and removes only the file that holds its own number.
extension Master {
    /// How long a new binary may take until all its workers accept.
    private static var timeToServe: Duration { .seconds(30) }
    /// How long the new one must go on serving until this one gives up its sockets, and with them the way back.
    private static var probation: Duration { .seconds(10) }
    private static var timeToMakeRoom: Duration { .seconds(2) }
    private static var timeToLookAgain: Duration { .seconds(1) }

    var canChangeBinary: Bool { successor == nil && waitingUpgrade == nil }

    private var programName: String { loader.installation.commandLine.first ?? "" }

    // MARK: The old master

    func changeBinary(_ kind: UpgradeKind) {
        log.write(.notice, "changing binary")
        guard let link = predecessor?.link, predecessor?.isAlive == true, pidPath(.old).number == predecessor?.process
        else { return startNewBinary(kind) }
        waitingUpgrade = kind
        link.send(LinkMessage(.makeRoom).bytes)
        roomDeadline = loop?.schedule(after: Self.timeToMakeRoom) { [unowned self] in wishes.room = false }
    }

    /// The master before us has given the name `.oldbin` away, or has not.
    func hearOfRoom(_ isMade: Bool) {
        loop?.cancel(&roomDeadline)
        guard let kind = waitingUpgrade else { return }
        waitingUpgrade = nil
        guard isMade else {
            log.write(.alert, "the old master \(predecessor?.process ?? 0) keeps \"\(pidPath(.old).path)\"")
            return upgradeFailed(kind, "an older master is in the way")
        }
        startNewBinary(kind)
    }

    private func startNewBinary(_ kind: UpgradeKind) {
        guard movePIDFile(to: .old) else { return upgradeFailed(kind, "the pid file cannot be renamed") }
        guard let process = spawnNewBinary(kind) else {
            movePIDFile(to: .own)
            return upgradeFailed(kind, "no process can be started")
        }
        log.write(.notice, "start new binary process \(process)")
        guard kind == .whole else { return }
        successor?.deadline = loop?.schedule(after: Self.timeToServe) { [unowned self] in
            endSuccessor("it did not serve within \(Self.timeToServe.components.seconds) s")
        }
    }

    private func spawnNewBinary(_ kind: UpgradeKind) -> CInt? {
        guard let loop else { return nil }
        do throws(SystemError) {
            let ends = try MessageSocket.pair()
            let ours = FileDescriptor(owning: ends.0)
            let theirs = FileDescriptor(owning: ends.1)
            let handed = handedState(link: theirs.number)
            let state = try handed.write()
            switch try Process.fork() {
            case .child: executeNewBinary(handed, state.number)
            case .parent(let process):
                let link = try Channel(owning: ours.release(), loop) { [unowned self] bytes, descriptor in
                    if descriptor >= 0 { _ = close(descriptor) }
                    if let message = LinkMessage(bytes) { hearSuccessor(message.kind) }
                } ended: {
                    // Its end is told by SIGCHLD.
                }
                successor = Successor(process: process, link: link, kind: kind)
                return process
            }
        } catch {
            log.write(.alert, errno: error.errno, "\(error.call)() failed while spawning \"new binary process\"")
            return nil
        }
    }

    private func handedState(link: CInt) -> HandedState {
        var state = HandedState()
        state.link = link
        state.counter = serial.descriptor
        state.zones = loader.zones
        state.control = control.map { ($0.descriptor, $0.path) }
        for socket in openSockets where socket.isActivated { state.activated[socket.descriptor] = socket.name }
        return state
    }

    /// In the child: becomes the new binary, by the path this one was started with.
    private func executeNewBinary(_ handed: HandedState, _ state: CInt) -> Never {
        let log = log
        let sockets = openSockets.map(\.descriptor)
        for descriptor in sockets + handed.descriptors + [state] where descriptor >= 0 {
            _ = linux_set_cloexec(descriptor, 0)
        }
        var variables = current.environment()
        for name in ServiceManager.passedOn {
            if let value = Process.environmentValue(name) { variables.append((name, value)) }
        }
        variables.append(("APUS", sockets.map { "\($0);" }.joined()))
        variables.append((HandedState.variable, "\(state)"))
        // Room for the title, which takes the place of arguments and environment.
        variables.append(("SPARE", String(repeating: "X", count: 300)))
        let failure = Process.execute(programName, loader.installation.commandLine, variables)
        log.write(
            .alert, errno: failure.errno, "execve() failed while executing new binary process \"\(programName)\"")
        Glibc._exit(1)
    }

    private func hearSuccessor(_ message: LinkMessage.Kind) {
        guard let successor else { return }
        switch message {
        case .serving:
            successor.isServing = true
            control?.listen(false)
            loop?.cancel(&successor.deadline)
            guard successor.kind == .whole else { return }
            log.write(.notice, "new binary process \(successor.process) serves, this one stops accepting")
            wishes.stopAccepting = true
            answerUpgrade(nil)
            successor.deadline = loop?.schedule(after: Self.probation) { [unowned self] in wishes.quit = true }
        case .makeRoom: successor.link.send(LinkMessage(movePIDFile(to: .older) ? .roomMade : .noRoom).bytes)
        case .roomNotNeeded: movePIDFile(to: .old)
        case .roomMade, .noRoom: break
        }
    }

    private func endSuccessor(_ reason: String) {
        guard let successor, successor.reasonOfEnd == nil else { return }
        successor.reasonOfEnd = reason
        kill(successor.process, SIGTERM)
        successor.deadline = loop?.schedule(after: .seconds(5)) { kill(successor.process, SIGKILL) }
    }

    /// It is gone: things are again as they were before.
    func successorEnded(_ ending: Process.Ending) {
        guard let ended = successor else { return }
        loop?.cancel(&ended.deadline)
        ended.link.close()
        successor = nil
        // What we end, its workers may still hold: they have no master any more and end by themselves.
        if hasQuit || wishes.terminate { return }
        if !movePIDFile(to: .own) {
            log.write(
                .alert,
                errno: errno,
                "rename() \(pidPath(.old).path) back to \(pidPath(.own).path) failed after the new binary "
                    + "process \"\(programName)\" exited")
        }
        predecessor?.link?.send(LinkMessage(.roomNotNeeded).bytes)
        control?.listen(true)
        wishes.stopAccepting = false
        if hasStoppedAccepting {
            hasStoppedAccepting = false
            startChildren(of: current)
        }
        upgradeFailed(ended.kind, ended.reasonOfEnd ?? "the new binary process \(ending.phrase)")
    }

    private func upgradeFailed(_ kind: UpgradeKind, _ reason: String) {
        guard kind == .whole else { return }
        log.write(.emergency, "upgrade failed, this binary goes on: \(reason)")
        answerUpgrade(reason)
    }

    // MARK: The new master

    /// Listens to the master that has started us.
    func listenToPredecessor(_ link: CInt) {
        guard let loop, let predecessor else { return }
        do throws(SystemError) {
            predecessor.link = try Channel(owning: link, loop) { [unowned self] bytes, descriptor in
                if descriptor >= 0 { _ = close(descriptor) }
                switch LinkMessage(bytes)?.kind {
                case .roomMade: wishes.room = true
                case .noRoom: wishes.room = false
                case .serving, .makeRoom, .roomNotNeeded, nil: break
                }
            } ended: { [unowned self] in
                wishes.predecessorGone = true
            }
        } catch {
            log.write(.alert, errno: error.errno, "\(error.call)() failed")
        }
    }

    /// Waits for the end of a master that tells us nothing (nginx): looking now and then is enough for what follows.
    func watchPredecessor() {
        guard let predecessor else { return }
        guard predecessor.isAlive else { return wishes.predecessorGone = true }
        _ = loop?.schedule(after: Self.timeToLookAgain) { [unowned self] in watchPredecessor() }
    }

    /// The old master has ended: what it left to us can go.
    func predecessorEnded() {
        predecessor?.link?.close()
        predecessor?.link = nil
        if hasServed { manager.ready(statusText, isMain: true) }
        for socket in abandonedSockets { socket.unlinkWithWarning(log: log) }
        abandonedSockets = []
    }

    // MARK: The pid file

    func pidPath(_ place: PIDPlace) -> PIDFile {
        let path = current.pidFile.path
        return switch place {
        case .own: current.pidFile
        case .old: PIDFile(path: path + ".oldbin")
        case .older: PIDFile(path: path + ".oldbin.\(getpid())")
        }
    }

    /// - Returns: Whether it is there now.
    @discardableResult
    func movePIDFile(to place: PIDPlace) -> Bool {
        let (from, to) = (pidPath(pidPlace), pidPath(place))
        guard pidPlace != place else { return true }
        if let problem = from.move(to: to) {
            if place != .own {
                log.write(
                    .alert,
                    "rename() \(from.path) to \(to.path) failed before executing new binary process \"\(programName)\" "
                        + problem)
            }
            return false
        }
        pidPlace = place
        return true
    }
}

/// Where the file with this master's number is.
enum PIDPlace: Equatable { case own, old, older }
