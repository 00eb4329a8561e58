import Bytes
import EventLoop
import Glibc
import Platform
import Testing
import Transport

/// Counts what it hears, and ends the loop's turn.
private final class Listener: ConnectionDelegate {
    var count = 0
    func connectionReady(_ connection: Connection) { count += 1 }
}

/// A connection, and the test's own end of the same pair of sockets.
private final class Pair {
    let loop: EventLoop
    let connection: Connection
    let delegate = Listener()
    let peer: CInt

    init() throws {
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
        loop = try EventLoop()
        connection = try Connection(owning: ends[0], loop: loop)
        peer = ends[1]
        connection.delegate = delegate
    }

    deinit { _ = close(peer) }

    /// Reads all that has arrived at the test's end.
    func arrived() -> [UInt8] {
        var space = [UInt8](repeating: 0, count: 65_536)
        var all: [UInt8] = []
        while case let count = read(peer, &space, space.count), count > 0 { all += space[..<count] }
        return all
    }

    func receive(_ capacity: Int = 64) -> String {
        var space = [UInt8](repeating: 0, count: capacity)
        return switch space.withUnsafeMutableBytes({ connection.receive(into: $0) }) {
        case .bytes(let count): String(decoding: space[..<count], as: UTF8.self)
        case .wouldBlock: "(would block)"
        case .endOfStream: "(end)"
        case .failed(let failure): "\(failure)"
        }
    }
}

@Suite struct `Connections` {
    @Test func `a refused connect is told to the delegate`() throws {
        // A port that was bound and is not listened on: nobody else can take it meanwhile.
        let socket = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        let anyPort = SocketAddress(.ipv4([127, 0, 0, 1]), port: 0)
        try #require(anyPort.withKernelForm { bind(socket, $0.assumingMemoryBound(to: sockaddr.self), $1) } == 0)
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutableBytes(of: &storage) {
            getsockname(socket, $0.assumingMemoryBound(to: sockaddr.self).baseAddress!, &length)
        }
        try #require(status == 0)
        let address = try #require(SocketAddress(storage, length: Int(length)))

        let loop = try EventLoop()
        let connection = try Connection.connect(to: address, loop: loop)
        let delegate = Listener()
        connection.delegate = delegate
        #expect(!connection.isWritable)
        loop.turn()
        #expect(delegate.count == 1)
        #expect(connection.connectFailure() == SystemError(call: "connect", errno: ECONNREFUSED))
        #expect(connection.seemsClosed)
    }

    @Test func `what does not fit into the socket is kept, and goes when there is room`() throws {
        let pair = try Pair()
        let large = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        guard case .pending = pair.connection.send(large) else { return #expect(Bool(false), "all of it was sent") }
        guard case .pending = pair.connection.send(Array("end".utf8)) else {
            return #expect(Bool(false), "overtook what was before")
        }
        #expect(pair.connection.hasPendingOutput && !pair.connection.isWritable)

        var arrived: [UInt8] = []
        for _ in 0..<10_000 where pair.connection.hasPendingOutput {
            arrived += pair.arrived()
            pair.loop.turn()
            #expect(pair.connection.isWritable, "the delegate hears of room")
            guard case .failed = pair.connection.flush() else { continue }
            return #expect(Bool(false), "flush failed")
        }
        arrived += pair.arrived()
        #expect(arrived == large + Array("end".utf8))
        #expect(pair.delegate.count > 0)
    }

    @Test func `sending to a peer that has gone fails`() throws {
        let pair = try Pair()
        shutdown(pair.peer, CInt(SHUT_RD))
        guard case .failed(.system(let error)) = pair.connection.send([1]) else {
            return #expect(Bool(false), "it was sent")
        }
        #expect(error == SystemError(call: "send", errno: EPIPE))
    }

    @Test func `the end of the stream comes after the bytes before it`() throws {
        let pair = try Pair()
        #expect(pair.receive() == "(would block)")
        #expect(!pair.connection.isReadable)
        #expect(write(pair.peer, "abcdef", 6) == 6)
        shutdown(pair.peer, CInt(SHUT_WR))
        pair.loop.turn()
        #expect(pair.connection.isReadable && pair.connection.seemsClosed)
        #expect(pair.receive(4) == "abcd")
        #expect(pair.receive(4) == "ef")
        #expect(pair.connection.isReadable, "no further edge will tell of the end")
        #expect(pair.receive(4) == "(end)")
    }

    @Test func `nothing can be received into no space`() throws {
        let pair = try Pair()
        #expect(write(pair.peer, "a", 1) == 1)
        #expect(pair.receive(0) == "(would block)")
        #expect(pair.receive(1) == "a")
    }

    @Test func `detaching leaves the descriptor open and registered`() throws {
        let pair = try Pair()
        let number = pair.connection.descriptor
        let detached = pair.connection.detach()
        defer { close(detached.descriptor) }
        #expect(detached.descriptor == number && detached.ssl == nil)
        #expect(pair.connection.descriptor == -1)
        pair.connection.close()
        #expect(fcntl(number, F_GETFD) != -1)
        #expect(pair.loop.registrationCount == 1)

        // Whoever has it now goes on with the same registration.
        let heir = Heir()
        pair.loop.retarget(detached.registration, to: heir)
        #expect(write(pair.peer, "a", 1) == 1)
        pair.loop.turn()
        #expect(heir.count == 1)
        #expect(pair.delegate.count == 0)
        pair.loop.remove(detached.registration, number)
    }

    @Test func `closing takes it out of the loop, once`() throws {
        let pair = try Pair()
        let number = pair.connection.descriptor
        pair.connection.close()
        pair.connection.close()
        #expect(fcntl(number, F_GETFD) == -1)
        #expect(pair.loop.registrationCount == 0)
        #expect(pair.receive() == "(end)")
        guard case .failed = pair.connection.send([1]) else { return #expect(Bool(false), "it was sent") }
    }
}

private final class Heir: EventSource {
    var count = 0
    func ready(_ events: Events) { count += 1 }
}
