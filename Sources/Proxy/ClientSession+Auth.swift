import ApusMail
import Bytes
import Observability
import Platform
import TLS

// Asking the authentication provider, and what its verdict means.

extension ClientSession {
    /// How long a service may put a login off with `Auth-Status: WAIT`, in multiples of `timeout`: one that never
    /// decides holds no session for ever.
    private static var longestWait: UInt64 { 5 }

    func authenticate(_ credentials: Credentials) {
        worker.loop.cancel(&timer)
        record.login = credentials.login
        record.method = credentials.method
        record.loginAttempts += 1
        record.activity = "in http auth state"
        askUntil = worker.loop.now &+ server.settings.timeout.milliseconds &* Self.longestWait
        request = AuthRequest(
            credentials: credentials, protocolName: server.declaration.name, loginAttempt: record.loginAttempts,
            clientAddress: record.clientAddress, clientHost: clientHostName, proxyHeader: proxyHeader,
            encryption: encryptionFacts)
        ask()
    }

    private var encryptionFacts: EncryptionFacts? {
        client.withTLS { tls in
            let tlsFacts = tls.facts
            var facts = EncryptionFacts(
                version: Array(tlsFacts.protocolVersion.utf8), cipher: Array(tlsFacts.cipher.utf8))
            guard server.tlsSettings.verifyClient != .off else { return facts }
            let certificate = tls.clientCertificate()
            facts.verification = Array(certificate.summary.utf8)
            guard let presented = certificate.presented else { return facts }
            facts.subject = Array(presented.subject.utf8)
            facts.issuer = Array(presented.issuer.utf8)
            facts.serial = Array(presented.serial.utf8)
            facts.fingerprint = Array(presented.fingerprint.utf8)
            facts.certificate = tls.clientCertificatePEM() ?? []
            return facts
        }
    }

    private func ask() {
        guard let request else { return }
        stage = .authenticating
        inquiry = server.provider.decide(request) { [weak self] verdict in self?.decided(verdict) }
    }

    private func decided(_ verdict: Verdict) {
        noteActivity()
        guard stage == .authenticating else { return }
        inquiry = nil
        debug("verdict received")
        switch verdict {
        case .accepted(let acceptance): connect(acceptance)
        case .refused(let refusal, let delay, let user):
            if let user { record.login = user }
            refuse(refusal, after: delay)
        case .wait(let delay, let user):
            if let user { record.login = user }
            wait(delay)
        case .failed(let failure):
            if let user = failure.user { record.login = user }
            report(failure)
            failInternally(.authFailed)
        }
    }

    private func wait(_ delay: Duration) {
        let now = worker.loop.now
        guard now < askUntil else {
            note(.error, "auth service asked to wait for too long")
            return failInternally(.authFailed)
        }
        let longest = Int64(clamping: askUntil - now)
        pause(min(delay, .milliseconds(longest))) { [unowned self] in self.ask() }
    }

    private func report(_ failure: AuthFailure) {
        guard !failure.message.isEmpty else { return }
        let level: LogLevel =
            switch failure.level {
            case .alert: .alert
            case .critical: .critical
            case .error: .error
            case .info: .info
            }
        log.write(level, connection: record.number, errno: failure.errno, { $0.append(escaped: failure.message) }) {
            self.record.appendContext(to: &$0)
        }
    }

    private func refuse(_ refusal: Refusal, after delay: Duration?) {
        note(.info, "client login failed: ", quoting: refusal.message)
        request = nil
        guard let delay, delay > .zero else {
            answer(refusal, goesOn: false)
            return
        }
        pause(delay) { [unowned self] in self.answer(refusal, goesOn: true) }
    }

    private func answer(_ refusal: Refusal, goesOn: Bool) {
        do throws(Bug) {
            guard let step = try dialog?.refused(refusal) else { throw Bug("a refusal answers a dialog") }
            switch step {
            case .reply(let text) where !goesOn: replyAndClose(text + farewell(.loginRefused), .authRefused)
            case .reply(let text): try resume(saying: text)
            case .errorData(let text):
                (awaitsRefusalEnd, endsAfterRefusal) = (true, !goesOn)
                try resume(saying: text)
            }
        } catch {
            broken(error)
        }
    }

    /// Back to commands after a refusal, with a fresh timer.
    private func resume(saying text: [UInt8]) throws(Bug) {
        stage = .commands
        record.activity = "in auth state"
        restartTimer()
        isWaitingForInput = input.isEmpty
        reply(text)
        if stage == .commands { try readCommands() }
    }

    /// The client has answered the error data of a refusal.
    func endRefusal(_ text: [UInt8]) {
        awaitsRefusalEnd = false
        if endsAfterRefusal { replyAndClose(text + farewell(.loginRefused), .authRefused) } else { reply(text) }
    }

    private func pause(_ delay: Duration, then action: @escaping () -> Void) {
        stage = .pausing
        worker.loop.cancel(&timer)
        timer = worker.loop.schedule(after: delay) { [weak self] in
            guard let self, self.stage == .pausing else { return }
            self.timer = nil
            action()
        }
    }
}
