// Everything one worker process owns. It is made after fork, handed down, and reachable from no global: its servers,
// its listeners, the sessions before their login is done, and the relay that has them afterwards.

import ApusMail
import Bytes
import CLinux
package import EventLoop
import Glibc
package import Observability
package import Platform
import TLS
import Transport

package final class Worker {
    /// What a worker goes by that no `server` block says.
    package struct Settings {
        package var connectionLimit = 512
        package var acceptsMany = false
        package var acceptRetryDelay = Duration.milliseconds(500)
        /// Peers whose sessions are logged at debug level whatever the logs admit.
        package var isDebugged: (SocketAddress) -> Bool = { _ in false }
        /// Called when one of our own promises was found broken, after that was logged (`debug_points`).
        package var brokenPromise: () -> Void = {}
        /// Where the master sees how many sessions there are.
        package var row: ProcessRow?
        package init() {}
    }

    package let loop: EventLoop
    package let log: Log
    let settings: Settings
    let sharesListeners: Bool
    private(set) lazy var relay = Relay(loop: loop, farewells: farewells) { [unowned self] in self.relayLimits[Int($0)]
    }
    let farewells = Farewells()
    private let servers: [Server]
    private let relayLimits: [RelayLimits]
    private let takeNumber: () -> UInt64
    private var listeners: [Listener] = []
    private var sessions: [UInt64: ClientSession] = [:]
    private var retryTimer: TimerHandle?
    private var isQuitting = false
    private var finished: () -> Void = {}
    /// Registrations that are the process's own: all together they take one of the `worker_connections`.
    private var ownRegistrations = 1
    /// Closes what is open for later use only, such as kept connections to an authentication service.
    package var releaseIdle: () -> Void = {}
    /// As before, once the worker quits: nothing is to be kept for later any more.
    package var keepNothing: () -> Void = {}

    /// A session that was silent for this part of its `timeout` gives way when connections run out.
    private static let idleShare = 4
    private static let sessionsDroppedAtOnce = 32

    init(
        loop: EventLoop, log: Log, settings: Settings, servers: [Server], sharesListeners: Bool,
        takeNumber: @escaping () -> UInt64
    ) {
        self.loop = loop
        self.log = log
        self.settings = settings
        self.servers = servers
        self.sharesListeners = sharesListeners
        self.takeNumber = takeNumber
        relayLimits = servers.map { RelayLimits(timeout: $0.settings.proxyTimeout.milliseconds, log: $0.log) }
        loop.relays = relay.target
        relay.ended = { [unowned self] in self.considerFinishing() }
        farewells.oneEnded = { [unowned self] in self.considerFinishing() }
    }

    // MARK: Life

    /// Begins to accept.
    ///
    /// - Returns: Whether it does, on every socket; where not, the log says why.
    package func start(_ plans: [ListenerPlan], sockets: [CInt]) -> Bool {
        ownRegistrations = loop.registrationCount
        for (plan, socket) in zip(plans, sockets) {
            Self.prepare(socket, plan.bound.socket)
            let listener = Listener(plan, descriptor: socket, worker: self)
            listeners.append(listener)
            listener.open()
        }
        return listeners.allSatisfy(\.isAccepting)
    }

    /// Options that accepted sockets inherit, so that they cost no call of their own.
    private static func prepare(_ socket: CInt, _ listen: ListenerRequest) {
        guard listen.address.family != AF_UNIX else { return }
        let tcp = CInt(IPPROTO_TCP)
        _ = linux_setsockopt_int(socket, tcp, TCP_NODELAY, 1)
        guard listen.keepAlive == .systemDefault else { return }
        // A phone that lost its network is gone after minutes, not hours.
        _ = linux_setsockopt_int(socket, SOL_SOCKET, SO_KEEPALIVE, 1)
        _ = linux_setsockopt_int(socket, tcp, TCP_KEEPIDLE, 300)
        _ = linux_setsockopt_int(socket, tcp, TCP_KEEPINTVL, 60)
        _ = linux_setsockopt_int(socket, tcp, TCP_KEEPCNT, 5)
        _ = linux_setsockopt_int(socket, tcp, TCP_USER_TIMEOUT, 600_000)
    }

    /// Stops accepting; `finished` is called when the last session has ended.
    package func quit(finished: @escaping () -> Void) {
        loop.cancel(&retryTimer)
        for listener in listeners { listener.close() }
        listeners = []
        keepNothing()
        // Not before: a session that ends at once must not end the worker while others are being accepted.
        isQuitting = true
        self.finished = finished
        considerFinishing()
    }

    /// `worker_shutdown_timeout` ran out: relayed sessions end, and those before their login as well.
    package func endSessions() {
        relay.endAll()
        for session in sessions.values {
            session.note(.info, "shutdown timeout")
            session.close(.shutdown)
        }
    }

    private func countSessions() { settings.row?.sessions = sessions.count + relay.liveCount }

    private func considerFinishing() {
        countSessions()
        guard isQuitting, sessions.isEmpty, relay.liveCount == 0, farewells.count == 0 else { return }
        finished()
    }

    // MARK: Connections

    func nextNumber() -> UInt64 { takeNumber() }

    func accepted(_ descriptor: CInt, from peer: SocketAddress?, on listener: Listener) {
        let number = nextNumber()
        guard hasRoomForConnection(log) else {
            _ = close(descriptor)
            return
        }
        let entry: ListenerPlan.Entry
        let client: Connection
        do throws(SystemError) {
            entry = try listener.entry(for: descriptor)
        } catch {
            log.write(.alert, connection: number, errno: error.errno, { $0.append("getsockname() failed") })
            _ = close(descriptor)
            return
        }
        do throws(SystemError) {
            client = try Connection(owning: descriptor, loop: loop)
        } catch {
            log.write(.alert, connection: number, errno: error.errno, { $0.append("epoll_ctl() failed") })
            return
        }
        begin(client, number: number, peer: peer ?? SocketAddress(.unix([])), entry)
    }

    private func begin(_ client: Connection, number: UInt64, peer: SocketAddress, _ entry: ListenerPlan.Entry) {
        let server = servers[entry.server]
        let log = settings.isDebugged(peer) ? server.log.forcingDebug() : server.log
        log.write(
            .info, connection: number,
            {
                $0.append("client ")
                $0.append(peer.text)
                $0.append(" connected to ")
                $0.append(escaped: entry.text)
            })
        let session = ClientSession(
            client, from: peer, server: server, worker: self,
            record: SessionRecord(
                number: number, clientAddress: Array(peer.hostText.utf8), listener: entry.text, acceptedAt: loop.now),
            log: log)
        sessions[number] = session
        countSessions()
        session.debug("session accepted")
        session.start(on: entry.listen)
    }

    func sessionEnded(_ session: ClientSession) {
        sessions[session.record.number] = nil
        considerFinishing()
    }

    // MARK: Scarcity

    /// Whether `worker_connections` admit one more; idle clients before their login give way.
    func hasRoomForConnection(_ log: Log) -> Bool {
        if hasRoom { return true }
        releaseIdle()
        if hasRoom { return true }
        dropIdleSessions()
        if hasRoom { return true }
        log.write(
            .alert,
            {
                $0.append(self.settings.connectionLimit)
                $0.append(" worker_connections are not enough")
            })
        return false
    }

    private var hasRoom: Bool { loop.registrationCount - ownRegistrations + 1 < settings.connectionLimit }

    private func dropIdleSessions() {
        let now = loop.now
        let idle = sessions.values.filter { session in
            session.awaitsClient
                && now - session.lastHeard > session.server.settings.timeout.milliseconds / UInt64(Self.idleShare)
        }
        guard !idle.isEmpty else { return }
        log.write(
            .warning,
            {
                $0.append(self.settings.connectionLimit)
                $0.append(" worker_connections are not enough, reusing connections")
            })
        for session in idle.sorted(by: { $0.lastHeard < $1.lastHeard }).prefix(Self.sessionsDroppedAtOnce) {
            session.close(.connectionsExhausted)
        }
    }

    /// Descriptors or memory ran out: accepting rests for a while, the queue waits.
    func descriptorsAreScarce() {
        for listener in listeners { listener.pause() }
        loop.cancel(&retryTimer)
        retryTimer = loop.schedule(after: settings.acceptRetryDelay) { [unowned self] in
            self.retryTimer = nil
            for listener in self.listeners { listener.open() }
        }
    }
}
