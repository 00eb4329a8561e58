import Glibc
import Observability
import TLS
import Transport

// How a session ends, and what it lets go of.

extension ClientSession {
    func clientFailed(_ failure: ConnectionFailure) {
        failure.write(to: log, connection: record.number, isClient: true) { self.record.appendContext(to: &$0) }
        close(.clientFailed)
    }

    /// Closes in an orderly way: with close_notify, and without leaving unread bytes that would make the kernel reset
    /// the connection before the last reply was read.
    func finish() {
        drainClient()
        if client.isEncrypted { sayFarewell() }
        close(record.end ?? .clientQuit)
    }

    private func drainClient() {
        guard client.isReadable else { return }
        input.consumeAll()
        for _ in 0..<16 {
            guard case .bytes(let count) = client.receive(into: input.room(limit: 4096)) else { return }
            input.filled(count)
            input.consumeAll()
        }
    }

    private func sayFarewell() {
        let detached = client.detach()
        guard let ssl = detached.ssl else { return }
        TLSFarewell.begin(
            TLSSession(adopting: ssl), descriptor: detached.descriptor, registration: detached.registration,
            loop: worker.loop, among: worker.farewells)
    }

    /// Closes at once.
    func close(_ end: SessionRecord.End) {
        guard stage != .ended else { return }
        stage = .ended
        let reason = record.end ?? end
        record.end = reason
        if log.admits(.debug) {
            log.write(.debug, connection: record.number, { $0.append("session closed, end=\(reason.rawValue)") })
        }
        forget()
        client.close()
        worker.sessionEnded(self)
    }

    /// Lets go of everything but the client's connection.
    func forget() {
        worker.loop.cancel(&timer)
        worker.loop.cancel(&replyTimer)
        lookup?.cancel()
        lookup = nil
        inquiry?.cancel()
        inquiry = nil
        request = nil
        dialog = nil
        dropBackend()
        input.consumeAll()
    }

    func dropBackend() {
        backend?.close()
        backend = nil
        backendDialog = nil
        backendOpening = nil
        replyForLog = ReplyForLog()
    }
}
