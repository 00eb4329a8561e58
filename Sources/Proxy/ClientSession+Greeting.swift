import ApusMail
import Observability
import Transport

// The delayed greeting: whoever cannot wait for it does not get it.

extension ClientSession {
    func delayGreeting(_ delay: Duration) throws(Bug) {
        stage = .awaitingGreeting
        worker.loop.cancel(&timer)
        timer = worker.loop.schedule(after: delay) { [weak self] in
            guard let self, self.stage == .awaitingGreeting else { return }
            do throws(Bug) {
                try self.sendGreeting()
            } catch {
                self.broken(error)
            }
        }
        // What is there already is seen now: nothing would report it.
        if client.isReadable { try refuseEarlyInput() }
    }

    func refuseEarlyInput() throws(Bug) {
        guard client.isReadable, var dialog else { return }
        switch client.receive(into: input.room(limit: try inputLimit(of: dialog))) {
        case .bytes(let count):
            input.filled(count)
            record.activity = "in delay pipelining state"
            let shown = input.withBytes { dialog.redacted($0) }
            note(
                .info, "client was rejected before greeting: ",
                quoting: shown.map { $0 == 0x0D || $0 == 0x0A ? 0x5F : $0 })
            replyAndClose(try dialog.spokeTooEarly(), .spokeTooEarly)
        case .wouldBlock: break
        case .endOfStream: close(.clientClosed)
        case .failed(let failure):
            record.activity = "in delay pipelining state"
            clientFailed(failure)
        }
    }
}
