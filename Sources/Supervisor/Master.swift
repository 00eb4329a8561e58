import EventLoop
import Glibc
import Observability
import Platform

/// The master process: starts workers, keeps as many alive as the configuration says, replaces them at a reload, and
/// ends when it is told to and the last one is gone.
///
/// Signals and messages only leave notes while the loop turns; ``act()`` does what they ask between turns, in a fixed
/// order. So a fork never happens deep inside the loop, whose child can then drop all that is the master's.
final class Master {
    /// What was asked for and not done yet.
    struct Wishes {
        var reap = false
        var terminate = false
        var quit = false
        var reconfigure = false
        var reopen = false
        var stopAccepting = false
        /// A period of the escalation is over.
        var escalate = false
        /// It is time to look at the helpers' files.
        var lookAtFiles = false
        /// The new workers took too long.
        var abandonReload = false
        /// Children to be started after a pause.
        var respawns: [(kind: Child.Kind, index: Int, generation: Generation)] = []
    }

    let loader: GenerationLoader
    let title: ProcessTitle
    let isDaemon: Bool
    let serial: SharedCounter
    /// The master whose sockets these were, if it was our parent at start.
    let predecessor: CInt?
    var current: Generation
    /// Loaded, with workers that have not all said that they accept.
    var pending: Generation?
    /// All that is open, of the current configuration and of the pending one.
    var openSockets: [ListeningSocket]
    var children: [CInt: Child] = [:]
    var lastChildSerial: UInt32 = 0
    var wishes = Wishes()
    var crashes = CrashHistory()
    var hasQuit = false
    var isWatchingFiles = false
    /// Milliseconds of the running period; nil while nobody asked for the end.
    var escalationPeriod: Int?
    var reloadDeadline: TimerHandle?
    var loop: EventLoop?
    private var signals: SignalSource?

    init(
        _ loader: GenerationLoader, _ generation: Generation, title: ProcessTitle, isDaemon: Bool,
        predecessor: CInt?, serial: SharedCounter
    ) {
        self.loader = loader
        self.title = title
        self.isDaemon = isDaemon
        self.serial = serial
        self.predecessor = predecessor
        current = generation
        openSockets = generation.sockets.sockets
        generation.service.tookForce()
    }

    var log: Log { (pending ?? current).log }

    func run() -> Never {
        do throws(SystemError) {
            let loop = try EventLoop()
            self.loop = loop
            current.logs.environment.useTimers(of: loop)
            signals = try SignalSource(loop) { [unowned self] signal in receive(signal) }
        } catch {
            log.write(.emergency, errno: error.errno, "\(error.call)() failed")
            exit(1)
        }
        startChildren(of: current)
        while true {
            loop?.turn()
            act()
        }
    }

    private func receive(_ signal: Signals.Received) {
        let action = SignalAction(signal.number, inMasterOfDaemon: isDaemon)
        log.write(.notice, signal.logText(action))
        switch action {
        case .reap: wishes.reap = true
        case .terminate: wishes.terminate = true
        case .quit: wishes.quit = true
        case .reconfigure: wishes.reconfigure = true
        case .reopen: wishes.reopen = true
        case .stopAccepting: wishes.stopAccepting = true
        // Binary upgrade: issue "Never lands".
        case .changeBinary, .ignore, .none: break
        }
    }

    /// Does what was asked for, in the order of process-model.md 4.
    private func act() {
        if take(\.reap) { reap() }
        if wishes.terminate || wishes.quit, children.isEmpty { finish() }
        if wishes.terminate { return terminate() }
        if wishes.quit { return quit() }
        if take(\.abandonReload), pending != nil { abortReload("not all new workers accepted in time") }
        if pending == nil, take(\.reconfigure) { reload() }
        respawnWaiting()
        if take(\.reopen) { reopenLogs() }
        if take(\.stopAccepting) { tellWorkersToQuit { _ in true } }
        if take(\.lookAtFiles) { lookAtFiles() }
    }

    private func take(_ wish: WritableKeyPath<Wishes, Bool>) -> Bool {
        defer { wishes[keyPath: wish] = false }
        return wishes[keyPath: wish]
    }

    /// In a child: lets go of all that is the master's and not of this generation.
    func becomeChild(of generation: Generation, keepsSockets: Bool) {
        for child in children.values { child.abandon() }
        children = [:]
        signals = nil
        loop = nil
        let kept = keepsSockets ? generation.sockets.sockets.map(\.descriptor) : []
        for socket in openSockets where !kept.contains(socket.descriptor) { socket.close() }
        openSockets = []
        wishes = Wishes()
        pending = nil
        current = generation
    }
}
