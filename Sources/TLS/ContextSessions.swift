import COpenSSL
import Config
import Glibc
import Zones

extension ContextBuilder {
    /// Whole seconds that time stamps can bear.
    private var timeout: Int { settings.sessionTimeoutSeconds }

    // MARK: Session cache

    /// `tls.md` section 3.
    func setSessions() throws(ConfigError) {
        SSL_CTX_set_timeout(context, timeout)
        try setSessionContext()
        // The zone is declared, and kept over a reload, even where `off` or `none` wins over it.
        let table = try settings.sharedCache.map { cache throws(ConfigError) in
            TLSSessionTable(try zone(cache.name, size: cache.size, layout: TLSSessionTable.layout))
        }
        switch settings.sessionCache {
        case .off:
            openssl_set_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        case .none:
            // Some clients misbehave when they are told that there is no resumption: pretend.
            openssl_set_cache_mode(
                context, Int(SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR | SSL_SESS_CACHE_NO_INTERNAL_STORE))
            openssl_set_cache_size(context, 1)
        case .builtin(let count):
            openssl_set_cache_mode(context, Int(SSL_SESS_CACHE_SERVER))
            if let count { openssl_set_cache_size(context, count) }
            sessionTable = table
        case .sharedOnly:
            openssl_set_cache_mode(context, Int(SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL))
            sessionTable = table
        }
    }

    /// Sessions are resumed only where certificates and client verification are the same: `MAIL`, the server
    /// certificates, the accepted authorities, the depth of verification and the lists of what is revoked, hashed.
    private func setSessionContext() throws(ConfigError) {
        let text = Array("MAIL".utf8) + identity
        var digest = [UInt8](repeating: 0, count: 32)
        SHA256(text, text.count, &digest)
        identity = digest
        guard SSL_CTX_set_session_id_context(context, digest, UInt32(digest.count)) == 1 else {
            throw OpenSSLErrors.configError("SSL_CTX_set_session_id_context() failed")
        }
    }

    private func zone(_ name: String, size: Int, layout: ZoneLayout) throws(ConfigError) -> SharedZone {
        do throws(ZoneError) { return try zones.zone(name, size: size, layout: layout) } catch {
            throw ConfigError(error.message)
        }
    }

    // MARK: Tickets

    /// `tls.md` section 4; without key files always a ring, kept by identity over reloads (decision 22).
    func setTickets() throws(ConfigError) {
        guard settings.usesTickets else {
            openssl_set_options(context, OPENSSL_NO_TICKET)
            return
        }
        if !settings.ticketKeyFiles.isEmpty {
            ticketKeys = .files(try TicketKeys.read(settings.ticketKeyFiles, in: environment))
            return
        }
        let name = "tls-tickets:\(CertificateText.hexadecimal(identity))"
        let memory = try zone(name, size: TicketKeyRing.zoneSize, layout: TicketKeyRing.layout)
        guard let ring = TicketKeyRing(memory) else { throw OpenSSLErrors.configError("RAND_bytes() failed") }
        ticketKeys = .ring(ring)
    }
}

extension TLSSettings {
    /// `ssl_session_timeout`, limited to what the library and sums of times can bear.
    var sessionTimeoutSeconds: Int { Int(clamping: min(sessionTimeout.components.seconds, Int64(Int32.max))) }
}
