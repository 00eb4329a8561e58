// TLS towards mail clients: contexts made in the master, sessions run by the workers, what a client's certificate says.
//
// The room has no sockets of its own and never waits; it is handed descriptors in non-blocking mode. One ``TLSContext``
// belongs to each server that uses TLS; ``TLSSession`` is one connection; ``TLSRaw`` is the same for the relay. Sessions
// and ticket keys live in zones, so that all workers, and the next configuration, can resume them.

import COpenSSL
package import Config
import Glibc
package import Zones

/// What a server needs to answer handshakes; the owner of an `SSL_CTX *`.
///
/// Made in the master before it forks and gives up its privileges. Sessions may outlive it.
package final class TLSContext {
    package let settings: TLSSettings
    /// Called by a worker's handshakes with a line for the log at level warn; set in the worker.
    package var warn: (String) -> Void = { _ in }

    let handle: ContextHandle
    let applicationProtocol: [UInt8]
    let ticketKeys: TicketKeys?
    let sessionTable: TLSSessionTable?
    /// When the last complaint about a full cache was logged.
    var lastCacheWarning = 0

    /// Loads everything the settings name, in the order of `tls.md` section 2.
    ///
    /// - Parameters:
    ///   - applicationProtocol: `imap`, `pop3`, `smtp`: what a client that offers ALPN must offer.
    ///   - mode: `listen ... ssl` or `starttls`, for messages.
    ///   - position: Of the directive that turned TLS on.
    ///   - objects: The cache of this load.
    ///   - zones: In the middle of a load.
    /// - Throws: ``ConfigError`` with the texts of `tls.md` section 2.
    package init(
        _ settings: TLSSettings, name applicationProtocol: String, mode: String, position: Position,
        environment: LoadingEnvironment, objects: TLSObjectCache, zones: ZoneRegistry
    ) throws(ConfigError) {
        try ContextBuilder.checkPresence(settings, mode: mode, position: position)
        let builder = try ContextBuilder(settings, environment: environment, objects: objects, zones: zones)
        try builder.build()
        self.settings = settings
        self.applicationProtocol = Array(applicationProtocol.utf8)
        handle = builder.handle
        ticketKeys = builder.ticketKeys
        sessionTable = builder.sessionTable
        installCallbacks()
    }

    deinit {
        // Sessions that are still open keep the SSL_CTX, but must not find this object any more.
        SSL_CTX_set_ex_data(handle.pointer, Self.index, nil)
    }

    /// The server's side of a connection.
    ///
    /// - Parameter descriptor: A connected socket in non-blocking mode; stays the caller's and outlives the session.
    /// - Throws: ``TLSError`` if the library has no memory.
    package func accept(_ descriptor: CInt) throws(TLSError) -> TLSSession {
        ERR_clear_error()
        guard let ssl = SSL_new(handle.pointer) else { throw TLSError("SSL_new") }
        let session = TLSSession(adopting: ssl)
        guard SSL_set_fd(ssl, descriptor) == 1 else { throw TLSError("SSL_set_fd") }
        SSL_set_accept_state(ssl)
        return session
    }

    // MARK: How callbacks find their context

    private static let index = openssl_context_index()

    private func installCallbacks() {
        SSL_CTX_set_ex_data(handle.pointer, Self.index, Unmanaged.passUnretained(self).toOpaque())
        TLSCallbacks.install(in: handle.pointer, tickets: ticketKeys != nil, cache: sessionTable != nil)
    }

    /// The context a handshake belongs to; nil once it is gone.
    static func of(_ context: OpaquePointer?) -> TLSContext? {
        guard let context, let user = SSL_CTX_get_ex_data(context, index) else { return nil }
        return Unmanaged<TLSContext>.fromOpaque(user).takeUnretainedValue()
    }
}

/// The one reference to an `SSL_CTX *` that is ours.
final class ContextHandle {
    let pointer: OpaquePointer

    init() throws(ConfigError) {
        ERR_clear_error()
        guard let pointer = SSL_CTX_new(TLS_server_method()) else {
            throw OpenSSLErrors.configError("SSL_CTX_new() failed")
        }
        self.pointer = pointer
    }

    deinit { SSL_CTX_free(pointer) }
}
