/// Decides whether credentials are good and where their owner's mail is. One for each `server` block and worker.
public protocol AuthProvider: AnyObject {
    /// CRAM-MD5 and APOP can be verified at present.
    var canVerifyDigests: Bool { get }

    /// Asks.
    ///
    /// - Parameters:
    ///   - request: The credentials, and what is known of the client.
    ///   - answer: To be called once, from the worker's loop (``WorkerLoop``): not from inside this call, not from another
    ///     thread, and not after the inquiry was cancelled.
    /// - Returns: The question, to be cancelled.
    func decide(_ request: AuthRequest, answer: @escaping (Verdict) -> Void) -> any AuthInquiry
}

/// A question that is being decided; cancelled when nobody waits for the answer any more: the time is over, or the worker
/// ends. A client that leaves is not noticed meanwhile.
public protocol AuthInquiry: Cancellable {}

/// Everything a provider is told.
public struct AuthRequest: Sendable {
    /// What the client said about who it is.
    public var credentials: Credentials
    /// The protocol's ``ProtocolDeclaration/name``.
    public var protocolName: String
    /// 1, 2, ... in the session.
    public var loginAttempt: Int
    /// The client's address as text, without port and brackets; `unix:` for UNIX sockets.
    public var clientAddress: [UInt8]
    /// The client's host name from DNS or its placeholder; nil where the protocol does not ask for it.
    public var clientHost: [UInt8]?
    /// What the client's PROXY header said; nil where none was read.
    public var proxyHeader: ProxyHeaderFacts?
    /// nil: the client does not use TLS.
    public var encryption: EncryptionFacts?

    /// What a provider is told of one login.
    public init(
        credentials: Credentials, protocolName: String, loginAttempt: Int, clientAddress: [UInt8],
        clientHost: [UInt8]? = nil, proxyHeader: ProxyHeaderFacts? = nil, encryption: EncryptionFacts? = nil
    ) {
        self.credentials = credentials
        self.protocolName = protocolName
        self.loginAttempt = loginAttempt
        self.clientAddress = clientAddress
        self.clientHost = clientHost
        self.proxyHeader = proxyHeader
        self.encryption = encryption
    }
}

/// What a PROXY protocol header said.
public struct ProxyHeaderFacts: Equatable, Sendable {
    /// The client's address, as text without port and brackets.
    public var sourceAddress: [UInt8]
    /// The client's port.
    public var sourcePort: UInt16
    /// The address the client connected to, as text without port and brackets.
    public var destinationAddress: [UInt8]
    /// The port the client connected to.
    public var destinationPort: UInt16

    /// What a header said.
    public init(sourceAddress: [UInt8], sourcePort: UInt16, destinationAddress: [UInt8], destinationPort: UInt16) {
        self.sourceAddress = sourceAddress
        self.sourcePort = sourcePort
        self.destinationAddress = destinationAddress
        self.destinationPort = destinationPort
    }
}

/// What a provider is told of the client's TLS session; empty texts are left out.
public struct EncryptionFacts: Equatable, Sendable {
    /// The protocol's version, as OpenSSL names it: `TLSv1.3`.
    public var version: [UInt8]
    /// The cipher suite, as OpenSSL names it: `TLS_AES_256_GCM_SHA384`.
    public var cipher: [UInt8]
    /// `NONE`, `SUCCESS`, `FAILED:reason`; empty when no certificate was asked for.
    public var verification: [UInt8]
    /// The subject of the client's certificate (RFC 2253).
    public var subject: [UInt8]
    /// The issuer of the client's certificate (RFC 2253).
    public var issuer: [UInt8]
    /// The serial number of the client's certificate, hexadecimal.
    public var serial: [UInt8]
    /// The SHA-1 fingerprint of the client's certificate, hexadecimal.
    public var fingerprint: [UInt8]
    /// PEM.
    public var certificate: [UInt8]

    /// Facts of a TLS session.
    public init(
        version: [UInt8] = [], cipher: [UInt8] = [], verification: [UInt8] = [], subject: [UInt8] = [],
        issuer: [UInt8] = [], serial: [UInt8] = [], fingerprint: [UInt8] = [], certificate: [UInt8] = []
    ) {
        self.version = version
        self.cipher = cipher
        self.verification = verification
        self.subject = subject
        self.issuer = issuer
        self.serial = serial
        self.fingerprint = fingerprint
        self.certificate = certificate
    }
}
