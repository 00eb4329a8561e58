import ApusMail
import Bytes
import Observability
import Transport

// The command phase: input goes to the protocol's dialog, one command at a time.

extension ClientSession {
    /// So many commands of one client are handled before others get their turn.
    private static let commandsPerTurn = 64
    /// Whatever a dialog says its limit is.
    private static let longestInput = 1 << 20
    /// A command takes one answer without using input up, or two; a dialog that gives more does not move on.
    private static let mostIdleSteps = 8

    func readCommands() throws(Bug) {
        if client.isReadable || !isWaitingForInput { record.activity = "in auth state" }
        for _ in 0..<Self.commandsPerTurn {
            guard stage == .commands, !client.hasPendingOutput else { return }
            if isWaitingForInput {
                guard try readInput() else { return }
            } else {
                try handleCommand()
            }
        }
        worker.loop.later { [weak self] in
            guard let self, self.stage == .commands else { return }
            self.connectionReady(self.client)
        }
    }

    /// Reads what the client sent; false when there is nothing, or the client is gone.
    private func readInput() throws(Bug) -> Bool {
        guard client.isReadable, let dialog else { return false }
        let room = input.room(limit: try inputLimit(of: dialog))
        switch client.receive(into: room) {
        case .bytes(let count):
            input.filled(count)
            lastHeard = worker.loop.now
            isWaitingForInput = false
            idleStepCount = 0
            debug("bytes received: ", count)
            return true
        case .wouldBlock: return false
        case .endOfStream:
            record.end = .clientClosed
            finish()
            return false
        case .failed(let failure):
            clientFailed(failure)
            return false
        }
    }

    /// The most input that is held for a dialog.
    func inputLimit(of dialog: any ClientDialog) throws(Bug) -> Int {
        let limit = dialog.inputLimit
        guard limit > 0 else { throw Bug("a dialog has room for input") }
        return min(limit, Self.longestInput)
    }

    private func handleCommand() throws(Bug) {
        guard !input.isEmpty else {
            isWaitingForInput = true
            return
        }
        // Taken out, so that it has one owner and is changed in place.
        guard var dialog = dialog.take() else { throw Bug("the command phase needs a dialog") }
        let isOver = commandCount >= server.settings.maxCommands
        dialog.refusesCommands = isOver
        let step = try input.withBytes { bytes throws(Bug) in try dialog.receive(bytes) }
        self.dialog = dialog
        guard step.consumed >= 0, step.consumed <= input.count else { throw Bug("a dialog uses up what is there") }
        let isCommand = try countCommand(step)
        if isOver && isCommand { return try refuse(step) }
        if let text = step.note {
            if let quoted = step.quoting { note(.info, text, quoting: quoted) } else { note(.info, text) }
        }
        try perform(step)
    }

    /// The dialog has carried out one command too many: nothing comes of it.
    private func refuse(_ step: ClientStep) throws(Bug) {
        guard var dialog else { throw Bug("the command phase needs a dialog") }
        input.consume(step.consumed)
        note(.info, "client sent too many commands")
        replyAndClose(try dialog.inputTooLong(), .tooManyCommands)
    }

    private func perform(_ step: ClientStep) throws(Bug) {
        if case .needMoreInput = step.action {
            input.consume(step.consumed)
            // Where something was used up, a command may be behind it.
            isWaitingForInput = step.consumed == 0 || input.isEmpty
            try refuseTooLong()
            return
        }
        input.consume(step.consumed)
        debug("command read, bytes: ", step.consumed)
        try checkPromises(step)
        switch step.action {
        case .needMoreInput: break
        case .reply(let bytes): reply(bytes)
        case .invalid(let bytes): countInvalid(bytes, thenClose: false)
        case .invalidAndClose(let bytes): countInvalid(bytes, thenClose: true)
        case .tooManyCommands(let bytes):
            note(.info, "client sent too many commands")
            replyAndClose(bytes, .tooManyCommands)
        case .replyAndClose(let bytes): replyAndClose(bytes, .clientQuit)
        case .startTLS(let bytes): try startTLS(bytes)
        case .authenticate(let credentials): authenticate(credentials)
        case .endRefusal(let bytes): endRefusal(bytes)
        }
    }

    /// What the configuration and the provider have decided holds, whatever a dialog makes of it.
    private func checkPromises(_ step: ClientStep) throws(Bug) {
        switch step.action {
        case .needMoreInput, .replyAndClose, .invalidAndClose, .tooManyCommands: return
        // Amid a command: a continuation request for a literal.
        case .reply where step.consumed == 0: return
        case .endRefusal:
            guard awaitsRefusalEnd else { throw Bug("the end of a refusal answers its error data") }
            return
        case .reply, .invalid, .authenticate, .startTLS:
            guard !awaitsRefusalEnd else { throw Bug("error data of a refusal is answered by its end") }
        }
        if case .authenticate(let credentials) = step.action {
            guard client.isEncrypted || server.startTLS != .only || credentials.method == .none else {
                throw Bug("nobody logs in before TLS where it must be started")
            }
        }
        if case .startTLS = step.action {
            guard server.tls != nil, server.startTLS != .off else {
                throw Bug("TLS is started where the policy has it")
            }
            guard !client.isEncrypted else { throw Bug("TLS is started once") }
        }
    }

    /// Counts what the parser understood, lines of an exchange included, for `max_commands`; what it refused counts for
    /// `max_errors`.
    ///
    /// - Returns: It was a command of the former kind.
    private func countCommand(_ step: ClientStep) throws(Bug) -> Bool {
        if step.consumed > 0 { idleStepCount = 0 }
        if case .needMoreInput = step.action { return false }
        if step.consumed == 0 {
            idleStepCount += 1
            guard idleStepCount <= Self.mostIdleSteps else { throw Bug("a dialog uses input up") }
        }
        switch step.action {
        case .needMoreInput, .invalid, .invalidAndClose, .tooManyCommands: return false
        // One that uses nothing up is amid a command.
        case .reply where step.consumed == 0: return false
        case .reply, .replyAndClose, .startTLS, .authenticate, .endRefusal:
            commandCount += 1
            return true
        }
    }

    private func refuseTooLong() throws(Bug) {
        guard var dialog, input.count >= (try inputLimit(of: dialog)) else { return }
        note(.info, "client sent too long command ", quoting: input.withBytes { dialog.redacted($0) })
        replyAndClose(try dialog.inputTooLong(), .tooLong)
    }

    private func countInvalid(_ bytes: [UInt8], thenClose: Bool) {
        invalidCommandCount += 1
        if invalidCommandCount >= server.settings.maxErrors {
            note(.info, "client sent too many invalid commands")
            // A reply that closes anyway says so itself.
            replyAndClose(bytes + (thenClose ? [] : farewell(.tooManyErrors)), .tooManyErrors)
        } else if thenClose {
            replyAndClose(bytes, .clientQuit)
        } else {
            reply(bytes)
        }
    }

    /// Answers and goes over to TLS. What was received in clear behind the command is thrown away: taken as commands
    /// later, it would be an attacker's words inside the client's encrypted session.
    private func startTLS(_ bytes: [UInt8]) throws(Bug) {
        input.consumeAll()
        stage = .startingTLS
        reply(bytes)
        if stage == .startingTLS && !client.hasPendingOutput { try beginHandshake() }
    }
}
