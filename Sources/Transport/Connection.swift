// One stream connection: a descriptor, TLS when it is on, what is still to be sent, and the readiness the kernel
// reported. Sessions and providers own connections and hear of them as delegates; bytes mean nothing here.

package import Bytes
import CLinux
package import EventLoop
import Glibc
package import Platform
package import TLS

/// Whoever acts on a connection.
package protocol ConnectionDelegate: AnyObject {
    /// Something changed: bytes to read, room to write, a connect that ended. Read until it would block.
    func connectionReady(_ connection: Connection)
}

/// Why a connection cannot go on.
package enum ConnectionFailure: Error {
    case system(SystemError)
    case tls(TLSError)
}

package final class Connection: EventSource {
    package enum Received { case bytes(Int), wouldBlock, endOfStream, failed(ConnectionFailure) }
    package enum Sent { case all, pending, failed(ConnectionFailure) }
    package enum SentAtOnce { case all, part, blocked, failed(ConnectionFailure) }
    package enum Handshake { case done, pending, closed, failed(ConnectionFailure) }

    package let loop: EventLoop
    package weak var delegate: (any ConnectionDelegate)?
    /// -1 once closed or given away.
    package var descriptor: CInt { number }
    package var isReadable: Bool { mayRead }
    package var isWritable: Bool { mayWrite }
    /// Something is still to be sent.
    package var hasPendingOutput: Bool { isKeeping }

    // Nothing that is called while one of them is changed comes back to this connection: libssl's callbacks know the TLS session
    // alone, and so does a closure of ``withTLS(_:)``. So there is nothing that could be seen half-changed, and the checks were
    // a tenth of a login. They are private, since other modules would check them all the same.
    @exclusivity(unchecked) private var number: CInt
    @exclusivity(unchecked) private var mayRead = false
    @exclusivity(unchecked) private var mayWrite = true
    /// The kernel said that the peer sends no more; reading goes on until it says so itself.
    @exclusivity(unchecked) private var peerHasClosed = false
    @exclusivity(unchecked) private var registration = Registration.none
    @exclusivity(unchecked) private var watched: Events
    @exclusivity(unchecked) private var tls: TLSSession?
    @exclusivity(unchecked) private var outgoing: [Outgoing] = []
    @exclusivity(unchecked) private var isKeeping = false
    @exclusivity(unchecked) private var outgoingStart = 0

    private enum Outgoing {
        case bytes([UInt8]), secret(Secret)
        var count: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .secret(let secret): secret.count
            }
        }
    }

    // MARK: Coming and going

    /// Takes an open, non-blocking socket over; it is the connection's to close, also when registering fails.
    package init(owning descriptor: CInt, loop: EventLoop, watching: Events = [.input, .peerClosed, .edgeTriggered])
        throws(SystemError)
    {
        (number, self.loop, watched) = (descriptor, loop, watching)
        do throws(SystemError) {
            registration = try loop.add(descriptor, watching, self)
        } catch {
            _ = Glibc.close(descriptor)
            number = -1
            throw error
        }
    }

    deinit { close() }

    /// Begins to connect. The delegate hears when that ended; ``connectFailure()`` then says how.
    ///
    /// - Parameter speaksFirst: The delegate wants to send something as soon as it can. Otherwise it is woken by the
    ///   peer's first bytes, or by a failure, and spared the news that the connect succeeded.
    package static func connect(
        to address: SocketAddress, loop: EventLoop, speaksFirst: Bool = true
    ) throws(SystemError) -> Connection {
        let descriptor = linux_socket_stream(address.family, 0)
        guard descriptor >= 0 else { throw .last("socket") }
        if address.family != AF_UNIX {
            // Without it a TLS login waits 44 ms for a delayed acknowledgement.
            _ = linux_setsockopt_int(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
        }
        let outcome = address.withKernelForm { linux_connect(descriptor, $0, $1) }
        if outcome != 0 && errno != EINPROGRESS {
            let error = SystemError.last("connect")
            _ = Glibc.close(descriptor)
            throw error
        }
        var events: Events = [.input, .peerClosed, .edgeTriggered]
        if speaksFirst { events.insert(.output) }
        let connection = try Connection(owning: descriptor, loop: loop, watching: events)
        connection.mayWrite = !speaksFirst
        return connection
    }

    /// What became of ``connect(to:loop:)``; nil when it succeeded.
    package func connectFailure() -> SystemError? {
        var code: CInt = 0
        guard linux_getsockopt_int(descriptor, SOL_SOCKET, SO_ERROR, &code) == 0 else { return .last("getsockopt") }
        return code == 0 ? nil : SystemError(call: "connect", errno: code)
    }

    /// Closes at once, without a word. Does nothing the second time.
    package func close() {
        guard descriptor >= 0 else { return }
        let closed = number
        number = -1
        tls = nil
        outgoing = []
        isKeeping = false
        loop.remove(registration, closed, isClosing: true)
        _ = Glibc.close(closed)
    }

    /// What is left of a connection when it is handed to the relay: the numbers, owned by nobody yet.
    package struct Detached {
        package var descriptor: CInt
        package var registration: Registration
        package var watched: Events
        package var ssl: OpaquePointer?
        package var isReadable: Bool
        package var isWritable: Bool
        package var peerHasClosed: Bool
    }

    /// Gives the descriptor, its registration and its TLS state away. The connection is over; nothing may be pending.
    package func detach() -> Detached {
        let detached = Detached(
            descriptor: descriptor, registration: registration, watched: watched, ssl: tls.take()?.release(),
            isReadable: isReadable, isWritable: isWritable, peerHasClosed: peerHasClosed)
        number = -1
        registration = .none
        return detached
    }

    // MARK: Readiness

    package func ready(_ events: Events) {
        if events.canRead { mayRead = true }
        if events.canWrite { mayWrite = true }
        if events.contains(.peerClosed) || events.contains(.hangup) || events.contains(.error) { peerHasClosed = true }
        delegate?.connectionReady(self)
    }

    /// The peer or the kernel has ended the connection, as far as readiness tells; unread data may still be there.
    package var seemsClosed: Bool { peerHasClosed }

    /// Readiness is reported at edges: whoever stops reading early must look again by itself.
    private func watchOutput() {
        guard !watched.contains(.output) else { return }
        watched.insert(.output)
        try? loop.modify(registration, descriptor, watched)
    }

    // MARK: Receiving

    /// Reads once. With less than `space` filled everything is read, until the delegate hears again.
    package func receive(into space: UnsafeMutableRawBufferPointer) -> Received {
        guard descriptor >= 0 else { return .endOfStream }
        // Reading nothing would look like the end.
        guard space.count > 0 else { return .wouldBlock }
        return tls == nil ? receivePlain(into: space) : receiveEncrypted(into: space)
    }

    private func receivePlain(into space: UnsafeMutableRawBufferPointer) -> Received {
        switch Stream.read(descriptor, into: space) {
        case .bytes(let count):
            if count < space.count && !peerHasClosed { mayRead = false }
            return .bytes(count)
        case .wouldBlock:
            mayRead = false
            return .wouldBlock
        case .endOfStream: return .endOfStream
        case .failed(let code): return .failed(.system(SystemError(call: "recv", errno: code)))
        }
    }

    /// Looks at what has come, without TLS, and leaves it to be received; what was seen before is there again.
    package func peek(into space: UnsafeMutableRawBufferPointer) -> Received {
        guard descriptor >= 0 else { return .endOfStream }
        guard space.count > 0 else { return .wouldBlock }
        switch Stream.peek(descriptor, into: space) {
        case .bytes(let count): return .bytes(count)
        case .wouldBlock:
            mayRead = false
            return .wouldBlock
        case .endOfStream: return .endOfStream
        case .failed(let code): return .failed(.system(SystemError(call: "recv", errno: code)))
        }
    }

    private func receiveEncrypted(into space: UnsafeMutableRawBufferPointer) -> Received {
        do {
            switch try tls?.read(into: space) {
            case .bytes(let count): return .bytes(count)
            case .wantsRead:
                mayRead = false
                return .wouldBlock
            case .wantsWrite:
                watchOutput()
                return .wouldBlock
            case .closed, .endOfStream, nil: return .endOfStream
            }
        } catch {
            return .failed(.tls(error))
        }
    }

    // MARK: Sending

    /// Sends, or keeps what does not go at once and sends it when there is room.
    package func send(_ bytes: [UInt8]) -> Sent { send(.bytes(bytes)) }

    package func send(_ secret: Secret) -> Sent { send(.secret(secret)) }

    private func send(_ item: Outgoing) -> Sent {
        guard !hasPendingOutput else {
            outgoing.append(item)
            return .pending
        }
        guard descriptor >= 0 else { return .failed(.system(SystemError(call: "send", errno: EPIPE))) }
        // Mostly all of it goes at once: nothing is kept then.
        switch write(item, from: 0) {
        case .count(let count) where count >= item.count: return .all
        case .count(let count):
            keep(item, from: count)
            return flush()
        case .blocked:
            keep(item, from: 0)
            watchOutput()
            return .pending
        case .failure(let failure): return .failed(failure)
        }
    }

    private func keep(_ item: Outgoing, from start: Int) {
        outgoing.append(item)
        outgoingStart = start
        isKeeping = true
    }

    private func write(_ item: Outgoing, from start: Int) -> WriteOrFailure {
        switch item {
        case .bytes(let bytes): write(bytes.span.extracting(start...))
        case .secret(let secret): secret.withBytes { write($0.extracting(start...)) }
        }
    }

    /// Sends what is pending, as far as it goes.
    package func flush() -> Sent {
        guard descriptor >= 0 else { return .failed(.system(SystemError(call: "send", errno: EPIPE))) }
        while let first = outgoing.first {
            switch write(first, from: outgoingStart) {
            case .count(let count):
                outgoingStart += count
                if outgoingStart >= first.count {
                    outgoing.removeFirst()
                    outgoingStart = 0
                    isKeeping = !outgoing.isEmpty
                }
            case .blocked:
                watchOutput()
                return .pending
            case .failure(let failure): return .failed(failure)
            }
        }
        return .all
    }

    /// Sends all with one call, or as much as goes: nothing is kept, and ready is told when there is room again.
    package func sendAtOnce(_ bytes: [UInt8]) -> SentAtOnce {
        guard !hasPendingOutput, descriptor >= 0 else { return .part }
        switch write(bytes.span) {
        case .count(let count): return count == bytes.count ? .all : .part
        case .blocked:
            watchOutput()
            return .blocked
        case .failure(let failure): return .failed(failure)
        }
    }

    private enum WriteOrFailure { case count(Int), blocked, failure(ConnectionFailure) }

    private func write(_ bytes: Span<UInt8>) -> WriteOrFailure {
        guard bytes.count > 0 else { return .count(0) }
        return bytes.withUnsafeBytes { raw in tls == nil ? writePlain(raw) : writeEncrypted(raw) }
    }

    private func writePlain(_ bytes: UnsafeRawBufferPointer) -> WriteOrFailure {
        switch Stream.write(descriptor, bytes) {
        case .bytes(let count): return .count(count)
        case .wouldBlock:
            mayWrite = false
            return .blocked
        case .failed(let code): return .failure(.system(SystemError(call: "send", errno: code)))
        }
    }

    private func writeEncrypted(_ bytes: UnsafeRawBufferPointer) -> WriteOrFailure {
        do {
            switch try tls?.write(bytes) {
            case .bytes(let count): return .count(count)
            case .wantsRead: return .blocked
            case .wantsWrite:
                mayWrite = false
                return .blocked
            case .closed, .endOfStream, nil:
                return .failure(.system(SystemError(call: "send", errno: EPIPE)))
            }
        } catch {
            return .failure(.tls(error))
        }
    }

    // MARK: TLS

    package var isEncrypted: Bool { tls != nil }

    /// Puts TLS on; the handshake is still to be done.
    package func startTLS(_ context: TLSContext) throws(TLSError) {
        tls = try context.accept(descriptor)
        // Bytes may have come together with what was read before.
        mayRead = true
    }

    /// Goes on with the handshake, as far as it goes.
    package func handshake() -> Handshake {
        do {
            switch try tls?.handshake() {
            case .done: return .done
            case .wantsRead:
                mayRead = false
                return .pending
            case .wantsWrite:
                mayWrite = false
                watchOutput()
                return .pending
            case .closed, nil: return .closed
            }
        } catch {
            return .failed(.tls(error))
        }
    }

    /// Sends close_notify; `.done` when the peer's is there too.
    package func shutdownTLS() -> Handshake {
        do {
            switch try tls?.shutdown() {
            case .done, .closed, nil: return .done
            case .wantsRead: return .pending
            case .wantsWrite:
                watchOutput()
                return .pending
            }
        } catch {
            return .failed(.tls(error))
        }
    }

    /// Looks at the TLS session; nil without TLS.
    package func withTLS<Result>(_ body: (inout TLSSession) -> Result) -> Result? {
        guard tls != nil else { return nil }
        return body(&tls!)
    }

    // MARK: Addresses

    /// The local address of the socket.
    package func localAddress() throws(SystemError) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = UInt32(MemoryLayout<sockaddr_storage>.size)
        guard linux_getsockname(descriptor, &storage, &length) == 0,
            let address = SocketAddress(storage, length: Int(length))
        else { throw .last("getsockname") }
        return address
    }
}
