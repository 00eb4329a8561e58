import Config
import Glibc
import Observability
import Platform

/// The listening sockets of one configuration, in the order of its requests.
struct ListeningSockets {
    private static var rounds: Int { 5 }
    private static var pauseMicroseconds: UInt32 { 500_000 }

    private(set) var sockets: [ListeningSocket] = []
    /// Those that no earlier configuration had.
    private(set) var opened: [ListeningSocket] = []

    /// Takes over from `old` what serves a request, and opens the rest. An address in use is tried again for a while.
    ///
    /// - Parameter isTest: Nothing is to be served: an address in use is no error, and options are left alone.
    /// - Throws: When one cannot be opened; what was opened is closed again.
    init(
        _ requests: [ListenerRequest], reusing old: [ListeningSocket], isTest: Bool, log: Log
    ) throws(ConfigError) {
        var found: [ListeningSocket?] = requests.map { request in old.first { $0.serves(request) } }
        for round in 1...Self.rounds {
            let isComplete = try openMissing(requests, &found, old: old, isTest: isTest, log: log)
            if isComplete { break }
            log.write(.notice, "try again to bind() after 500ms")
            usleep(Self.pauseMicroseconds)
            if round == Self.rounds {
                abandon(log: log)
                throw ConfigError("still could not bind()")
            }
        }
        guard !isTest else { return }
        for (request, socket) in zip(requests, found) { socket?.apply(request, log: log) }
        sockets = found.compactMap { $0 }
    }

    private mutating func openMissing(
        _ requests: [ListenerRequest], _ found: inout [ListeningSocket?], old: [ListeningSocket], isTest: Bool, log: Log
    ) throws(ConfigError) -> Bool {
        var isComplete = true
        for (index, request) in requests.enumerated() where found[index] == nil {
            let sharesPort = old.contains { $0.address == request.address }
            do throws(ListeningFailure) {
                let socket = try ListeningSocket(opening: request, sharesPort: sharesPort, log: log)
                found[index] = socket
                opened.append(socket)
            } catch {
                if error.isInUse, isTest { continue }
                guard error.isInUse else {
                    abandon(log: log)
                    throw error.configError
                }
                log.write(.emergency, errno: error.errno, error.text)
                isComplete = false
            }
        }
        return isComplete
    }

    /// Closes what was opened, as if nothing had been.
    mutating func abandon(log: Log) {
        for socket in opened {
            socket.close()
            if socket.isUnix { socket.unlink(log: log) }
        }
        opened = []
    }
}
