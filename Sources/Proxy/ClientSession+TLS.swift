import ApusMail
import Observability
import TLS
import Transport

// TLS with the client: at connect, and after STARTTLS.

extension ClientSession {
    /// Puts TLS on the connection and shakes hands.
    func beginHandshake() throws(Bug) {
        guard let context = server.tls else { throw Bug("a TLS session needs a context") }
        if stage == .startingTLS {
            record.activity = "in starttls state"
            record.usesStartTLS = true
            stage = .startTLSHandshake
        }
        do throws(TLSError) {
            try client.startTLS(context)
        } catch {
            clientFailed(.tls(error))
            return
        }
        try handshake()
    }

    func handshake() throws(Bug) {
        switch client.handshake() {
        case .pending: break
        case .done: try encrypted()
        case .closed:
            note(.info, "peer closed connection in SSL handshake")
            close(.tlsFailed)
        case .failed(let failure):
            failure.write(to: log, connection: record.number, isClient: true) { self.record.appendContext(to: &$0) }
            close(.tlsFailed)
        }
    }

    /// TLS is on: look at the client's certificate, then greet or go on.
    private func encrypted() throws(Bug) {
        debug("TLS handshake done")
        guard acceptsCertificate() else { return }
        switch stage {
        case .handshaking: try greet()
        case .startTLSHandshake:
            stage = .commands
            record.activity = "in auth state"
            try dialog?.startedTLS(clientFacts)
            isWaitingForInput = true
            if let greeting = try dialog?.greetingInTLS(), !greeting.isEmpty { reply(greeting) }
            try readCommands()
        case .readingProxyHeader, .resolving, .awaitingGreeting, .commands, .startingTLS, .authenticating, .pausing,
            .connecting, .backendLogin, .closing, .ended:
            throw Bug("a handshake belongs to a stage of its own")
        }
    }

    private func acceptsCertificate() -> Bool {
        let refusal = client.withTLS { $0.clientCertificateRefusal(for: server.tlsSettings) } ?? .none
        switch refusal {
        case .none: return true
        case .bad(let code, let text):
            log.write(
                .info, connection: record.number,
                {
                    $0.append("client SSL certificate verify error: (")
                    $0.append(Int(code))
                    $0.append(":")
                    $0.append(text)
                    $0.append(")")
                }
            ) { self.record.appendContext(to: &$0) }
            refuseCertificate(server.declaration.certificateError)
        case .missing:
            note(.info, "client sent no required SSL certificate")
            refuseCertificate(server.declaration.missingCertificate)
        }
        return false
    }

    private func refuseCertificate(_ reply: [UInt8]) {
        _ = client.withTLS { $0.forgetSession() }
        replyAndClose(reply, .certificateRefused)
    }
}
