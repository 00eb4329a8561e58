import EventLoop
import Glibc
import Platform
import TLS
import Transport

// Reading from one endpoint of a relay and writing to the other.

extension Relay {
    enum Filled { case bytes(Int), nothing, end, failed(ConnectionFailure) }
    enum Written { case done, blocked, failed(ConnectionFailure) }

    /// Reads into the relay's buffer, as much as is there and fits.
    func fill(from source: UnsafeMutablePointer<RelayEndpoint>) -> Filled {
        if let ssl = source.pointee.ssl { return fillEncrypted(from: source, ssl) }
        switch Stream.read(source.pointee.descriptor, into: buffer) {
        case .bytes(let count):
            // Less than asked for is everything, unless the peer's FIN is behind it.
            if count < buffer.count && !source.pointee.flags.isEnding { source.pointee.flags.isReadable = false }
            return .bytes(count)
        case .wouldBlock:
            source.pointee.flags.isReadable = false
            return .nothing
        case .endOfStream: return .end
        case .failed(let code): return .failed(.system(SystemError(call: "recv", errno: code)))
        }
    }

    /// Several records make one write to the other side.
    private func fillEncrypted(from source: UnsafeMutablePointer<RelayEndpoint>, _ ssl: OpaquePointer) -> Filled {
        var filled = 0
        while filled < buffer.count {
            let room = buffer.count - filled
            guard let start = buffer.baseAddress else { return .nothing }
            let outcome = TLSRaw.read(ssl, start + filled, room)
            if outcome > 0 {
                filled += outcome
            } else if filled > 0 && outcome < TLSRaw.wantsWrite {
                // The end is told when what came before it has gone.
                return .bytes(filled)
            } else {
                return stopped(outcome, source, filled)
            }
        }
        return .bytes(filled)
    }

    /// Why a TLS read gave no more.
    private func stopped(_ outcome: Int, _ source: UnsafeMutablePointer<RelayEndpoint>, _ filled: Int) -> Filled {
        switch outcome {
        case TLSRaw.wantsRead:
            source.pointee.flags.isReadable = false
            return filled > 0 ? .bytes(filled) : .nothing
        case TLSRaw.wantsWrite:
            watchOutput(source)
            return filled > 0 ? .bytes(filled) : .nothing
        case TLSRaw.failed: return .failed(.tls(TLSRaw.error("SSL_read")))
        default: return .end
        }
    }

    /// Writes, and keeps what is not taken.
    func write(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutablePointer<RelayEndpoint>) -> Written {
        var start = 0
        while start < bytes.count {
            switch writeOnce(UnsafeRawBufferPointer(rebasing: bytes[start...]), to: target) {
            case .bytes(let count): start += count
            case .wouldBlock:
                Self.keep(UnsafeRawBufferPointer(rebasing: bytes[start...]), in: target)
                watchOutput(target)
                return .blocked
            case .failed(let failure): return .failed(failure)
            }
        }
        return .done
    }

    /// Writes what was kept; the memory goes when nothing is left.
    func flush(_ target: UnsafeMutablePointer<RelayEndpoint>) -> Written {
        guard target.pointee.flags.isWritable else { return .blocked }
        while let pending = target.pointee.pending {
            let rest = UnsafeRawBufferPointer(
                start: pending + Int(target.pointee.pendingStart), count: target.pointee.pendingCount)
            switch writeOnce(rest, to: target) {
            case .bytes(let count):
                target.pointee.pendingStart &+= UInt32(truncatingIfNeeded: count)
                if target.pointee.pendingCount == 0 {
                    pending.deallocate()
                    target.pointee.pending = nil
                }
            case .wouldBlock:
                watchOutput(target)
                return .blocked
            case .failed(let failure): return .failed(failure)
            }
        }
        return .done
    }

    private enum Once { case bytes(Int), wouldBlock, failed(ConnectionFailure) }

    private func writeOnce(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutablePointer<RelayEndpoint>) -> Once {
        if let ssl = target.pointee.ssl {
            guard let start = bytes.baseAddress else { return .bytes(0) }
            let outcome = TLSRaw.write(ssl, start, bytes.count)
            switch outcome {
            case TLSRaw.wantsRead: return .wouldBlock
            case TLSRaw.wantsWrite:
                target.pointee.flags.isWritable = false
                return .wouldBlock
            case TLSRaw.closed, TLSRaw.endOfStream:
                return .failed(.system(SystemError(call: "send", errno: EPIPE)))
            case TLSRaw.failed: return .failed(.tls(TLSRaw.error("SSL_write")))
            default: return .bytes(outcome)
            }
        }
        switch Stream.write(target.pointee.descriptor, bytes) {
        case .bytes(let count): return .bytes(count)
        case .wouldBlock:
            target.pointee.flags.isWritable = false
            return .wouldBlock
        case .failed(let code): return .failed(.system(SystemError(call: "send", errno: code)))
        }
    }

    /// Copies what the other side sent and this one does not take yet. At most one buffer: nothing more is read
    /// until it is gone.
    static func keep(_ bytes: UnsafeRawBufferPointer, in target: UnsafeMutablePointer<RelayEndpoint>) {
        guard bytes.count > 0 else { return }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 16)
        copy.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        target.pointee.pending = copy
        target.pointee.pendingStart = 0
        target.pointee.pendingEnd = UInt32(truncatingIfNeeded: bytes.count)
    }

    /// Room to write is watched for from the first time there was none.
    private func watchOutput(_ endpoint: UnsafeMutablePointer<RelayEndpoint>) {
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
        flags.isReadable = true
        flags.isWritable = true
        flags.isEnding = connection.peerHasClosed
    }
}
