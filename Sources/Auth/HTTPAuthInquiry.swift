import ApusMail
import EventLoop
import Glibc
import Platform
import Transport

/// One request to an authentication service on its way: connecting, sending, reading the answer.
final class HTTPAuthInquiry: AuthInquiry, ConnectionDelegate {
    private enum State { case connecting, exchanging }

    private let provider: HTTPAuthProvider
    private let request: Secret
    private let method: AuthenticationMethod
    private var response = HTTPAuthResponse()
    private var state = State.connecting
    private var connection: Connection?
    private var timer: TimerHandle?
    /// nil once answered or cancelled.
    private var answer: ((Verdict) -> Void)?
    /// The connection served an earlier request, and nothing of this answer has come.
    private var mayTryAgain = false

    init(
        _ request: Secret, method: AuthenticationMethod, provider: HTTPAuthProvider,
        answer: @escaping (Verdict) -> Void
    ) {
        (self.request, self.method, self.provider, self.answer) = (request, method, provider, answer)
    }

    deinit { cancel() }

    private var loop: EventLoop { provider.pool.loop }
    private var address: SocketAddress { provider.requests.service.address }

    func begin() {
        // One deadline for everything; a second attempt does not move it.
        timer = loop.schedule(after: provider.timeout) { [weak self] in
            guard let self else { return }
            fail(provider.verdicts.failure([.text(" timed out")], errno: ETIMEDOUT))
        }
        if let kept = provider.pool.take(to: address) {
            mayTryAgain = true
            kept.delegate = self
            connection = kept
            state = .exchanging
            send(on: kept)
        } else {
            connect()
        }
    }

    func cancel() {
        answer = nil
        loop.cancel(&timer)
        // An answer may still come on it, and would be taken for the next request's.
        connection?.close()
        connection = nil
    }

    // MARK: Connecting and sending

    private func connect() {
        state = .connecting
        guard provider.pool.admits() else {
            loop.later { [weak self] in self?.fail(AuthFailure([UInt8]())) }
            return
        }
        do throws(SystemError) {
            let fresh = try Connection.connect(to: address, loop: loop)
            fresh.delegate = self
            connection = fresh
        } catch {
            let failure = connectFailure(error)
            // Never from inside `decide`.
            loop.later { [weak self] in self?.fail(failure) }
        }
    }

    private func connectFailure(_ error: SystemError) -> AuthFailure {
        let level: AuthFailure.Level = error.isOrdinaryNetworkFailure ? .error : .critical
        return AuthFailure(
            [
                .bytes(Array(error.call.description.utf8)), .text("() to "), .bytes(provider.verdicts.service),
                .text(" failed"),
            ], errno: error.errno, level: level)
    }

    private func send(on connection: Connection) {
        if case .failed(let failure) = connection.send(request) { lost(failure) }
    }

    // MARK: Readiness

    func connectionReady(_ connection: Connection) {
        guard connection === self.connection else { return }
        switch state {
        case .connecting:
            guard connection.isWritable || connection.seemsClosed else { return }
            if let error = connection.connectFailure() { return fail(connectFailure(error)) }
            state = .exchanging
            send(on: connection)
            // What is there already is read now: no second edge would tell.
            if connection === self.connection { receive(from: connection) }
        case .exchanging:
            if connection.hasPendingOutput, case .failed(let failure) = connection.flush() { return lost(failure) }
            receive(from: connection)
        }
    }

    private func receive(from connection: Connection) {
        let space = provider.pool.space
        while connection === self.connection, connection.isReadable {
            switch connection.receive(into: space) {
            case .wouldBlock: return
            case .bytes(let count):
                mayTryAgain = false
                let received = UnsafeMutableRawBufferPointer(rebasing: space[..<count])
                let progress = response.receive(received.assumingMemoryBound(to: UInt8.self).span)
                wipe(received)
                take(progress, of: count, from: connection)
            case .endOfStream: return lost(nil)
            case .failed(let failure): return lost(failure)
            }
        }
    }

    private func take(_ progress: HTTPAuthResponse.Progress, of count: Int, from connection: Connection) {
        switch progress {
        case .needMoreInput: break
        case .failed(let problem): fail(provider.verdicts.failure(problem))
        case .complete(let answer, let consumed):
            self.connection = nil
            release(connection, rest: answer.bodyLength.map { $0 - (count - consumed) })
            finish(provider.verdicts.verdict(on: answer, method: method))
        }
    }

    /// - Parameter rest: What is still to come of the answer; negative when more came than belongs to it.
    private func release(_ connection: Connection, rest: Int?) {
        connection.delegate = nil
        guard let rest, rest >= 0, !connection.hasPendingOutput, provider.keptConnections > 0 else {
            return connection.close()
        }
        provider.pool.keep(connection, to: address, rest: rest, limit: provider.keptConnections)
    }

    // MARK: The end

    /// The connection ended before the answer was complete; with an error, or with nil by the service's closing.
    private func lost(_ failure: ConnectionFailure?) {
        connection?.close()
        connection = nil
        if mayTryAgain {
            // A kept connection that the service closed meanwhile. Nothing of an answer was seen: this request was not
            // decided, as far as can be known.
            mayTryAgain = false
            return connect()
        }
        guard case .system(let error) = failure else {
            return fail(provider.verdicts.failure([.text(" prematurely closed connection")]))
        }
        let level: AuthFailure.Level = error.isOrdinaryNetworkFailure ? .error : .alert
        fail(
            AuthFailure(
                Array("\(error.call)() failed".utf8), errno: error.errno, level: level))
    }

    private func fail(_ failure: AuthFailure) { finish(.failed(failure)) }

    private func finish(_ verdict: Verdict) {
        let answer = self.answer
        cancel()
        answer?(verdict)
    }
}
