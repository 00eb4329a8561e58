import EventLoop
import Glibc
import Observability
import Platform

/// Where the master takes orders: a UNIX socket for root and its own user; a line of JSON asks, a line answers.
final class ControlSocket: EventSource {
    private static var mostClients: Int { 32 }

    let path: String
    let descriptor: CInt
    private unowned let loop: EventLoop
    private var registration = Registration.none
    private var isListening = false
    private var clients: [ObjectIdentifier: ControlClient] = [:]
    private let log: () -> Log
    private let perform: (ControlRequest, ControlClient) -> Void

    /// - Parameters:
    ///   - descriptor: Listens already; owned from now on.
    ///   - perform: Carries an order out; the client is answered then or later.
    init(
        owning descriptor: CInt, path: String, _ loop: EventLoop, log: @escaping () -> Log,
        perform: @escaping (ControlRequest, ControlClient) -> Void
    ) {
        self.descriptor = descriptor
        self.path = path
        self.loop = loop
        self.log = log
        self.perform = perform
    }

    /// Begins to take orders, or leaves them to the other master that has the socket.
    func listen(_ listens: Bool) {
        guard listens != isListening else { return }
        if listens {
            guard let added = try? loop.add(descriptor, .input, self) else { return }
            registration = added
        } else {
            loop.remove(registration, descriptor)
        }
        isListening = listens
    }

    func ready(_ events: Events) {
        while let number = LocalSocket.accept(descriptor) {
            let user = LocalSocket.peerUser(number)
            guard user == 0 || user == geteuid() else {
                log().write(.error, "control socket \"\(path)\": user \(user.map(String.init) ?? "?") is refused")
                _ = Glibc.close(number)
                continue
            }
            guard clients.count < Self.mostClients else {
                log().write(.warning, "control socket \"\(path)\": more than \(Self.mostClients) clients at a time")
                _ = Glibc.close(number)
                continue
            }
            guard
                let client = try? ControlClient(
                    owning: number, loop, receive: perform, ended: { [unowned self] in clients[$0] = nil })
            else { continue }
            clients[ObjectIdentifier(client)] = client
        }
    }

    /// Closes it and all its connections; the file stays.
    func close() {
        listen(false)
        for client in clients.values { client.close() }
        clients = [:]
        _ = Glibc.close(descriptor)
    }

    /// In a child: lets go without a word to the loop, which is the parent's.
    func abandon() {
        for client in clients.values { client.abandon() }
        clients = [:]
        _ = Glibc.close(descriptor)
    }
}

/// One connection to the control socket.
final class ControlClient: EventSource {
    private static var longestLine: Int { 4096 }
    /// How long a client may be silent that waits for nothing.
    private static var patience: Duration { .seconds(10) }

    private let descriptor: CInt
    private unowned let loop: EventLoop
    private var registration = Registration.none
    private var input: [UInt8] = []
    private var deadline: TimerHandle?
    private var isOpen = true
    /// Orders without an answer yet.
    private var pending = 0
    private let receive: (ControlRequest, ControlClient) -> Void
    private let ended: (ObjectIdentifier) -> Void

    init(
        owning descriptor: CInt, _ loop: EventLoop, receive: @escaping (ControlRequest, ControlClient) -> Void,
        ended: @escaping (ObjectIdentifier) -> Void
    ) throws(SystemError) {
        self.descriptor = descriptor
        self.loop = loop
        self.receive = receive
        self.ended = ended
        do throws(SystemError) {
            registration = try loop.add(descriptor, .input, self)
        } catch {
            _ = Glibc.close(descriptor)
            throw error
        }
        wait()
    }

    private func wait() {
        loop.cancel(&deadline)
        guard pending == 0, isOpen else { return }
        deadline = loop.schedule(after: Self.patience) { [unowned self] in end() }
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        loop.cancel(&deadline)
        loop.remove(registration, descriptor)
        _ = Glibc.close(descriptor)
    }

    func abandon() {
        isOpen = false
        _ = Glibc.close(descriptor)
    }

    private func end() {
        close()
        ended(ObjectIdentifier(self))
    }

    func ready(_ events: Events) {
        var chunk = [UInt8](repeating: 0, count: Self.longestLine)
        while isOpen {
            switch chunk.withUnsafeMutableBytes({ Stream.read(descriptor, into: $0) }) {
            case .bytes(let count):
                input += chunk[..<count]
                takeLines()
                if input.count > Self.longestLine { refuseLine() }
            case .wouldBlock: return
            case .endOfStream, .failed: return end()
            }
        }
    }

    private func refuseLine() {
        pending += 1
        answer(.failure("a request has at most \(Self.longestLine) bytes"))
        end()
    }

    private func takeLines() {
        while isOpen, let lineEnd = input.firstIndex(of: 0x0A) {
            let line = Array(input[..<lineEnd])
            input.removeFirst(lineEnd + 1)
            guard line.count <= Self.longestLine else { return refuseLine() }
            pending += 1
            wait()
            do throws(ControlRequest.Failure) {
                receive(try ControlRequest(line), self)
            } catch {
                answer(.failure(error.message))
            }
        }
    }

    /// Answers one order. Whoever does not read its answers is not waited for.
    func answer(_ answer: ControlAnswer) {
        pending -= 1
        guard isOpen else { return }
        let line = Array((answer.text + "\n").utf8)
        if case .bytes(line.count) = line.withUnsafeBytes({ Stream.write(descriptor, $0) }) { return wait() }
        end()
    }
}
