// One client from accept to the relay. The session feeds what the client and the server behind say to the protocol's
// two dialogs, carries out what they answer, and asks the authentication provider in between. It owns both
// connections; the worker owns it, and outlives it.

import ApusMail
import Bytes
import CLinux
import DNS
import EventLoop
import Glibc
import Observability
import Platform
import TLS
import Transport

final class ClientSession: ConnectionDelegate {
    /// Where the session stands; what an event means depends on it.
    enum Stage: Equatable {
        case readingProxyHeader(thenTLS: Bool)
        case handshaking
        /// The client's name is looked up.
        case resolving
        /// The greeting is delayed: the client is to keep silent.
        case awaitingGreeting
        case commands
        /// The positive reply to STARTTLS is on its way.
        case startingTLS
        case startTLSHandshake
        case authenticating
        /// After a refusal with a delay, or before asking once more.
        case pausing
        case connecting
        case backendLogin
        /// The last reply is on its way.
        case closing
        case ended
    }

    unowned let worker: Worker
    let server: Server
    let client: Connection
    /// The client's address; another's once a PROXY header that is trusted said so.
    var peer: SocketAddress
    /// What the client's PROXY header said, trusted or not.
    var proxyHeader: ProxyHeaderFacts?
    var record: SessionRecord
    var stage = Stage.commands
    var dialog: (any ClientDialog)?
    var input = InputBuffer()
    /// The dialog has seen all input and wants more.
    var isWaitingForInput = true
    var invalidCommandCount = 0
    var commandCount = 0
    /// So many answers of the dialog came without using input up.
    var idleStepCount = 0
    var timer: TimerHandle?
    var replyTimer: TimerHandle?
    let challenge: Challenge
    /// What the protocol tells others about the client's name, once it was looked up.
    var hostName: [UInt8]?
    var lookup: Lookup?
    // Authentication
    var request: AuthRequest?
    var inquiry: (any AuthInquiry)?
    /// Milliseconds of the monotonic clock when the provider is asked no more.
    var askUntil: UInt64 = 0
    /// The client was sent the error data of a refusal, and has not answered it yet.
    var awaitsRefusalEnd = false
    /// The session closes when it has.
    var endsAfterRefusal = false
    // The server behind
    var backend: Connection?
    var backendDialog: (any BackendDialog)?
    /// What goes to the server before it has said anything.
    var backendOpening: Secret?
    var backendInput = InputBuffer()
    var replyForLog = ReplyForLog()
    /// Milliseconds of the monotonic clock when the client was last heard.
    var lastHeard: UInt64
    let log: Log

    init(
        _ client: Connection, from peer: SocketAddress, server: Server, worker: Worker, record: SessionRecord, log: Log
    ) {
        self.client = client
        self.peer = peer
        self.server = server
        self.worker = worker
        self.record = record
        self.log = log
        challenge = Challenge(serverName: server.serverName)
        lastHeard = worker.loop.now
        client.delegate = self
    }

    /// It is the client's turn.
    var awaitsClient: Bool {
        switch stage {
        case .readingProxyHeader, .handshaking, .commands, .startingTLS, .startTLSHandshake: true
        case .resolving, .awaitingGreeting, .authenticating, .pausing, .connecting, .backendLogin, .closing, .ended:
            false
        }
    }

    // MARK: Events

    func connectionReady(_ connection: Connection) {
        noteActivity()
        do {
            if connection === client {
                try clientReady()
            } else if connection === backend {
                try backendReady()
            }
        } catch {
            broken(error)
        }
    }

