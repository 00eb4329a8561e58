// The relay: bytes from client to server and back, unmodified, for as long as a session lives after its login.
// A session here is a struct in a slab, named by its position; nothing is allocated per event. The worker owns the
// relay, fills it from finished logins, and hears when a session is over.

import Bytes
import CLinux
import EventLoop
import Glibc
import Observability
import Platform
import TLS
import Transport

/// Why a relaying session ended; the names are stable.
enum RelayEnd: String {
    case finished, timeout, shutdown
    case clientFailed = "client_failed"
    case upstreamFailed = "upstream_failed"
}

final class Relay {
    let loop: EventLoop
    /// The sessions; behind a pointer, since exclusivity checks on properties of a class cost more than a transfer.
    private let slab: UnsafeMutablePointer<RelaySlab>
    /// Bytes pass through here; what the other side does not take at once is copied out.
    let buffer: UnsafeMutableRawBufferPointer
    private let limits: (UInt16) -> RelayLimits
    let pipes = PipePool()
    /// What the last transfer failed for.
    var failure: ConnectionFailure?
    /// Called after a session ended.
    var ended: () -> Void = {}

    /// How much one session may move before others get their turn.
    private static var buffersPerTurn: Int { 8 }
    private static var bufferSize: Int { 65_536 }
    // Where the endpoints lie in a session: pointers to them, unlike `inout`, need no exclusivity checks.
    private let clientOffset = MemoryLayout<RelaySession>.offset(of: \.client) ?? 0
    private let upstreamOffset = MemoryLayout<RelaySession>.offset(of: \.upstream) ?? 0

    /// For a report, should this process crash.
    private static var activity: UnsafePointer<CChar> {
        UnsafeRawPointer(("relaying" as StaticString).utf8Start).assumingMemoryBound(to: CChar.self)
    }

    private let farewells: Farewells

    init(loop: EventLoop, farewells: Farewells, limits: @escaping (UInt16) -> RelayLimits) {
        self.loop = loop
        self.limits = limits
        self.farewells = farewells
        slab = .allocate(capacity: 1)
        slab.initialize(to: RelaySlab())
        buffer = .allocate(byteCount: Self.bufferSize, alignment: 64)
    }

    deinit {
        for index in slab.pointee.indices where pointer(index).pointee.isLive { release(&pointer(index).pointee) }
        slab.deinitialize(count: 1)
        slab.deallocate()
        buffer.deallocate()
    }

    var liveCount: Int { slab.pointee.liveCount }

    // MARK: Sessions

    /// Takes over two connections. What is left to send to either side goes first.
    func add(
        client: Connection.Detached, upstream: Connection.Detached, toClient: [UInt8], toUpstream: [UInt8],
        number: UInt64, server: UInt16, context: [UInt8]
    ) {
        let index = slab.pointee.take()
        var session = RelaySession()
        session.client = RelayEndpoint(client)
        session.upstream = RelayEndpoint(upstream)
        // What the client has sent behind its credentials.
        session.client.received = UInt64(toUpstream.count)
        session.number = number
        session.server = server
        session.isLive = true
        session.lastActivity = loop.now
        (session.context, session.contextLength) = Self.copy(context)
        session.timer = loop.timers.add(
            deadline: loop.now &+ limits(server).timeout, .relay(index))
        pointer(index).pointee = session
        loop.retarget(client.registration, toRelay: index << 1)
        loop.retarget(upstream.registration, toRelay: index << 1 | 1)
        let base = pointer(index)
        toClient.withUnsafeBytes { Self.keep($0, in: endpoint(of: base, isClient: true)) }
        toUpstream.withUnsafeBytes { Self.keep($0, in: endpoint(of: base, isClient: false)) }
        // Either side may have spoken while nobody read.
        pump(index)
    }

    /// Ends every session, as `worker_shutdown_timeout` asks.
    func endAll() {
        for index in slab.pointee.indices where pointer(index).pointee.isLive { end(index, .shutdown) }
    }

    private func pointer(_ index: UInt32) -> UnsafeMutablePointer<RelaySession> {
        slab.pointee.sessions + Int(index)
    }

    private func endpoint(
        of session: UnsafeMutablePointer<RelaySession>, isClient: Bool
    ) -> UnsafeMutablePointer<RelayEndpoint> {
        (UnsafeMutableRawPointer(session) + (isClient ? clientOffset : upstreamOffset))
            .assumingMemoryBound(to: RelayEndpoint.self)
    }

