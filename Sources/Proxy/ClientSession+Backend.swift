import ApusMail
import Bytes
import EventLoop
import Observability
import Platform
import Transport

// The server behind: connecting, its login dialog, and the way into the relay.

extension ClientSession {
    func connect(_ acceptance: Acceptance) {
        if let user = acceptance.user { record.login = user }
        record.authenticatedAt = worker.loop.now
        record.upstream = acceptance.server + [0x3A] + acceptance.port
        record.activity = "connecting to upstream"
        stage = .connecting
        guard let address = SocketAddress(ofServer: acceptance) else {
            return broken(Bug("a provider gives an address"))
        }
        do throws(Bug) {
            var dialog = try makeBackendDialog(acceptance)
            backendOpening = try dialog.opening()
            backendDialog = dialog
        } catch {
            return broken(error)
        }
        request = nil
        restartTimer()
        guard worker.hasRoomForConnection(log) else { return failInternally(.connectionsExhausted) }
        do throws(SystemError) {
            let backend = try Connection.connect(
                to: address, loop: worker.loop,
                speaksFirst: server.settings.upstreamProxyHeader != .off || backendOpening != nil)
            backend.delegate = self
            self.backend = backend
            _ = worker.nextNumber()
        } catch {
            connectFailed(error)
        }
    }

    private func makeBackendDialog(_ acceptance: Acceptance) throws(Bug) -> any BackendDialog {
        guard let dialog, let request else { throw Bug("a login has a client") }
        let method = request.credentials.method
        let own = method.givesPassword ? request.credentials.password : nil
        let password = acceptance.password ?? own
        replyForLog = ReplyForLog(password: password, isPasswordOfProvider: acceptance.password != nil)
        return try dialog.makeBackendDialog(
            BackendLogin(
                user: record.login, password: password, clientAddress: record.clientAddress,
                clientHostName: clientHostName ?? [], method: method))
    }

    private func connectFailed(_ error: SystemError) {
        log.write(
            error.isOrdinaryConnectFailure ? .error : .critical, connection: record.number, errno: error.errno,
            {
                $0.append(error.call)
                $0.append("() to ")
                $0.append(escaped: self.record.upstream)
                $0.append(" failed")
            }
        ) { self.record.appendContext(to: &$0) }
        failInternally(.upstreamConnect)
    }

    func backendReady() throws(Bug) {
        guard let backend else { return }
        if stage == .connecting {
            guard sendProxyHeader(to: backend) else { return }
            stage = .backendLogin
            debug("connected to upstream")
            if let opening = backendOpening.take() {
                record.activity = "sending opening to upstream"
                replyForLog.lastSent = opening
                if case .failed(let failure) = backend.send(opening) { return backendFailed(failure) }
            }
        }
        if backend.hasPendingOutput, case .failed(let failure) = backend.flush() {
            return backendFailed(failure)
        }
        while stage == .backendLogin, backend.isReadable, !backend.hasPendingOutput {
            guard readBackend(backend) else { return }
            try advanceBackend(backend)
        }
    }

    /// Reads what the server sent; false when there is nothing, or it is gone.
    private func readBackend(_ backend: Connection) -> Bool {
        let room = backendInput.room(limit: server.settings.replyLimit)
        switch backend.receive(into: room) {
        case .bytes(let count):
            record.activity = "reading response from upstream"
            backendInput.filled(count)
            debug("bytes from upstream: ", count)
            return true
        case .wouldBlock: return false
        case .endOfStream:
            record.activity = "reading response from upstream"
            note(.error, "upstream prematurely closed connection")
            failInternally(.upstreamFailed)
            return false
        case .failed(let failure):
            record.activity = "reading response from upstream"
            backendFailed(failure)
            return false
        }
    }

    func backendFailed(_ failure: ConnectionFailure) {
        failure.write(to: log, connection: record.number, isClient: false) { self.record.appendContext(to: &$0) }
        failInternally(.upstreamFailed)
    }

    private func advanceBackend(_ backend: Connection) throws(Bug) {
        // Taken out, so that it has one owner and is changed in place.
        guard var dialog = backendDialog.take() else { throw Bug("a login at the server behind has a dialog") }
        let step = try backendInput.withBytes { bytes throws(Bug) in try dialog.receive(bytes) }
        backendDialog = dialog
        switch step {
        case .needMoreInput: refuseEndlessReply()
        case .send(let secret, let activity):
            backendInput.consumeAll()
            record.activity = activity
            replyForLog.lastSent = secret
            if case .failed(let failure) = backend.send(secret) { backendFailed(failure) }
        case .loggedIn(let reply): beginRelay(reply, backend)
        case .unexpected(let quoted): refuseReply(quoted, passesOn: server.settings.passesErrorMessages)
        case .malformed(let quoted): refuseReply(quoted, passesOn: false)
        case .failed(let text):
            note(.error, text)
            failInternally(.upstreamFailed)
        }
    }

    private func refuseEndlessReply() {
        guard backendInput.count >= server.settings.replyLimit else { return }
        let shown = backendInput.withBytes { replyForLog.shown($0) }
        note(.error, "upstream sent too long response line: ", quoting: shown)
        failInternally(.upstreamFailed)
    }

    /// - Parameter passesOn: The client hears all that the server has said.
    private func refuseReply(_ quoted: Range<Int>, passesOn: Bool) {
        let shown = backendInput.withBytes { bytes in
            replyForLog.shown(bytes.extracting(quoted.clamped(to: 0..<bytes.count)))
        }
        let passesOn = passesOn && backendInput.withBytes { replyForLog.mayBeToldClient($0) }
        note(passesOn ? .info : .error, "upstream sent invalid response: ", quoting: shown)
        if passesOn {
            replyAndClose(backendInput.withBytes { $0.bytes }, .upstreamRefused)
        } else {
            failInternally(.upstreamRefused)
        }
    }

    /// The login is done: from here on bytes flow both ways, and the session shrinks to two endpoints.
    private func beginRelay(_ reply: [UInt8], _ backend: Connection) {
        log.write(.info, connection: record.number, { $0.append("client logged in") }) {
            self.record.appendContext(to: &$0, withActivity: false)
        }
        let pipelined = input.withBytes { $0.bytes }
        stage = .ended
        client.delegate = nil
        backend.delegate = nil
        worker.relay.add(
            client: client.detach(), upstream: backend.detach(), toClient: reply, toUpstream: pipelined,
            number: record.number, server: server.index, context: record.relayContext)
        self.backend = nil
        forget()
        worker.sessionEnded(self)
    }
}

extension SocketAddress {
    /// Where the user's mail is; nil where that is no address.
    init?(ofServer acceptance: Acceptance) {
        guard let port = acceptance.port.span.decimal(atMost: 65_535), port > 0 else { return nil }
        self.init(ip: acceptance.server, port: UInt16(truncatingIfNeeded: port))
    }
}

extension SystemError {
    /// Failures of connect(2) that a network has now and then (spec: error, others crit).
    var isOrdinaryConnectFailure: Bool { isOrdinaryNetworkFailure || errno == 11 }
}