    /// For a report, should the worker crash on this session's behalf.
    func noteActivity() {
        let text = record.activity.utf8CodeUnitCount > 0 ? record.activity : "serving"
        linux_note_activity(UInt(record.number), UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self))
    }

    private func clientReady() throws(Bug) {
        if client.hasPendingOutput {
            // Bytes from a client that takes none give it no more time.
            guard client.isWritable, flushClient() else { return }
        }
        switch stage {
        case .readingProxyHeader(let thenTLS): try readProxyHeader(thenTLS: thenTLS)
        case .handshaking, .startTLSHandshake: try handshake()
        case .resolving: endIfClientLeft()
        case .awaitingGreeting: try refuseEarlyInput()
        case .commands: try readCommands()
        case .startingTLS: try beginHandshake()
        case .closing: finish()
        case .authenticating, .pausing, .connecting, .backendLogin:
            // The client is not read while others are awaited; bytes behind its credentials go to the server behind.
            break
        case .ended: break
        }
    }

    /// A promise of our own was broken: this session ends, the others go on.
    func broken(_ bug: Bug) {
        guard stage != .ended else { return }
        log.write(.alert, connection: record.number) { line in
            line.append("broken promise: ")
            line.append(bug.promise)
            line.append(" at ")
            line.append(bug.file)
            line.append(":")
            line.append(Int(bug.line))
        } context: {
            self.record.appendContext(to: &$0)
        }
        worker.settings.brokenPromise()
        failInternally(.internalError)
    }

    // MARK: The beginning

    /// Begins the session: PROXY header and TLS where the listener says so, then the greeting. One timer bounds all that
    /// comes before the greeting.
    func start(on listen: ListenAddress) {
        timer = worker.loop.schedule(after: server.settings.timeout) { [unowned self] in self.timedOut() }
        guard !listen.expectsProxyHeader else { return awaitProxyHeader(thenTLS: listen.isTLS) }
        do {
            try begin(withTLS: listen.isTLS)
        } catch {
            broken(error)
        }
    }

    func begin(withTLS: Bool) throws(Bug) {
        guard withTLS else { return try greet() }
        record.activity = "SSL handshaking"
        stage = .handshaking
        try beginHandshake()
    }

    func greet() throws(Bug) {
        if !lookUpHostName() { try greetByName() }
    }

    func greetByName() throws(Bug) {
        record.activity = "sending client greeting line"
        let dialog = server.service.makeClientDialog(clientFacts)
        self.dialog = dialog
        guard dialog.greetingDelay > .zero else { return try sendGreeting() }
        try delayGreeting(dialog.greetingDelay)
    }

    func sendGreeting() throws(Bug) {
        stage = .commands
        guard let greeting = try dialog?.greeting() else { throw Bug("a dialog greets") }
        restartTimer()
        reply(greeting)
        debug("greeting sent")
        // A client that speaks first is read now: nothing would report what is there already.
        if stage == .commands && client.isReadable { try readCommands() }
    }

    var clientFacts: ClientFacts {
        ClientFacts(
            isEncrypted: client.isEncrypted, canVerifyDigests: server.provider.canVerifyDigests,
            hostName: clientHostName ?? [], address: record.clientAddress, sessionNumber: record.number,
            challenge: challenge)
    }

    /// The client's host name, where the protocol tells it to others; a placeholder where it was not looked up.
    var clientHostName: [UInt8]? {
        guard server.declaration.usesClientHostName else { return nil }
        return hostName ?? Self.unavailableHostName
    }

    // MARK: Replies

    /// Sends to the client; when it does not go at once, a write timer runs until it has gone.
    func reply(_ bytes: [UInt8]) {
        debug("bytes to client: ", bytes.count)
        switch client.send(bytes) {
        case .all: break
        case .pending: restartReplyTimer()
        case .failed(let failure): clientFailed(failure)
        }
    }

    /// Sends on; false when the client takes no more for now, or is gone.
    private func flushClient() -> Bool {
        switch client.flush() {
        case .all:
            worker.loop.cancel(&replyTimer)
            return true
        case .pending:
            restartReplyTimer()
            return false
        case .failed(let failure):
            clientFailed(failure)
            return false
        }
    }

    private func restartReplyTimer() {
        worker.loop.cancel(&replyTimer)
        replyTimer = worker.loop.schedule(after: server.settings.timeout) { [unowned self] in self.timedOut() }
    }

    /// Sends and closes once that has gone.
    func replyAndClose(_ bytes: [UInt8], _ end: SessionRecord.End) {
        guard stage != .ended else { return }
        record.end = end
        dropBackend()
        worker.loop.cancel(&timer)
        stage = .closing
        reply(bytes)
        if stage == .closing && !client.hasPendingOutput { finish() }
    }

    /// What the protocol says to a client that is sent away.
    func farewell(_ reason: Farewell) -> [UInt8] { dialog?.farewell(reason) ?? [] }

    /// The protocol's internal error, then close.
    func failInternally(_ end: SessionRecord.End) {
        replyAndClose(server.declaration.internalServerError, end)
    }

    // MARK: Timers

    func restartTimer() {
        worker.loop.cancel(&timer)
        timer = worker.loop.schedule(after: server.settings.timeout) { [unowned self] in self.timedOut() }
        debug("timer set, milliseconds: ", Int(clamping: server.settings.timeout.milliseconds))
    }

    private func timedOut() {
        noteActivity()
        switch stage {
        case .connecting, .backendLogin:
            note(.info, "upstream timed out", errno: ETIMEDOUT)
            failInternally(.upstreamTimeout)
        case .handshaking, .startTLSHandshake:
            close(.clientTimeout)
        case .readingProxyHeader, .resolving, .awaitingGreeting, .commands, .startingTLS, .closing, .authenticating,
            .pausing:
            note(.info, "client timed out", errno: ETIMEDOUT)
            let words = stage == .commands && !client.hasPendingOutput ? farewell(.timeout) : []
            if words.isEmpty { close(.clientTimeout) } else { replyAndClose(words, .clientTimeout) }
        case .ended: break
        }
    }
}

extension Challenge {
    /// A random one for a server of this name.
    convenience init(serverName: [UInt8]) {
        self.init {
            Array("<\(UInt32.random(in: 0...UInt32(Int32.max))).\(time(nil))@".utf8) + serverName + [0x3E]
        }
    }
}
