/// Decides whether credentials are good and where their owner's mail is. One for each `server` block and worker.
public protocol AuthProvider: AnyObject {
    /// CRAM-MD5 and APOP can be verified at present.
    var canVerifyDigests: Bool { get }

    /// Asks; `answer` is called at most once, never from inside this call, and not after the inquiry was cancelled.
    func decide(_ request: AuthRequest, answer: @escaping (Verdict) -> Void) -> any AuthInquiry
}

/// A question that is being decided; cancelled when the asker is gone.
public protocol AuthInquiry: Cancellable {}

/// Everything a provider is told.
public struct AuthRequest: Sendable {
    public var credentials: Credentials
    public var protocolName: String
    /// 1, 2, ... in the session.
    public var loginAttempt: Int
    /// The client's address as text, without port and brackets; `unix:` for UNIX sockets.
    public var clientAddress: [UInt8]
    /// The client's host name from DNS or its placeholder; nil where the protocol does not ask for it.
    public var clientHost: [UInt8]?
    public var proxyHeader: ProxyHeaderFacts?
    /// nil: the client does not use TLS.
    public var encryption: EncryptionFacts?

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
    public var sourceAddress: [UInt8]
    public var sourcePort: UInt16
    public var destinationAddress: [UInt8]
    public var destinationPort: UInt16

    public init(sourceAddress: [UInt8], sourcePort: UInt16, destinationAddress: [UInt8], destinationPort: UInt16) {
        self.sourceAddress = sourceAddress
        self.sourcePort = sourcePort
        self.destinationAddress = destinationAddress
        self.destinationPort = destinationPort
    }
}

/// What a provider is told of the client's TLS session; empty texts are left out.
public struct EncryptionFacts: Equatable, Sendable {
    public var version: [UInt8]
    public var cipher: [UInt8]
    /// `NONE`, `SUCCESS`, `FAILED:reason`; empty when no certificate was asked for.
    public var verification: [UInt8]
    public var subject: [UInt8]
    public var issuer: [UInt8]
    public var serial: [UInt8]
    public var fingerprint: [UInt8]
    /// PEM.
    public var certificate: [UInt8]

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
