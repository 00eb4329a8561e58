import EventLoop
import Glibc
import Platform

/// One end of a message socket in a loop. What cannot be sent at once waits, with its descriptor, until it can.
final class Channel: EventSource {
    private struct Waiting {
        let message: [UInt8]
        /// A copy of our own; -1 for none.
        let descriptor: CInt
    }

    let socket: CInt
    // Outlives it, and holds it: an owning reference would be a circle.
    private unowned let loop: EventLoop
    private var registration = Registration.none
    private var waiting: [Waiting] = []
    private let receive: ([UInt8], CInt) -> Void
    private let ended: () -> Void

    /// - Parameters:
    ///   - socket: Owned from now on.
    ///   - receive: Hears each message; owns the descriptor, which is -1 where none came.
    ///   - ended: The other end was closed.
    init(
        owning socket: CInt, _ loop: EventLoop, receive: @escaping ([UInt8], CInt) -> Void,
        ended: @escaping () -> Void
    ) throws(SystemError) {
        self.socket = socket
        self.loop = loop
        self.receive = receive
        self.ended = ended
        registration = try loop.add(socket, .input, self)
    }

    /// Takes it out of the loop and closes it.
    func close() {
        loop.remove(registration, socket)
        abandon()
    }

    /// Closes it without a word to the loop: in a child, whose loop is still the parent's.
    func abandon() {
        for entry in waiting where entry.descriptor >= 0 { _ = Glibc.close(entry.descriptor) }
        waiting = []
        _ = Glibc.close(socket)
    }

    func send(_ message: [UInt8], descriptor: CInt = -1) {
        if waiting.isEmpty {
            switch MessageSocket.send(message, descriptor: descriptor, to: socket) {
            case .bytes, .failed: return
            case .wouldBlock: break
            }
        }
        waiting.append(Waiting(message: message, descriptor: descriptor < 0 ? -1 : dup(descriptor)))
        try? loop.modify(registration, socket, [.input, .output])
    }

    func ready(_ events: Events) {
        if events.canWrite { flush() }
        guard events.canRead else { return }
        while true {
            switch MessageSocket.receive(from: socket) {
            case .message(let bytes, let descriptor): receive(bytes, descriptor)
            case .wouldBlock: return
            case .endOfStream, .failed:
                // Heard once: a socket at its end would wake the loop for ever.
                loop.remove(registration, socket)
                registration = .none
                ended()
                return
            }
        }
    }

    private func flush() {
        while let first = waiting.first {
            if case .wouldBlock = MessageSocket.send(first.message, descriptor: first.descriptor, to: socket) { return }
            if first.descriptor >= 0 { _ = Glibc.close(first.descriptor) }
            waiting.removeFirst()
        }
        try? loop.modify(registration, socket, .input)
    }
}

/// The signals of a process, as the loop hands them out.
final class SignalSource: EventSource {
    private let descriptor: FileDescriptor
    private let receive: (Signals.Received) -> Void

    init(_ loop: EventLoop, receive: @escaping (Signals.Received) -> Void) throws(SystemError) {
        descriptor = try Signals.open()
        self.receive = receive
        _ = try loop.add(descriptor.number, .input, self)
    }

    func ready(_ events: Events) {
        while let signal = Signals.read(descriptor.number) { receive(signal) }
    }
}
