import ApusMail
package import EventLoop
import Glibc
package import Platform

/// A worker's socket to the password helpers, shared by all its providers: sends requests, hands out answers.
///
/// Requests that have no answer yet are counted, in all and for each network of clients, so that neither a slow hash
/// nor one attacker's guesses keep the others out. Nothing here blocks.
package final class HashClient: EventSource {
    /// Why a request was not taken, or got no answer.
    enum Refusal: Error { case tooMany, tooManyFromNetwork, timedOut, noHelper, unavailable }

    package static let mostOutstanding = 512
    package static let mostOfOneNetwork = mostOutstanding / 8
    package static let patience = Duration.seconds(10)

    private struct Outstanding {
        let network: [UInt8]
        let timer: TimerHandle
        let answer: (Result<HashAnswer.Decision, Refusal>) -> Void
    }

    let loop: EventLoop
    private let socket: FileDescriptor
    private var registration = Registration.none
    private var isOpen = true
    /// Random at the start: no answer to a former worker of this socket, if there were one, fits a request.
    private var nextID = UInt64.random(in: .min ... .max)
    private var outstanding: [UInt64: Outstanding] = [:]
    private var ofNetwork: [[UInt8]: Int] = [:]
    /// Requests that the socket had no room for, in their order.
    private var waiting: [(id: UInt64, datagram: Secret)] = []
    /// The files with entries for digests.
    private var plainFiles: Set<UInt32> = []
    private let space = UnsafeMutableRawBufferPointer.allocate(byteCount: HashAnswer.longest + 1, alignment: 16)

    /// - Parameter socket: The worker's end (SOCK_SEQPACKET, non-blocking); owned from now on.
    package init(owning socket: CInt, loop: EventLoop) throws(SystemError) {
        self.socket = FileDescriptor(owning: socket)
        self.loop = loop
        registration = try loop.add(socket, [.input, .output, .edgeTriggered], self)
    }

    deinit { space.deallocate() }

    /// Ends it; everything outstanding fails. The loop holds on to the client until then.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        loop.remove(registration, socket.number)
        for id in Array(outstanding.keys) { settle(id, .failure(.noHelper)) }
        waiting = []
    }

    func hasPlainEntries(_ file: UInt32) -> Bool { plainFiles.contains(file) }

    // MARK: Requests

    /// - Parameter answer: Called once, never from inside this call; not after ``forget(_:)``.
    /// - Returns: The request's id, for ``forget(_:)``.
    func ask(
        _ request: HashRequest, answer: @escaping (Result<HashAnswer.Decision, Refusal>) -> Void
    ) throws(Refusal) -> UInt64 {
        guard isOpen else { throw .noHelper }
        let network = ClientNetwork.portion(request.clientAddress)
        guard outstanding.count < Self.mostOutstanding else { throw .tooMany }
        guard ofNetwork[network, default: 0] < Self.mostOfOneNetwork else { throw .tooManyFromNetwork }
        let id = nextID
        nextID &+= 1
        var request = request
        request.id = id
        request.deadline = loop.now &+ Self.patience.milliseconds
        guard let datagram = request.datagram else { throw .unavailable }
        ofNetwork[network, default: 0] += 1
        let timer = loop.schedule(after: Self.patience) { [weak self] in self?.settle(id, .failure(.timedOut)) }
        outstanding[id] = Outstanding(network: network, timer: timer, answer: answer)
        waiting.append((id, datagram))
        sendWaiting()
        return id
    }

    /// Nobody waits for the answer any more. Its share stays taken until the helpers had it: an attacker who hangs up
    /// early has cost a hash all the same.
    func forget(_ id: UInt64) {
        guard let request = outstanding[id] else { return }
        if let index = waiting.firstIndex(where: { $0.id == id }) {
            // Not even sent.
            waiting.remove(at: index)
            release(id)
        } else {
            outstanding[id] = Outstanding(network: request.network, timer: request.timer) { _ in }
        }
    }

    private func sendWaiting() {
        var sent = 0
        defer { waiting.removeFirst(sent) }
        for request in waiting {
            let outcome = request.datagram.withBytes { bytes in
                bytes.withUnsafeBytes { Stream.write(socket.number, $0) }
            }
            switch outcome {
            case .bytes: sent += 1
            case .wouldBlock: return
            case .failed:
                // The helpers are gone; the deadline tells the session.
                return
            }
        }
    }

    private func release(_ id: UInt64) {
        guard let request = outstanding.removeValue(forKey: id) else { return }
        loop.cancel(request.timer)
        let left = ofNetwork[request.network, default: 1] - 1
        ofNetwork[request.network] = left > 0 ? left : nil
    }

    private func settle(_ id: UInt64, _ result: Result<HashAnswer.Decision, Refusal>) {
        guard let request = outstanding[id] else { return }
        waiting.removeAll { $0.id == id }
        release(id)
        request.answer(result)
    }

    // MARK: Answers

    package func ready(_ events: Events) {
        if events.canWrite { sendWaiting() }
        while isOpen {
            switch Stream.read(socket.number, into: space) {
            case .wouldBlock: return
            case .endOfStream, .failed: return close()
            case .bytes(let count):
                let received = UnsafeMutableRawBufferPointer(rebasing: space[..<count])
                let answer = HashAnswer(received.assumingMemoryBound(to: UInt8.self).span)
                wipe(received)
                if let answer { take(answer) }
            }
        }
    }

    private func take(_ answer: HashAnswer) {
        switch answer.decision {
        case .fileRead:
            guard let file = UInt32(exactly: answer.id) else { return }
            if answer.hasPlainEntries { plainFiles.insert(file) } else { plainFiles.remove(file) }
        case .unavailable: settle(answer.id, .failure(.unavailable))
        case .refused, .accepted: settle(answer.id, .success(answer.decision))
        }
    }
}