    private static func copy(_ bytes: [UInt8]) -> (UnsafeMutablePointer<UInt8>?, UInt16) {
        let count = min(bytes.count, Int(UInt16.max))
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(count, 1))
        bytes.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { copy.initialize(from: start, count: count) }
        }
        return (copy, UInt16(count))
    }

    // MARK: Events

    /// How the loop reaches this relay.
    var target: RelayTarget {
        RelayTarget(
            Unmanaged.passUnretained(self).toOpaque(),
            ready: { owner, index, events in
                Unmanaged<Relay>.fromOpaque(owner)._withUnsafeGuaranteedRef {
                    $0.relayReady(index, Events(rawValue: events))
                }
            },
            timeout: { owner, index in
                Unmanaged<Relay>.fromOpaque(owner)._withUnsafeGuaranteedRef { $0.relayTimeout(index) }
            })
    }

    /// A socket is ready: moves what that allows.
    private func relayReady(_ handle: UInt32, _ events: Events) {
        let index = handle >> 1
        let isClient = handle & 1 == 0
        let session = pointer(index)
        guard session.pointee.isLive else { return }
        linux_note_activity(UInt(session.pointee.number), Self.activity)
        let ready = endpoint(of: session, isClient: isClient)
        // Room to write matters only where there was none: the kernel reports it with everything else.
        let hasNewRoom = events.canWrite && !ready.pointee.flags.isWritable
        Self.note(events, ready)
        // A side that takes bytes is alive, however slowly.
        if hasNewRoom { session.pointee.lastActivity = loop.now }
        let from = ready.pointee.flags.isReadable ? move(session, fromClient: isClient) : .blocked
        let to = hasNewRoom && from != .failed ? move(session, fromClient: !isClient) : .blocked
        conclude(index, from, to)
    }

    @inline(__always)
    private static func note(_ events: Events, _ endpoint: UnsafeMutablePointer<RelayEndpoint>) {
        if events.canRead { endpoint.pointee.flags.isReadable = true }
        if events.canWrite { endpoint.pointee.flags.isWritable = true }
        if events.rawValue & 0x2018 != 0 { endpoint.pointee.flags.isEnding = true }
    }

    /// The timer of a session ran out. It is set once and looks at the clock when it fires: moving it with every
    /// byte would cost more than the byte.
    private func relayTimeout(_ index: UInt32) {
        let session = pointer(index)
        guard session.pointee.isLive else { return }
        let deadline = session.pointee.lastActivity &+ limits(session.pointee.server).timeout
        if deadline > loop.now {
            session.pointee.timer = loop.timers.add(deadline: deadline, .relay(index))
        } else {
            end(index, .timeout)
        }
    }

    // MARK: Moving bytes

    /// Moves what can be moved, both ways.
    private func pump(_ index: UInt32) {
        let session = pointer(index)
        let down = move(session, fromClient: false)
        conclude(index, down, down == .failed ? .blocked : move(session, fromClient: true))
    }

    /// Looks at how far a session has come after bytes were moved.
    private func conclude(_ index: UInt32, _ one: Progress, _ other: Progress) {
        let session = pointer(index)
        if one == .failed || other == .failed {
            end(index, session.pointee.client.flags.hasFailed ? .clientFailed : .upstreamFailed)
        } else if session.pointee.isFinished {
            end(index, .finished)
        } else if (one == .unfinished || other == .unfinished) && !session.pointee.isDeferred {
            session.pointee.isDeferred = true
            let number = session.pointee.number
            loop.later { [unowned self] in self.goOn(index, number) }
        }
    }

    private func goOn(_ index: UInt32, _ number: UInt64) {
        let session = pointer(index)
        guard session.pointee.isLive, session.pointee.number == number else { return }
        session.pointee.isDeferred = false
        pump(index)
    }

    private enum Progress { case blocked, unfinished, failed }

    /// Moves bytes in one direction until one side stops it.
    private func move(_ session: UnsafeMutablePointer<RelaySession>, fromClient: Bool) -> Progress {
        let source = endpoint(of: session, isClient: fromClient)
        let target = endpoint(of: session, isClient: !fromClient)
        for _ in 0..<Self.buffersPerTurn {
            if target.pointee.hasPending {
                guard flush(target) != Self.failed, drainPipe(of: target) != Self.failed
                else { return writeFailed(session, toClient: !fromClient) }
                guard !target.pointee.hasPending else { return .blocked }
            }
            guard source.pointee.flags.isReadable, !source.pointee.flags.isAtEnd else { return .blocked }
            let count =
                source.pointee.flags.isBulk
                ? splice(from: source, to: target) ?? fill(from: source) : fill(from: source)
            if count > 0 {
                session.pointee.lastActivity = loop.now
                source.pointee.received &+= UInt64(count)
                guard !target.pointee.hasPending else { continue }
                source.pointee.flags.isBulk =
                    count == Self.bufferSize && source.pointee.ssl == nil && target.pointee.ssl == nil
                guard write(UnsafeRawBufferPointer(rebasing: buffer[0..<count]), to: target) != Self.failed
                else { return writeFailed(session, toClient: !fromClient) }
            } else if count == Self.nothing {
                return .blocked
            } else {
                // A read error counts as the end, once it was told.
                if count == Self.failed { readFailed(session, fromClient: fromClient) }
                source.pointee.flags.isAtEnd = true
            }
        }
        return .unfinished
    }

    private func writeFailed(_ session: UnsafeMutablePointer<RelaySession>, toClient: Bool) -> Progress {
        report(
            toClient ? " while proxying and sending to client" : " while proxying and sending to upstream", session,
            isClient: toClient)
        return .failed
    }

    private func readFailed(_ session: UnsafeMutablePointer<RelaySession>, fromClient: Bool) {
        report(
            fromClient ? " while proxying and reading from client" : " while proxying and reading from upstream",
            session, isClient: fromClient)
    }

    private func report(_ activity: StaticString, _ session: UnsafeMutablePointer<RelaySession>, isClient: Bool) {
        endpoint(of: session, isClient: isClient).pointee.flags.hasFailed = true
        guard let failure else { return }
        self.failure = nil
        failure.write(
            to: limits(session.pointee.server).log, connection: session.pointee.number, isClient: isClient
        ) { line in
            line.append(activity)
            Self.appendContext(of: session, to: &line)
        }
    }

    // MARK: The end

    private func end(_ index: UInt32, _ reason: RelayEnd) {
        let session = pointer(index)
        say(reason, of: session)
        let mayLinger = reason == .finished && !session.pointee.client.flags.hasFailed
        if mayLinger, let ssl = session.pointee.client.ssl {
            // The client gets its close_notify, and a while to answer it.
            let client = session.pointee.client
            session.pointee.client.ssl = nil
            session.pointee.client.descriptor = -1
            TLSFarewell.begin(
                TLSSession(adopting: ssl), descriptor: client.descriptor, registration: client.registration, loop: loop,
                among: farewells)
        }
        loop.timers.remove(session.pointee.timer)
        release(&session.pointee)
        slab.pointee.giveBack(index)
        ended()
    }

    private func say(_ reason: RelayEnd, of session: UnsafeMutablePointer<RelaySession>) {
        let log = limits(session.pointee.server).log
        guard log.admits(.info) else { return }
        let number = session.pointee.number
        if log.admits(.debug) {
            let (up, down) = (session.pointee.client.received, session.pointee.upstream.received)
            log.write(
                .debug, connection: number,
                { $0.append("relay ended, end=\(reason.rawValue), bytes up: \(up), down: \(down)") })
        }
        switch reason {
        case .finished:
            log.write(.info, connection: number, { $0.append("proxied session done") }) {
                Self.appendContext(of: session, to: &$0)
            }
        case .timeout:
            log.write(.info, connection: number, errno: ETIMEDOUT, { $0.append("client timed out") }) {
                $0.append(" while proxying")
                Self.appendContext(of: session, to: &$0)
            }
        case .shutdown:
            log.write(.info, connection: number, { $0.append("shutdown timeout") }) {
                $0.append(" while proxying")
                Self.appendContext(of: session, to: &$0)
            }
        case .clientFailed, .upstreamFailed: break
        }
    }

    private static func appendContext(of session: UnsafeMutablePointer<RelaySession>, to line: inout LogLine) {
        let bytes = UnsafeBufferPointer(start: session.pointee.context, count: Int(session.pointee.contextLength))
        line.append(escaped: bytes.span)
    }

    private func release(_ session: inout RelaySession) {
        release(&session.client)
        release(&session.upstream)
        session.context?.deallocate()
        session.context = nil
        session.isLive = false
    }

    private func release(_ endpoint: inout RelayEndpoint) {
        endpoint.pending?.deallocate()
        endpoint.pending = nil
        if endpoint.pipe != PipePool.none { pipes.giveBack(endpoint.pipe, isEmpty: false) }
        endpoint.pipe = PipePool.none
        if let ssl = endpoint.ssl {
            // A TLS session that is freed without its shutdown leaves no way to resume it.
            _ = TLSSession(adopting: ssl)
            endpoint.ssl = nil
        }
        guard endpoint.descriptor >= 0 else { return }
        loop.remove(endpoint.registration, endpoint.descriptor, isClosing: true)
        _ = close(endpoint.descriptor)
        endpoint.descriptor = -1
    }
}
