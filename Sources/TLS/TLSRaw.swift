public import COpenSSL
import Glibc

/// Reading and writing on a bare `SSL *`, for the relay, whose sessions own no Swift object.
///
/// Results are counts or one of the negative codes; ``TLSSession`` gives the same as values. What failed is found by
/// ``error(_:)``, called at once.
@usableFromInline package enum TLSRaw {
    @inlinable package static var wantsRead: Int { -1 }
    @inlinable package static var wantsWrite: Int { -2 }
    /// The peer has sent close_notify.
    @inlinable package static var closed: Int { -3 }
    /// The connection ended without close_notify.
    @inlinable package static var endOfStream: Int { -4 }
    @inlinable package static var failed: Int { -5 }

    /// Reads what one record gives, at most `count` bytes; `count` is not 0.
    @inlinable package static func read(_ ssl: OpaquePointer, _ start: UnsafeMutableRawPointer, _ count: Int) -> Int {
        ERR_clear_error()
        let result = SSL_read(ssl, start, CInt(clamping: count))
        return result > 0 ? Int(result) : outcome(ssl, result)
    }

    /// Writes at most one record; `count` is not 0. After ``wantsWrite`` the same bytes, or more, must come next.
    @inlinable package static func write(_ ssl: OpaquePointer, _ start: UnsafeRawPointer, _ count: Int) -> Int {
        ERR_clear_error()
        let result = SSL_write(ssl, start, CInt(clamping: count))
        return result > 0 ? Int(result) : outcome(ssl, result)
    }

    /// Decrypted bytes that a read would give without asking the socket.
    @inlinable package static func pending(_ ssl: OpaquePointer) -> Int { Int(SSL_pending(ssl)) }

    /// Why a call gave no bytes.
    @usableFromInline package static func outcome(_ ssl: OpaquePointer, _ result: CInt) -> Int {
        let code = errno
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return wantsRead
        case SSL_ERROR_WANT_WRITE: return wantsWrite
        // With SSL_OP_IGNORE_UNEXPECTED_EOF a bare end looks like close_notify, except to the socket's BIO.
        case SSL_ERROR_ZERO_RETURN: return openssl_bio_at_end(SSL_get_rbio(ssl)) == 0 ? closed : endOfStream
        case SSL_ERROR_SYSCALL where code == 0 && ERR_peek_error() == 0: return endOfStream
        default:
            errno = code
            return failed
        }
    }

    /// The failure that the last call answered ``failed`` for; empties the error queue.
    ///
    /// - Parameter call: `SSL_read` or `SSL_write`.
    package static func error(_ call: String) -> TLSError {
        TLSError(call, errno: ERR_peek_error() == 0 ? errno : 0)
    }

    /// Ends an adopted session without a word to the peer.
    @inlinable package static func free(_ ssl: OpaquePointer) { SSL_free(ssl) }
}
