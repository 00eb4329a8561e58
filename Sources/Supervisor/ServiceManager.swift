import CLinux
import Glibc
import Observability
import Platform

/// The service manager's side of the house: what systemd is told, and what it passes on (systemd.md).
///
/// Its protocol is one datagram of `KEY=VALUE` lines to a socket whose name stands in the environment (sd_notify(3)).
/// That is spoken here rather than through libsystemd, which would bring half a dozen libraries into a process of root.
final class ServiceManager {
    /// What a new binary needs of the environment, whatever `env` says.
    static let passedOn = ["NOTIFY_SOCKET", "WATCHDOG_USEC"]

    /// Sockets it has passed on (LISTEN_FDS, sd_listen_fds(3)), once: the variables are gone afterwards.
    static func takeSockets(log: Log) -> [ListeningSocket] { [] }
}
