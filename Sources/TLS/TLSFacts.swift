import COpenSSL

/// What was agreed in a handshake, for the log, the authentication service and the PROXY header.
package struct TLSFacts: Equatable, Sendable {
    /// `TLSv1.2`, `TLSv1.3`, ...
    package let protocolVersion: String
    /// The library's name of the cipher.
    package let cipher: String
    package let isResumed: Bool
    /// The name the client asked for (SNI), nil if none. The peer's bytes: not checked in any way.
    package let serverName: [UInt8]?
    /// The application protocol agreed on, nil if the client offered none.
    package let applicationProtocol: String?
}

extension TLSSession {
    /// What the handshake has settled; of use once it is done.
    package var facts: TLSFacts {
        TLSFacts(
            protocolVersion: SSL_get_version(ssl).map { String(cString: $0) } ?? "",
            cipher: SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)).map { String(cString: $0) } ?? "",
            isResumed: openssl_reusable(ssl) != 0,
            serverName: serverName,
            applicationProtocol: applicationProtocol)
    }

    private var serverName: [UInt8]? {
        guard let name = openssl_server_name(ssl) else { return nil }
        var bytes: [UInt8] = []
        var next = name
        while next.pointee != 0 {
            bytes.append(UInt8(bitPattern: next.pointee))
            next += 1
        }
        return bytes
    }

    private var applicationProtocol: String? {
        var start: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &start, &count)
        guard let start, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: start, count: Int(count)), as: UTF8.self)
    }

    /// Drops the session from every cache, so that it cannot be resumed from there (a refused certificate).
    ///
    /// Tickets the client already holds cannot be called back; a resumed session has its certificate checked again.
    package mutating func forgetSession() {
        guard let session = SSL_get_session(ssl), let context = SSL_get_SSL_CTX(ssl) else { return }
        SSL_CTX_remove_session(context, session)
    }
}
