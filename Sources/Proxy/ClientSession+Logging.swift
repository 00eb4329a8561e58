import Glibc
import Observability

// Lines of the log, with the context of the session.

extension ClientSession {
    func note(_ level: LogLevel, _ text: StaticString, errno: CInt = 0) {
        log.write(level, connection: record.number, errno: errno, { $0.append(text) }) {
            self.record.appendContext(to: &$0)
        }
    }

    /// A line whose text quotes bytes of a peer, escaped.
    func note(_ level: LogLevel, _ text: StaticString, quoting bytes: [UInt8]) {
        log.write(
            level, connection: record.number,
            {
                $0.append(text)
                $0.append("\"")
                $0.append(escaped: bytes)
                $0.append("\"")
            }
        ) { self.record.appendContext(to: &$0) }
    }

    func debug(_ text: StaticString) {
        guard log.admits(.debug) else { return }
        log.write(.debug, connection: record.number, { $0.append(text) })
    }

    func debug(_ text: StaticString, _ number: Int) {
        guard log.admits(.debug) else { return }
        log.write(
            .debug, connection: record.number,
            {
                $0.append(text)
                $0.append(number)
            })
    }
}
