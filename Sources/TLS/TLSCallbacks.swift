import COpenSSL
import Glibc

/// What the library calls during handshakes. Closures without captures: each finds its ``TLSContext`` through the
/// `SSL_CTX`.
enum TLSCallbacks {
    static func install(in context: OpaquePointer, tickets: Bool, cache: Bool) {
        SSL_CTX_set_alpn_select_cb(context, selectProtocol, nil)
        SSL_CTX_set_info_callback(context, limitLifetime)
        if tickets { _ = openssl_set_ticket_callback(context, ticketKey) }
        if cache {
            SSL_CTX_sess_set_new_cb(context, storeSession)
            SSL_CTX_sess_set_get_cb(context, findSession)
            SSL_CTX_sess_set_remove_cb(context, removeSession)
        }
    }

    // MARK: ALPN (RFC 7301)

    /// A client that offers protocols must offer ours; who offers none is not asked. Where ours has no name, nothing is
    /// negotiated.
    private static let selectProtocol: SSL_CTX_alpn_select_cb_func = { ssl, out, outCount, offered, count, _ in
        guard let ours = TLSContext.of(SSL_get_SSL_CTX(ssl))?.applicationProtocol, let offered else {
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }
        guard !ours.isEmpty else { return SSL_TLSEXT_ERR_NOACK }
        let list = UnsafeBufferPointer(start: offered, count: Int(count))
        var next = 0
        while next < list.count {
            let start = next + 1
            let end = start + Int(list[next])
            guard end <= list.count else { break }
            if list[start..<end].elementsEqual(ours) {
                // The name in the client's own list: it lives as long as the library needs it.
                out?.pointee = offered + start
                outCount?.pointee = UInt8(ours.count)
                return SSL_TLSEXT_ERR_OK
            }
            next = end
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }

    // MARK: Client certificates

    /// Lets every handshake go on; the result is looked at afterwards, so that the client can be told in words.
    ///
    /// The library remembers only the last error. One that `optional_no_ca` may overlook must not hide one that it
    /// may not: the worse one is kept with the session and put back.
    static let verify: @convention(c) (CInt, OpaquePointer?) -> CInt = { isGood, store in
        guard isGood == 0, let store,
            let user = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx())
        else { return 1 }
        let ssl = OpaquePointer(user)
        let code = Int(X509_STORE_CTX_get_error(store))
        if !Verification.isTolerable(code) {
            SSL_set_ex_data(ssl, worstErrorIndex, UnsafeMutableRawPointer(bitPattern: code))
        } else if let worst = SSL_get_ex_data(ssl, worstErrorIndex) {
            X509_STORE_CTX_set_error(store, CInt(truncatingIfNeeded: Int(bitPattern: worst)))
        }
        return 1
    }

    private static let worstErrorIndex = openssl_ssl_session_index()
    private static let lifetimeIndex = openssl_ssl_session_index()

    // MARK: Lifetime of TLS 1.3 sessions

    /// The library would give a TLS 1.3 session its full lifetime anew with each resumption. Its age is taken off
    /// instead, once per connection; a session that is too old already can be resumed nowhere.
    private static let limitLifetime: @convention(c) (OpaquePointer?, CInt, CInt) -> Void = { ssl, place, _ in
        guard place & SSL_CB_ACCEPT_LOOP == SSL_CB_ACCEPT_LOOP, let ssl, SSL_version(ssl) == TLS1_3_VERSION,
            SSL_get_ex_data(ssl, lifetimeIndex) == nil, let session = SSL_get_session(ssl)
        else { return }
        SSL_set_ex_data(ssl, lifetimeIndex, UnsafeMutableRawPointer(bitPattern: 1))
        let now = time(nil)
        let age = now - SSL_SESSION_get_time(session)
        let timeout = min(SSL_SESSION_get_timeout(session), SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl)))
        if age >= timeout {
            SSL_SESSION_set1_id_context(session, [], 0)
        } else {
            SSL_SESSION_set_time(session, now)
            SSL_SESSION_set_timeout(session, timeout - max(0, age))
        }
    }

    // MARK: Tickets

    private static let ticketKey:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?, OpaquePointer?, OpaquePointer?,
            CInt
        ) -> CInt = { ssl, name, iv, cipher, mac, isSealing in
            guard let ssl, let name, let iv, let cipher, let mac,
                let context = TLSContext.of(SSL_get_SSL_CTX(ssl)), let keys = context.ticketKeys
            else { return isSealing == 1 ? -1 : 0 }
            let timeout = context.settings.sessionTimeoutSeconds
            if isSealing == 1 { return keys.seal(name: name, iv: iv, cipher: cipher, mac: mac, timeout: timeout) }
            return keys.open(
                name: name, iv: iv, cipher: cipher, mac: mac, timeout: timeout,
                alwaysRenews: SSL_version(ssl) == TLS1_3_VERSION)
        }

    // MARK: The shared session cache

    private static let storeSession: @convention(c) (OpaquePointer?, OpaquePointer?) -> CInt = { ssl, session in
        guard let ssl, let session, let context = TLSContext.of(SSL_get_SSL_CTX(ssl)) else { return 0 }
        // The library also reports TLS 1.3 sessions that the client keeps in a ticket.
        if SSL_version(ssl) == TLS1_3_VERSION, openssl_options_without_tickets(ssl) == 0 { return 0 }
        context.store(session)
        return 0
    }

    private static let findSession:
        @convention(c) (OpaquePointer?, UnsafePointer<UInt8>?, CInt, UnsafeMutablePointer<CInt>?) -> OpaquePointer? = {
            ssl, id, count, copies in
            copies?.pointee = 0
            guard let ssl, let id, count > 0, let table = TLSContext.of(SSL_get_SSL_CTX(ssl))?.sessionTable else {
                return nil
            }
            let name = UnsafeRawBufferPointer(start: id, count: Int(count))
            guard let session = table.find(id: name, now: time(nil)) else { return nil }
            return session.withUnsafeBufferPointer { bytes in
                var start = bytes.baseAddress
                return d2i_SSL_SESSION(nil, &start, bytes.count)
            }
        }

    private static let removeSession: @convention(c) (OpaquePointer?, OpaquePointer?) -> Void = { context, session in
        guard let session, let table = TLSContext.of(context)?.sessionTable else { return }
        withID(of: session) { table.remove(id: $0) }
    }

    static func withID<Result>(of session: OpaquePointer, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        var count: UInt32 = 0
        let start = SSL_SESSION_get_id(session, &count)
        return body(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(count)))
    }
}

extension TLSContext {
    /// Puts a session into the shared cache.
    fileprivate func store(_ session: OpaquePointer) {
        let count = Int(i2d_SSL_SESSION(session, nil))
        guard let table = sessionTable, count > 0, count <= TLSSessionTable.longestSession else { return }
        let now = time(nil)
        let expiry = now + min(SSL_SESSION_get_timeout(session), Int(Int32.max))
        let outcome = withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { space in
            var end = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
            i2d_SSL_SESSION(session, &end)
            defer { OPENSSL_cleanse(space.baseAddress, space.count) }
            return TLSCallbacks.withID(of: session) { id in
                table.store(id: id, session: UnsafeRawBufferPointer(space), expiry: expiry, now: now)
            }
        }
        guard outcome == .busy, now > lastCacheWarning, let cache = settings.sharedCache else { return }
        lastCacheWarning = now
        warn("could not allocate new session in SSL session shared cache \"\(cache.name)\"")
    }
}
