import COpenSSL
import Config
import Glibc

/// A TLS call that failed. The connection is over; nothing more may be read or written, not even a close_notify.
package struct TLSError: Error, Equatable {
    /// The call as messages name it: `SSL_do_handshake`, `SSL_read`, `SSL_write`, `SSL_shutdown`.
    package let call: String
    /// What the library says, as it stands in the log: `(SSL: error:0A00010B:SSL routines::wrong version number)`;
    /// empty if the failure is the socket's.
    package let text: String
    /// Brought about by the peer (logged at info), not by us (crit): `tls.md` section 6.
    package let isPeersFault: Bool
    /// The error of the socket, 0 if it was not the socket.
    package let systemErrno: CInt

    /// The socket ended the handshake: that is told in words of its own.
    package var isPeerGoneInHandshake: Bool { text.isEmpty && call == "SSL_do_handshake" }

    /// The whole text for the log, such as `SSL_read() failed (SSL: ...)`.
    package var message: String {
        let reason = systemErrno == 0 ? "" : " (\(systemErrno): \(String(cString: strerror(systemErrno))))"
        if isPeerGoneInHandshake { return "peer closed connection in SSL handshake\(reason)" }
        return "\(call)() failed\(reason)\(text.isEmpty ? "" : " " + text)"
    }

    /// What just went wrong, from the error queue, which is emptied.
    ///
    /// - Parameter code: The value of `errno` right after the call, if the library blames the socket.
    init(_ call: String, errno code: CInt = 0) {
        let last = ERR_peek_last_error()
        self.call = call
        text = OpenSSLErrors.drain()
        isPeersFault = text.isEmpty ? Self.isOrdinary(code) : OpenSSLErrors.isPeersFault(last)
        systemErrno = code
    }

    /// The ordinary network errors of `mail-session.md` 9.2.
    private static func isOrdinary(_ code: CInt) -> Bool {
        switch code {
        case 0, ECONNRESET, EPIPE, ENOTCONN, ETIMEDOUT, ECONNREFUSED, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH:
            true
        default: false
        }
    }
}

/// The library's queue of errors. There is one for the whole process: whoever looks at it empties it.
enum OpenSSLErrors {
    /// ` (SSL: error:CODE:LIB:FUNC:REASON:DATA error:...)` without the leading space; empty if nothing is queued.
    static func drain() -> String {
        var entries: [String] = []
        while let entry = next() { entries.append(entry) }
        return entries.isEmpty ? "" : "(SSL: \(entries.joined(separator: " ")))"
    }

