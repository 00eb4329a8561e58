import EventLoop
import Glibc
import Platform
import TLS
import Transport

// Reading from one endpoint of a relay and writing to the other: the hottest code there is. Outcomes are numbers, so
// that nothing is retained, copied or destroyed on the way; what failed is kept aside in `failure`.

extension Relay {
    /// No bytes for now: wait for readiness.
    static var nothing: Int { 0 }
    /// No bytes ever again.
    static var end: Int { -1 }
    /// Look at `failure`.
    static var failed: Int { -2 }

    /// Reads into the relay's buffer, as much as is there and fits.
    ///
    /// - Returns: The number of bytes, or ``nothing``, ``end`` or ``failed``.
    func fill(from source: UnsafeMutablePointer<RelayEndpoint>) -> Int {
        if let ssl = source.pointee.ssl { return fillEncrypted(from: source, ssl) }
        switch Stream.read(source.pointee.descriptor, into: buffer) {
        case .bytes(let count):
            // Less than asked for is everything, unless the peer's FIN is behind it.
            if count < buffer.count && !source.pointee.flags.isEnding { source.pointee.flags.isReadable = false }
            return count
        case .wouldBlock:
            source.pointee.flags.isReadable = false
            return Self.nothing
        case .endOfStream: return Self.end
        case .failed(let code): return fail(.system(SystemError(call: "recv", errno: code)))
        }
    }

    /// Several records make one write to the other side.
    private func fillEncrypted(from source: UnsafeMutablePointer<RelayEndpoint>, _ ssl: OpaquePointer) -> Int {
        guard let start = buffer.baseAddress else { return Self.nothing }
        var filled = 0
        while filled < buffer.count {
            let outcome = TLSRaw.read(ssl, start + filled, buffer.count - filled)
            if outcome > 0 {
                filled += outcome
                continue
            }
            switch outcome {
            case TLSRaw.wantsRead: source.pointee.flags.isReadable = false
            case TLSRaw.wantsWrite: watchOutput(source)
            // The end is met again, and told, when what came before it has gone.
            case _ where filled > 0: break
            case TLSRaw.failed: return fail(.tls(TLSRaw.error("SSL_read")))
            default: return Self.end
            }
            return filled
        }
        return filled
    }

    /// Writes, and keeps what is not taken.
    ///
    /// - Returns: ``nothing``, or ``failed``.
    func write(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutablePointer<RelayEndpoint>) -> Int {
        var start = 0
        while start < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
            let written = writeOnce(rest, to: target)
            if written > 0 {
                start += written
            } else if written == Self.failed {
                return written
            } else {
                Self.keep(rest, in: target)
                watchOutput(target)
                return Self.nothing
            }
        }
        return Self.nothing
    }

    /// Writes what was kept; the memory goes when nothing is left.
    ///
    /// - Returns: ``nothing``, or ``failed``.
    func flush(_ target: UnsafeMutablePointer<RelayEndpoint>) -> Int {
        guard target.pointee.flags.isWritable else { return Self.nothing }
        while let pending = target.pointee.pending {
            let rest = UnsafeRawBufferPointer(
                start: pending + Int(target.pointee.pendingStart), count: target.pointee.pendingCount)
            let written = writeOnce(rest, to: target)
            guard written > 0 else {
                watchOutput(target)
                return written
            }
            target.pointee.pendingStart &+= UInt32(truncatingIfNeeded: written)
            if target.pointee.pendingCount == 0 {
                pending.deallocate()
                target.pointee.pending = nil
            }
        }
        return Self.nothing
    }

    /// - Returns: The number of bytes taken, or ``nothing`` when there is no room, or ``failed``.
    private func writeOnce(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutablePointer<RelayEndpoint>) -> Int {
        if let ssl = target.pointee.ssl { return writeEncrypted(bytes, to: target, ssl) }
        switch Stream.write(target.pointee.descriptor, bytes) {
        case .bytes(let count): return count
        case .wouldBlock:
            target.pointee.flags.isWritable = false
            return Self.nothing
        case .failed(let code): return fail(.system(SystemError(call: "send", errno: code)))
        }
    }

    private func writeEncrypted(
        _ bytes: UnsafeRawBufferPointer, to target: UnsafeMutablePointer<RelayEndpoint>, _ ssl: OpaquePointer
    ) -> Int {
        guard let start = bytes.baseAddress else { return Self.nothing }
        let outcome = TLSRaw.write(ssl, start, bytes.count)
        switch outcome {
        case TLSRaw.wantsRead: return Self.nothing
        case TLSRaw.wantsWrite:
            target.pointee.flags.isWritable = false
            return Self.nothing
        case TLSRaw.closed, TLSRaw.endOfStream: return fail(.system(SystemError(call: "send", errno: EPIPE)))
        case TLSRaw.failed: return fail(.tls(TLSRaw.error("SSL_write")))
        default: return outcome
        }
    }

    func fail(_ failure: ConnectionFailure) -> Int {
        self.failure = failure
        return Self.failed
    }

    /// Copies what the other side sent and this one does not take yet. At most one buffer: nothing more is read
    /// until it is gone.
    static func keep(_ bytes: UnsafeRawBufferPointer, in target: UnsafeMutablePointer<RelayEndpoint>) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 16)
        copy.copyMemory(from: start, byteCount: bytes.count)
        target.pointee.pending = copy
        target.pointee.pendingStart = 0
        target.pointee.pendingEnd = UInt32(truncatingIfNeeded: bytes.count)
    }

    /// Room to write is watched for from the first time there was none.
    func watchOutput(_ endpoint: UnsafeMutablePointer<RelayEndpoint>) {
        let watched = Events(rawValue: endpoint.pointee.watched)
        guard !watched.contains(.output) else { return }
        endpoint.pointee.watched = watched.union(.output).rawValue
        try? loop.modify(endpoint.pointee.registration, endpoint.pointee.descriptor, watched.union(.output))
    }
}

extension RelayEndpoint {
    /// The endpoint made of a connection whose login is over.
    init(_ connection: Connection.Detached) {
        registration = connection.registration
        ssl = connection.ssl
        descriptor = connection.descriptor
        watched = connection.watched.rawValue
        flags.isReadable = connection.isReadable
        flags.isWritable = connection.isWritable
        flags.isEnding = connection.peerHasClosed
    }
}
