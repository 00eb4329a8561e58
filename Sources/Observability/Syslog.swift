import Glibc
package import Platform

/// The parameters of `syslog:...` (logging.md 7).
package struct SyslogParameters: Hashable, Sendable {
    package var server = SocketAddress(.unix([]))
    /// The server as it was written, for messages about it.
    package var serverText = ""
    package var facility = 23
    package var tag = "apus"
    package var namesHost = true

    package init() {}

    static let facilities = [
        "kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv", "ftp", "ntp",
        "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ]
}

/// A syslog server: one datagram for each message, sent without waiting and without a second try.
final class SyslogTarget: LogTarget {
    private let parameters: SyslogParameters
    private let hostName: [UInt8]
    /// -1 until the first message, and after an error.
    private var socket: CInt = -1
    /// Where its own troubles are reported; set when the main list is known. The registry outlives its targets.
    weak var troubles: Log?
    /// It is reporting a trouble of its own: whatever comes back to it then is dropped.
    private var isReporting = false

    init(_ parameters: SyslogParameters, hostName: [UInt8]) {
        (self.parameters, self.hostName) = (parameters, hostName)
    }

    deinit { if socket >= 0 { _ = close(socket) } }

    override func write(_ line: UnsafeRawBufferPointer, _ level: LogLevel, _ environment: LogEnvironment) {
        guard !isReporting, connect() else { return }
        let datagram = header(level, environment.clock) + line.dropLast()
        switch datagram.withUnsafeBytes({ Stream.write(socket, $0) }) {
        case .bytes, .wouldBlock: break
        case .failed(let code): fail(.error, "send() failed", code)
        }
    }

    /// `<PRI>Mmm dd hh:mm:ss HOSTNAME TAG: `
    private func header(_ level: LogLevel, _ clock: WallClock) -> [UInt8] {
        var header = Array("<\(parameters.facility * 8 + level.rawValue - 1)>".utf8)
        header += clock.syslogStamp()
        header.append(0x20)
        if parameters.namesHost { header += hostName + [0x20] }
        header += Array("\(parameters.tag): ".utf8)
        return header
    }

    private func connect() -> Bool {
        if socket >= 0 { return true }
        switch DatagramSocket.connect(to: parameters.server) {
        case .success(let number):
            socket = number
            return true
        case .failure(let error):
            fail(.alert, "\(error.call)() failed", error.errno)
            return false
        }
    }

    private func fail(_ level: LogLevel, _ text: String, _ code: CInt) {
        if socket >= 0 { _ = close(socket) }
        socket = -1
        isReporting = true
        defer { isReporting = false }
        troubles?.write(level, errno: code, { $0.append(text) }) { line in
            line.append(" while logging to syslog, server: ")
            line.append(self.parameters.serverText)
        }
    }
}
