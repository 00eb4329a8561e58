import CLinux
import COpenSSL
import Glibc
import Testing

@testable import TLS

/// What a test's client is like.
struct ClientOptions {
    var protocols: [String] = []
    var newest = TLS1_3_VERSION
    var serverName: String?
    /// Name of certificate and key.
    var certificate: String?
    var ciphers: String?
}

/// A server's session and a client's, joined by a socket pair.
final class Connection {
    var server: TLSSession?
    let client: OpaquePointer
    private let context: OpaquePointer
    /// A worker keeps its contexts as long as it has handshakes.
    private var served: TLSContext?
    private var descriptors: [CInt] = [-1, -1]

    init(_ served: TLSContext, _ options: ClientOptions = ClientOptions(), resuming session: OpaquePointer? = nil)
        throws
    {
        signal(SIGPIPE, SIG_IGN)
        try #require(linux_socketpair_stream(&descriptors) == 0)
        context = SSL_CTX_new(TLS_client_method())
        _ = openssl_set_version_range(context, 0, options.newest)
        if let name = options.certificate {
            SSL_CTX_use_certificate_chain_file(context, Fixture.path("\(name).pem"))
            SSL_CTX_use_PrivateKey_file(context, Fixture.path("\(name).key"), SSL_FILETYPE_PEM)
        }
        if let ciphers = options.ciphers { SSL_CTX_set_cipher_list(context, ciphers) }
        client = SSL_new(context)
        if !options.protocols.isEmpty {
            let list = options.protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
            SSL_set_alpn_protos(client, list, UInt32(list.count))
        }
        if var name = options.serverName?.utf8CString.map({ $0 }) { _ = openssl_request_server_name(client, &name) }
        if let session { SSL_set_session(client, session) }
        SSL_set_fd(client, descriptors[1])
        SSL_set_connect_state(client)
        server = try served.accept(descriptors[0])
        self.served = served
    }

    deinit {
        server = nil
        SSL_free(client)
        SSL_CTX_free(context)
        for descriptor in descriptors { close(descriptor) }
    }

    /// Lets both sides go on until both are done.
    @discardableResult
    func handshake() throws -> TLSProgress {
        for _ in 0..<20 {
            ERR_clear_error()
            let isClientDone = SSL_do_handshake(client) == 1
            ERR_clear_error()
            let progress = try onServer { try $0.handshake() }
            if progress == .closed || (progress == .done && isClientDone) { return progress }
        }
        return .wantsRead
    }

    func forgetContext() { served = nil }

    /// Asks the server's session something.
    func onServer<Result>(_ body: (inout TLSSession) throws -> Result) rethrows -> Result { try body(&server!) }

    var facts: TLSFacts { onServer { $0.facts } }

    /// What the client reads; tickets are taken on the way.
    @discardableResult
    func clientRead() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1000)
        ERR_clear_error()
        let count = SSL_read(client, &bytes, CInt(bytes.count))
        return Array(bytes.prefix(max(0, Int(count))))
    }

    func clientWrite(_ text: String) { SSL_write(client, text, CInt(text.utf8.count)) }

    /// Sends bytes around the client's TLS.
    func clientSendPlain(_ bytes: [UInt8]) { _ = Glibc.write(descriptors[1], bytes, bytes.count) }

    func clientHangUp() { Glibc.shutdown(descriptors[1], CInt(SHUT_WR)) }

    func serverRead() throws -> (TLSSession.Outcome, [UInt8]) {
        var bytes = [UInt8](repeating: 0, count: 1000)
        let outcome = try bytes.withUnsafeMutableBytes { space in try onServer { try $0.read(into: space) } }
        guard case .bytes(let count) = outcome else { return (outcome, []) }
        return (outcome, Array(bytes.prefix(count)))
    }

    func serverWrite(_ bytes: [UInt8]) throws -> TLSSession.Outcome {
        try bytes.withUnsafeBytes { bytes in try onServer { try $0.write(bytes) } }
    }

    /// The client's session, its tickets included; of use for another connection.
    func session() -> OpaquePointer {
        clientRead()
        return SSL_get1_session(client)
    }
}

/// Whether a second connection to `second` resumes the session of a first one to `first`.
func resumes(
    _ first: TLSContext, then second: TLSContext, _ options: ClientOptions = ClientOptions()
) throws -> Bool {
    let connection = try Connection(first, options)
    try connection.handshake()
    let session = connection.session()
    defer { SSL_SESSION_free(session) }
    let again = try Connection(second, options, resuming: session)
    try again.handshake()
    return again.facts.isResumed
}
