package import EventLoop
import Platform
import Transport

/// A worker's connections to authentication services that wait for the next login (decisions.md 11).
package final class HTTPAuthPool {
    /// The longest rest of an answer that is read for the sake of its connection, and the longest wait for it.
    static let longestRest = 65_536
    static let restTime = Duration.seconds(5)

    let loop: EventLoop
    /// The connections kept, by the service's address, the most recently used last.
    private var kept: [SocketAddress: [HTTPAuthKeptConnection]] = [:]
    private var isKeeping = true
    /// What answers are read into; wiped after each.
    let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)

    /// Whether one more connection may be made; whoever refuses says so in the log. Asked before each connect.
    package var admits: () -> Bool = { true }

    package init(loop: EventLoop) { self.loop = loop }

    deinit {
        closeIdle()
        space.deallocate()
    }

    /// How many connections wait, the rest of whose answer is still being read among them.
    package var idleCount: Int { kept.values.reduce(0) { $0 + $1.count } }

    /// Closes what waits, and keeps nothing from now on: the worker is about to quit.
    package func stopKeeping() {
        isKeeping = false
        closeIdle()
    }

    /// Closes what waits: its descriptors are needed for something else.
    package func closeIdle() {
        let all = kept.values.joined()
        kept = [:]
        for connection in all { connection.end() }
    }

    /// A connection that was kept, if there is one.
    func take(to address: SocketAddress) -> Connection? {
        guard var connections = kept[address] else { return nil }
        defer { kept[address] = connections.isEmpty ? nil : connections }
        while let index = connections.lastIndex(where: { $0.isIdle }) {
            if let connection = connections.remove(at: index).release() { return connection }
        }
        return nil
    }

    /// Keeps a connection whose answer was read, except for `rest` bytes; or closes it.
    func keep(_ connection: Connection, to address: SocketAddress, rest: Int, limit: Int) {
        let count = kept[address]?.count ?? 0
        guard isKeeping, count < limit, rest <= Self.longestRest else { return connection.close() }
        let keeper = HTTPAuthKeptConnection(connection, to: address, rest: rest, pool: self)
        kept[address, default: []].append(keeper)
        keeper.begin()
    }

    func remove(_ connection: HTTPAuthKeptConnection) {
        kept[connection.address]?.removeAll { $0 === connection }
        if kept[connection.address]?.isEmpty == true { kept[connection.address] = nil }
    }
}

/// One connection in the pool. A byte too many, or the service's closing, ends it.
final class HTTPAuthKeptConnection: ConnectionDelegate {
    let address: SocketAddress
    /// nil once it is ended or in use again.
    private var connection: Connection?
    /// What is still to come of the last answer.
    private var rest: Int
    private var timer: TimerHandle?
    private unowned let pool: HTTPAuthPool  // owns this

    init(_ connection: Connection, to address: SocketAddress, rest: Int, pool: HTTPAuthPool) {
        (self.connection, self.address, self.rest, self.pool) = (connection, address, rest, pool)
    }

    deinit { end() }

    var isIdle: Bool { rest == 0 }

    func begin() {
        guard let connection else { return }
        connection.delegate = self
        if rest > 0 {
            timer = pool.loop.schedule(after: HTTPAuthPool.restTime) { [weak self] in self?.leave() }
        }
        connectionReady(connection)
    }

    /// Gives the connection back for use; nil when it has ended meanwhile.
    func release() -> Connection? {
        // Asked of the kernel, not of what it reported: a stray byte that came since would be the next user's verdict.
        guard let connection, !connection.seemsClosed, case .wouldBlock = connection.receive(into: pool.space) else {
            end()
            return nil
        }
        connection.delegate = nil
        self.connection = nil
        pool.loop.cancel(&timer)
        return connection
    }

    func end() {
        if timer != nil { pool.loop.cancel(&timer) }
        connection?.close()
        connection = nil
    }

    private func leave() {
        end()
        pool.remove(self)
    }

    func connectionReady(_ connection: Connection) {
        while connection.isReadable {
            switch connection.receive(into: pool.space) {
            case .wouldBlock: return
            case .bytes(let count) where count <= rest:
                rest -= count
                if rest == 0 { pool.loop.cancel(&timer) }
            case .bytes, .endOfStream, .failed: return leave()
            }
        }
        if connection.seemsClosed { leave() }
    }
}
