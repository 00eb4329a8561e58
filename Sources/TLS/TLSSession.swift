import COpenSSL
import Glibc

/// How far a handshake or a shutdown has come.
package enum TLSProgress: Equatable, Sendable {
    case done, wantsRead, wantsWrite
    /// The peer has gone.
    case closed
}

/// One TLS connection; the owner of an `SSL *`, not of the descriptor.
///
/// The descriptor is in non-blocking mode. Reading ahead is on: read until ``Outcome/wantsRead`` before waiting for
/// the descriptor. The process ignores SIGPIPE.
package struct TLSSession: ~Copyable {
    package typealias Progress = TLSProgress

    package enum Outcome: Equatable, Sendable {
        case bytes(Int), wantsRead, wantsWrite
        /// The peer has sent close_notify.
        case closed
        /// The connection ended without close_notify.
        case endOfStream
    }

    let ssl: OpaquePointer

    /// Takes over a bare `SSL *`, as ``release()`` gave it.
    package init(adopting ssl: OpaquePointer) { self.ssl = ssl }

    deinit { SSL_free(ssl) }

    /// Gives the `SSL *` to the relay, which ends it with ``TLSRaw/free(_:)``.
    package consuming func release() -> OpaquePointer {
        let released = ssl
        discard self
        return released
    }

    /// Goes on with the handshake.
    ///
    /// - Throws: ``TLSError``; an alert has been sent where the peer's bytes were at fault.
    package mutating func handshake() throws(TLSError) -> TLSProgress {
        ERR_clear_error()
        errno = 0
        let result = SSL_do_handshake(ssl)
        return result == 1 ? .done : try progress(TLSRaw.outcome(ssl, result), "SSL_do_handshake")
    }

    /// Reads at most one record's worth into `space`, which is not empty.
    package mutating func read(into space: UnsafeMutableRawBufferPointer) throws(TLSError) -> Outcome {
        guard let start = space.baseAddress, space.count > 0 else { return .bytes(0) }
        return try outcome(TLSRaw.read(ssl, start, space.count), "SSL_read")
    }

    /// Writes at most one record's worth. After ``Outcome/wantsWrite`` the same bytes must come next, from anywhere.
    package mutating func write(_ bytes: UnsafeRawBufferPointer) throws(TLSError) -> Outcome {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return .bytes(0) }
        return try outcome(TLSRaw.write(ssl, start, bytes.count), "SSL_write")
    }

    /// Sends close_notify, then waits for the peer's. Not to be called after a ``TLSError``.
    ///
    /// - Returns: `.done` when both are through, `.closed` if the peer left without one.
    package mutating func shutdown() throws(TLSError) -> TLSProgress {
        // A session that has not finished its handshake cannot say good-bye.
        guard SSL_in_init(ssl) == 0 else { return .done }
        var result: CInt = 0
        // The first round sends ours, the second looks for the peer's.
        for _ in 0..<2 where result == 0 {
            ERR_clear_error()
            errno = 0
            result = SSL_shutdown(ssl)
        }
        guard result < 0 else { return result == 1 ? .done : .wantsRead }
        let outcome = TLSRaw.outcome(ssl, result)
        // Bytes the peer had still on their way are of no interest any more.
        if outcome == TLSRaw.failed,
            openssl_error_reason(ERR_peek_last_error()) == SSL_R_APPLICATION_DATA_AFTER_CLOSE_NOTIFY
        {
            ERR_clear_error()
            return .closed
        }
        return try progress(outcome, "SSL_shutdown")
    }

    /// Decrypted bytes that a read would give without asking the socket.
    package var pendingByteCount: Int { TLSRaw.pending(ssl) }

    private func outcome(_ result: Int, _ call: String) throws(TLSError) -> Outcome {
        switch result {
        case TLSRaw.wantsRead: return .wantsRead
        case TLSRaw.wantsWrite: return .wantsWrite
        case TLSRaw.closed: return .closed
        case TLSRaw.endOfStream: return .endOfStream
        case TLSRaw.failed: throw TLSRaw.error(call)
        default: return .bytes(result)
        }
    }

    private func progress(_ result: Int, _ call: String) throws(TLSError) -> TLSProgress {
        switch result {
        case TLSRaw.wantsRead: return .wantsRead
        case TLSRaw.wantsWrite: return .wantsWrite
        case TLSRaw.failed: throw TLSRaw.error(call)
        default: return .closed
        }
    }
}
