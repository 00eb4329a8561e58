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
        var changeBinary: UpgradeKind?
        /// What the old master said about the name `.oldbin`.
        var room: Bool?
        var predecessorGone = false
        /// A period of the escalation is over.
        var escalate = false
        /// It is time to look at the helpers' files.
        var lookAtFiles = false
        /// What came of a reload's rehearsal.
        var rehearsed: Rehearsal.Outcome?
        /// The new workers took too long.
        var abandonReload = false
        /// It is time to look whether the workers live.
        var lookAtWorkers = false
        /// Children to be started after a pause.
        var respawns: [(kind: Child.Kind, index: Int, generation: Generation)] = []
    }

    let loader: GenerationLoader
    let title: ProcessTitle
    let isDaemon: Bool
    let serial: SharedCounter
    /// The master whose sockets these were, if it was our parent at start.
    let predecessor: Predecessor?
    private let link: CInt
    var rehearsal: Rehearsal?
    var rehearsalDeadline: TimerHandle?
    /// Processes of rehearsals that wait to be reaped.
    var endedRehearsals: Set<CInt> = []
    /// The new binary that this master has started.
    var successor: Successor?
    /// An upgrade that waits for the master before us.
    var waitingUpgrade: UpgradeKind?
    var roomDeadline: TimerHandle?
    var pidPlace = PIDPlace.own
    /// UNIX sockets we were handed and do not want; their files go when the master that made them is gone.
    var abandonedSockets: [ListeningSocket]
    /// WINCH: the workers were told to quit, the master keeps the sockets.
    var hasStoppedAccepting = false
    /// All workers of a configuration have said once that they accept.
    var hasServed = false
    var startDeadline: TimerHandle?
    /// The command that has made this daemon, as long as it waits.
    var starter: DaemonStarter?
    var exitStatus: CInt = 0
    let manager: ServiceManager
    var control: ControlSocket?
    /// The one of the master before, until it is used.
    var handedControl: (descriptor: CInt, path: String)?
    var waitingForReload: [ControlClient] = []
    var waitingForThisReload: [ControlClient] = []
    var waitingForUpgrade: [ControlClient] = []
    var binaryTest: BinaryTest?
    var hasToldEnd = false
    /// When the master last saw that its own loop turns.
    var lookedAt: UInt64 = 0
    /// What the service manager was last told.
    var toldStatus = ""
    /// Why the last reload failed; nil when it did not.
    var reloadFailure: String?
    /// Milliseconds of the monotonic clock.
    let begun = MonotonicClock.milliseconds
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
        inheritance: Inheritance?, spareSockets: [ListeningSocket], starter: DaemonStarter?, serial: SharedCounter
    ) {
        self.loader = loader
        self.title = title
        self.isDaemon = isDaemon
        self.serial = serial
        predecessor = inheritance.map { _ in Predecessor(process: getppid()) }
        link = inheritance?.state.link ?? -1
        abandonedSockets = inheritance?.abandoned ?? []
        manager = ServiceManager()
        handedControl = inheritance?.state.control
        self.starter = starter
        current = generation
        openSockets = generation.sockets.sockets + spareSockets
        generation.service.tookForce()
    }

    var log: Log { (pending ?? current).log }

    func run() -> Never {
        CrashReport.toStandardError("apus: [alert] master process crashed: ")
        do throws(SystemError) {
            let loop = try EventLoop()
            self.loop = loop
            current.logs.environment.useTimers(of: loop)
            signals = try SignalSource(loop) { [unowned self] signal in receive(signal) }
        } catch {
            log.write(.emergency, errno: error.errno, "\(error.call)() failed")
            exit(1)
        }
        if link >= 0 { listenToPredecessor(link) } else { watchPredecessor() }
        begin()
        watchWorkers()
        while true {
            act()
            loop?.turn()
        }
    }

    private func receive(_ signal: Signals.Received) {
        let action = SignalAction(signal.number, inMasterOfDaemon: isDaemon, canChangeBinary: canChangeBinary)
        // A rehearsal is no process of the operator's business.
        let isRehearsals =
            signal.number == SIGCHLD && signal.sender != 0
            && (signal.sender == rehearsal?.process || endedRehearsals.contains(signal.sender))
        if !isRehearsals { log.write(.notice, signal.logText(action)) }
        switch action {
        case .reap: wishes.reap = true
        case .terminate: wishes.terminate = true
        case .quit: wishes.quit = true
        case .reconfigure: wishes.reconfigure = true
        case .reopen: wishes.reopen = true
        case .stopAccepting: wishes.stopAccepting = true
        case .changeBinary: wishes.changeBinary = signal.value == UpgradeKind.wholeValue ? .whole : .beside
        case .ignore:
            log.write(
                .critical,
                "the changing binary signal is ignored: you should shutdown or terminate before either old or new "
                    + "binary's process")
        case .none: break
        }
    }

    /// Does what was asked for, in the order of process-model.md 4.
    private func act() {
        if take(\.reap) { reap() }
        if wishes.terminate || wishes.quit, children.isEmpty { finish() }
        if wishes.terminate { return terminate() }
        if wishes.quit { return quit() }
        if take(\.abandonReload), pending != nil { abortReload("not all new workers accepted in time") }
        if take(\.predecessorGone) { predecessorEnded() }
        if let isMade = wishes.room {
            wishes.room = nil
            hearOfRoom(isMade)
        }
        if let outcome = wishes.rehearsed {
            wishes.rehearsed = nil
            rehearsalEnded(outcome)
        }
        if pending == nil, rehearsal == nil, take(\.reconfigure) { successor == nil ? rehearse() : restart() }
        respawnWaiting()
        if take(\.reopen) { reopenLogs() }
        if pending == nil, rehearsal == nil, let kind = wishes.changeBinary {
            wishes.changeBinary = nil
            changeBinary(kind)
        }
        if take(\.stopAccepting) { stopAccepting() }
        if take(\.lookAtFiles) { lookAtFiles() }
        if take(\.lookAtWorkers) { lookAtWorkers() }
    }

    private func take(_ wish: WritableKeyPath<Wishes, Bool>) -> Bool {
        defer { wishes[keyPath: wish] = false }
        return wishes[keyPath: wish]
    }

    /// In a child: lets go of all that is the master's and not of this generation.
    func becomeChild(of generation: Generation, keepsSockets: Bool) {
        for child in children.values { child.abandon() }
        children = [:]
        control?.abandon()
        control = nil
        if let handedControl { _ = close(handedControl.descriptor) }
        handedControl = nil
        binaryTest?.abandon()
        binaryTest = nil
        successor?.link.abandon()
        successor = nil
        predecessor?.link?.abandon()
        predecessor?.link = nil
        starter = nil
        rehearsal = nil
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
