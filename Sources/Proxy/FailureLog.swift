import Glibc
import Observability
import TLS
import Transport

extension ConnectionFailure {
    /// Writes what happened on a connection, at the level its cause deserves: a client's own or its network's failure
    /// is information, the same of a server behind is an error, anything out of the ordinary an alert.
    func write(to log: Log, connection: UInt64, isClient: Bool, context: @escaping (inout LogLine) -> Void) {
        switch self {
        case .system(let error):
            let ordinary: LogLevel = isClient ? .info : .error
            log.write(
                error.isOrdinaryNetworkFailure ? ordinary : .alert, connection: connection, errno: error.errno,
                {
                    $0.append(error.call)
                    $0.append("() failed")
                }, context: context)
        case .tls(let error):
            log.write(
                error.isPeersFault ? .info : .critical, connection: connection, errno: error.systemErrno,
                {
                    if error.isPeerGoneInHandshake {
                        $0.append("peer closed connection in SSL handshake")
                        return
                    }
                    $0.append(error.call)
                    $0.append("() failed")
                    guard !error.text.isEmpty else { return }
                    $0.append(" ")
                    $0.append(error.text)
                }, context: context)
        }
    }
}