    private static func next() -> String? {
        var data: UnsafePointer<CChar>?
        var hasText: CInt = 0
        let code = openssl_next_error(&data, &hasText)
        guard code != 0 else { return nil }
        let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            ERR_error_string_n(code, buffer.baseAddress, buffer.count)
            return String(cString: buffer.baseAddress!)
        }
        guard hasText != 0, let data, data.pointee != 0 else { return text }
        return "\(text):\(String(cString: data))"
    }

    /// The error for the operator: `TEXT (SSL: ...)`, without a place.
    static func configError(_ text: String) -> ConfigError {
        let queue = drain()
        return ConfigError(queue.isEmpty ? text : "\(text) \(queue)")
    }

    /// Reasons that a peer can bring about at will. Alerts it sent have reasons from 1000 on.
    static func isPeersFault(_ code: UInt) -> Bool {
        guard openssl_error_library(code) == ERR_LIB_SSL else { return false }
        return switch openssl_error_reason(code) {
        case 1000...1255: true
        case SSL_R_APP_DATA_IN_HANDSHAKE, SSL_R_BAD_CHANGE_CIPHER_SPEC, SSL_R_BAD_CIPHER, SSL_R_BAD_DATA,
            SSL_R_BAD_DH_VALUE, SSL_R_BAD_DIGEST_LENGTH, SSL_R_BAD_EARLY_DATA, SSL_R_BAD_ECC_CERT, SSL_R_BAD_ECPOINT,
            SSL_R_BAD_EXTENSION, SSL_R_BAD_HANDSHAKE_LENGTH, SSL_R_BAD_HELLO_REQUEST, SSL_R_BAD_KEY_SHARE,
            SSL_R_BAD_KEY_UPDATE, SSL_R_BAD_LEGACY_VERSION, SSL_R_BAD_LENGTH, SSL_R_BAD_PACKET,
            SSL_R_BAD_PROTOCOL_VERSION_NUMBER, SSL_R_BAD_PSK, SSL_R_BAD_PSK_IDENTITY, SSL_R_BAD_RECORD_TYPE,
            SSL_R_BAD_RSA_ENCRYPT, SSL_R_BAD_SIGNATURE,
            SSL_R_BINDER_DOES_NOT_VERIFY, SSL_R_BLOCK_CIPHER_PAD_IS_WRONG, SSL_R_CCS_RECEIVED_EARLY,
            SSL_R_CERTIFICATE_VERIFY_FAILED, SSL_R_CERT_LENGTH_MISMATCH, SSL_R_CIPHERSUITE_DIGEST_HAS_CHANGED,
            SSL_R_CLIENTHELLO_TLSEXT, SSL_R_COMPRESSION_DISABLED, SSL_R_DATA_BETWEEN_CCS_AND_FINISHED,
            SSL_R_DATA_LENGTH_TOO_LONG, SSL_R_DECRYPTION_FAILED, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
            SSL_R_DH_KEY_TOO_SMALL, SSL_R_DIGEST_CHECK_FAILED, SSL_R_DUPLICATE_COMPRESSION_ID,
            SSL_R_ENCRYPTED_LENGTH_TOO_LONG, SSL_R_ERROR_IN_RECEIVED_CIPHER_LIST, SSL_R_EXCESSIVE_MESSAGE_SIZE,
            SSL_R_EXTRA_DATA_IN_MESSAGE, SSL_R_GOT_A_FIN_BEFORE_A_CCS, SSL_R_HTTPS_PROXY_REQUEST,
            SSL_R_HTTP_REQUEST, SSL_R_INAPPROPRIATE_FALLBACK, SSL_R_INCONSISTENT_EXTMS, SSL_R_INVALID_ALERT,
            SSL_R_INVALID_CCS_MESSAGE, SSL_R_INVALID_CERTIFICATE_OR_ALG, SSL_R_INVALID_COMPRESSION_ALGORITHM,
            SSL_R_INVALID_SEQUENCE_NUMBER, SSL_R_INVALID_STATUS_RESPONSE, SSL_R_LENGTH_MISMATCH,
            SSL_R_LENGTH_TOO_LONG, SSL_R_LENGTH_TOO_SHORT, SSL_R_MISSING_SIGALGS_EXTENSION,
            SSL_R_MISSING_SIGNING_CERT, SSL_R_NOT_ON_RECORD_BOUNDARY, SSL_R_NO_APPLICATION_PROTOCOL,
            SSL_R_NO_CIPHERS_SPECIFIED, SSL_R_NO_CLIENT_CERT_METHOD,
            SSL_R_NO_COMPRESSION_SPECIFIED, SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_NO_RENEGOTIATION,
            SSL_R_NO_REQUIRED_DIGEST, SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SHARED_GROUPS,
            SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, SSL_R_NO_SUITABLE_DIGEST_ALGORITHM, SSL_R_NO_SUITABLE_GROUPS,
            SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
            SSL_R_OVERFLOW_ERROR, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_PARSE_TLSEXT,
            SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
            SSL_R_RECORD_LENGTH_MISMATCH, SSL_R_RECORD_TOO_SMALL, SSL_R_RENEGOTIATE_EXT_TOO_LONG,
            SSL_R_RENEGOTIATION_ENCODING_ERR, SSL_R_RENEGOTIATION_MISMATCH, SSL_R_REQUIRED_CIPHER_MISSING,
            SSL_R_SCSV_RECEIVED_WHEN_RENEGOTIATING, SSL_R_SIGNATURE_ALGORITHMS_ERROR,
            SSL_R_SSL3_EXT_INVALID_MAX_FRAGMENT_LENGTH, SSL_R_SSL3_EXT_INVALID_SERVERNAME,
            SSL_R_SSL_HANDSHAKE_FAILURE, SSL_R_SSL_NEGATIVE_LENGTH, SSL_R_TLS_INVALID_ECPOINTFORMAT_LIST,
            SSL_R_TOO_MANY_KEY_UPDATES, SSL_R_TOO_MANY_WARN_ALERTS, SSL_R_TOO_MUCH_EARLY_DATA,
            SSL_R_UNEXPECTED_CCS_MESSAGE, SSL_R_UNEXPECTED_EOF_WHILE_READING, SSL_R_UNEXPECTED_END_OF_EARLY_DATA,
            SSL_R_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD, SSL_R_UNKNOWN_ALERT_TYPE,
            SSL_R_UNKNOWN_CIPHER_RETURNED, SSL_R_UNKNOWN_CIPHER_TYPE, SSL_R_UNKNOWN_PROTOCOL,
            SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, SSL_R_UNSOLICITED_EXTENSION,
            SSL_R_UNSUPPORTED_COMPRESSION_ALGORITHM, SSL_R_UNSUPPORTED_ELLIPTIC_CURVE, SSL_R_UNSUPPORTED_PROTOCOL,
            SSL_R_UNSUPPORTED_SSL_VERSION, SSL_R_VERSION_TOO_HIGH, SSL_R_VERSION_TOO_LOW,
            SSL_R_WRONG_CERTIFICATE_TYPE, SSL_R_WRONG_CURVE, SSL_R_WRONG_SIGNATURE_LENGTH,
            SSL_R_WRONG_SIGNATURE_SIZE, SSL_R_WRONG_SIGNATURE_TYPE, SSL_R_WRONG_SSL_VERSION,
            SSL_R_WRONG_VERSION_NUMBER:
            true
        default: false
        }
    }
}

/// The TLS library this process runs with.
package enum TLSLibrary {
    /// For example `OpenSSL 3.0.22 25 Aug 2026`.
    package static var version: String { String(cString: OpenSSL_version(OPENSSL_VERSION)) }
}
