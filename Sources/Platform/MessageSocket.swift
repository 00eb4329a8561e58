import CLinux
import Glibc

/// Messages between processes of the daemon over SOCK_SEQPACKET: each arrives whole, with at most one descriptor.
package enum MessageSocket {
    package enum Received {
        /// - Parameter descriptor: -1 where none came; the receiver owns it.
        case message([UInt8], descriptor: CInt)
        case wouldBlock, endOfStream, failed(CInt)
    }

    /// Two connected, non-blocking ends; the caller owns both.
    package static func pair() throws(SystemError) -> (CInt, CInt) {
        var ends: [CInt] = [-1, -1]
        guard linux_socketpair_seqpacket(&ends) == 0 else { throw .last("socketpair") }
        return (ends[0], ends[1])
    }

    /// - Parameter descriptor: A copy of it is sent along; -1 for none.
    package static func send(_ message: [UInt8], descriptor: CInt = -1, to socket: CInt) -> WriteOutcome {
        while true {
            let count = message.withUnsafeBytes {
                linux_send_with_fd(socket, $0.baseAddress, UInt($0.count), descriptor)
            }
            if count >= 0 { return .bytes(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let code: return .failed(code)
            }
        }
    }

    /// - Parameter limit: The longest message; a longer one is cut.
    package static func receive(from socket: CInt, limit: Int = 512) -> Received {
        var bytes = [UInt8](repeating: 0, count: limit)
        var descriptor: CInt = -1
        while true {
            let count = bytes.withUnsafeMutableBytes {
                linux_receive_with_fd(socket, $0.baseAddress, UInt($0.count), &descriptor)
            }
            if count > 0 { return .message(Array(bytes.prefix(count)), descriptor: descriptor) }
            if count == 0 { return .endOfStream }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let code: return .failed(code)
            }
        }
    }
}

/// What the master tells a helper process: one kind byte, one number in little-endian order, often a descriptor.
package struct HelperMessage: Equatable, Sendable {
    package enum Kind: UInt8, Sendable {
        /// A worker's socket comes along; the number names the worker.
        case workerAppeared = 1
        /// The worker of this number has ended.
        case workerGone = 2
        /// A watched file changed; its new descriptor comes along, the number is its place in the plan.
        case fileChanged = 3
        /// A log was opened anew; its descriptor comes along, for `LogRegistry.adopt(_:file:)`.
        case logReopened = 4
    }

    package let kind: Kind
    package let number: UInt32

    package init(_ kind: Kind, _ number: UInt32) { (self.kind, self.number) = (kind, number) }

    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 5, let kind = Kind(rawValue: bytes[0]) else { return nil }
        self.kind = kind
        number = bytes[1...].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    package var bytes: [UInt8] {
        [kind.rawValue] + (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) }
    }
}
