import Glibc
import Platform

/// What a signal asks for (process-model.md 4.1).
enum SignalAction: Equatable {
    case terminate, quit, reconfigure, reopen, changeBinary, stopAccepting, reap
    /// Nothing, and that is said.
    case ignore
    /// Nothing, without a word about it.
    case none

    /// In a master or a single process.
    init(_ signal: CInt, inMasterOfDaemon isDaemon: Bool, canChangeBinary: Bool = false) {
        switch signal {
        case SIGTERM, SIGINT: self = .terminate
        case SIGQUIT: self = .quit
        case SIGHUP: self = .reconfigure
        case SIGUSR1: self = .reopen
        case SIGUSR2: self = canChangeBinary ? .changeBinary : .ignore
        case SIGWINCH: self = isDaemon ? .stopAccepting : .none
        case SIGCHLD: self = .reap
        default: self = .none
        }
    }

    init(_ signal: CInt, inWorkerOfDaemon isDaemon: Bool) {
        switch signal {
        case SIGTERM, SIGINT: self = .terminate
        case SIGQUIT: self = .quit
        case SIGWINCH: self = isDaemon ? .quit : .none
        case SIGUSR1: self = .reopen
        case SIGHUP, SIGUSR2, SIGIO: self = .ignore
        default: self = .none
        }
    }

    /// What the log line ends with.
    var suffix: String {
        switch self {
        case .terminate: ", exiting"
        case .quit: ", shutting down"
        case .reconfigure: ", reconfiguring"
        case .reopen: ", reopening logs"
        case .changeBinary: ", changing binary"
        case .stopAccepting: ", stop accepting connections"
        case .ignore: ", ignoring"
        case .reap, .none: ""
        }
    }
}

extension Signals.Received {
    /// `signal 1 (SIGHUP) received from 4682, reconfiguring`
    func logText(_ action: SignalAction) -> String {
        let origin = sender == 0 ? "" : " from \(sender)"
        return "signal \(number) (\(Signals.name(number))) received\(origin)\(action.suffix)"
    }
}
