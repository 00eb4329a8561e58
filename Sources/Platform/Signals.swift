import CLinux
import Glibc

/// Signals as values that are read, instead of handlers that interrupt.
package enum Signals {
    /// What was read of one signal.
    package struct Received: Equatable, Sendable {
        package let number: CInt
        /// Who sent it; 0 where the kernel did.
        package let sender: CInt
        /// What sigqueue(3) sent along; 0 where it was sent otherwise.
        package let value: CInt

        package init(number: CInt, sender: CInt, value: CInt = 0) {
            (self.number, self.sender, self.value) = (number, sender, value)
        }
    }

    /// All that the processes of the daemon listen for.
    package static let handled: [CInt] = [
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGCHLD, SIGIO,
    ]

    /// Blocks the handled signals from now on, here and in all children, and ignores PIPE and SYS. What is sent after
    /// this waits until it is read.
    package static func block() {
        var set = Self.set
        _ = sigprocmask(SIG_BLOCK, &set, nil)
        linux_signal_ignore(SIGPIPE)
        linux_signal_ignore(SIGSYS)
    }

    /// As a program expects to find them that is about to be executed.
    package static func restoreDefaults() {
        var set = Self.set
        for number in handled { linux_signal_default(number) }
        linux_signal_default(SIGPIPE)
        linux_signal_default(SIGSYS)
        _ = sigprocmask(SIG_UNBLOCK, &set, nil)
    }

    /// A descriptor from which the handled signals are read.
    package static func open() throws(SystemError) -> FileDescriptor {
        var set = Self.set
        let number = linux_signalfd(-1, &set)
        guard number >= 0 else { throw .last("signalfd") }
        return FileDescriptor(owning: number)
    }

    /// Reads one signal; nil when none waits.
    package static func read(_ descriptor: CInt) -> Received? {
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard Glibc.read(descriptor, &information, size) == size else { return nil }
        let isFromProcess = information.ssi_code <= 0 || information.ssi_signo == UInt32(SIGCHLD)
        return Received(
            number: CInt(information.ssi_signo),
            sender: isFromProcess ? CInt(truncatingIfNeeded: information.ssi_pid) : 0,
            value: information.ssi_code == linux_si_queue ? information.ssi_int : 0)
    }

    /// `SIGHUP` and so on.
    package static func name(_ number: CInt) -> String {
        switch number {
        case SIGHUP: "SIGHUP"
        case SIGINT: "SIGINT"
        case SIGQUIT: "SIGQUIT"
        case SIGTERM: "SIGTERM"
        case SIGUSR1: "SIGUSR1"
        case SIGUSR2: "SIGUSR2"
        case SIGWINCH: "SIGWINCH"
        case SIGALRM: "SIGALRM"
        case SIGCHLD: "SIGCHLD"
        case SIGIO: "SIGIO"
        default: "SIG\(number)"
        }
    }

    private static var set: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in handled { sigaddset(&set, number) }
        return set
    }
}
