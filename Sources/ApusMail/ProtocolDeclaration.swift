/// A protocol, declared by one value: the counterpart of nginx's `ngx_mail_protocol_t`.
public struct ProtocolDeclaration {
    /// The argument of `protocol` and the value of `Auth-Protocol`, lower case.
    public var name: String
    /// What kind of protocol it is, for whoever tells protocols apart by numbers (nginx: `type`); Apus goes by the name.
    public var kind: ProtocolKind
    /// Up to four ports from which `listen` deduces the protocol.
    public var defaultPorts: [UInt16]
    /// The name in TLS's application protocol negotiation (RFC 7301).
    public var applicationProtocol: String
    /// To a client whose session failed for no fault of its own (nginx: `internal_server_error`). This reply and the next
    /// two are in the protocol's words, line end included, and end the session.
    public var internalServerError: [UInt8]
    /// To a client whose certificate was refused (nginx: `cert_error`).
    public var certificateError: [UInt8]
    /// To a client without the certificate that is required (nginx: `no_cert`).
    public var missingCertificate: [UInt8]
    /// The server behind can only be reached with a password.
    public var requiresPassword: Bool
    /// The provider and the server behind are told the client's host name.
    public var usesClientHostName: Bool
    /// The directives the protocol brings along.
    public var directives: [AnyDirective]
    /// Called for each `server` block of this protocol when the configuration is read: refuses settings that make no sense
    /// together. The place of the block is added to the message.
    public var check: (ServiceContext) throws(ConfigError) -> Void
    /// Makes what the sessions of one `server` block share; called once for each in each worker, before it accepts
    /// connections.
    public var makeService: (ServiceContext) -> any ProtocolService

    /// A declaration; each parameter is the member of its name.
    public init(
        name: String, kind: ProtocolKind, defaultPorts: [UInt16], applicationProtocol: String,
        internalServerError: StaticString, certificateError: StaticString, missingCertificate: StaticString,
        requiresPassword: Bool, usesClientHostName: Bool = false, directives: [AnyDirective],
        check: @escaping (ServiceContext) throws(ConfigError) -> Void = { (_) throws(ConfigError) in },
        makeService: @escaping (ServiceContext) -> any ProtocolService
    ) {
        self.name = name
        self.kind = kind
        self.defaultPorts = defaultPorts
        self.applicationProtocol = applicationProtocol
        self.internalServerError = internalServerError.bytes
        self.certificateError = certificateError.bytes
        self.missingCertificate = missingCertificate.bytes
        self.requiresPassword = requiresPassword
        self.usesClientHostName = usesClientHostName
        self.directives = directives
        self.check = check
        self.makeService = makeService
    }
}

/// The kind of a protocol; open to new ones. nginx's three keep their numbers.
public struct ProtocolKind: RawRepresentable, Equatable, Hashable, Sendable {
    /// The number; those of other packages begin at 16.
    public let rawValue: Int
    /// A kind of this number.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// POP3: 0.
    public static var pop3: ProtocolKind { ProtocolKind(rawValue: 0) }
    /// IMAP: 1.
    public static var imap: ProtocolKind { ProtocolKind(rawValue: 1) }
    /// SMTP: 2.
    public static var smtp: ProtocolKind { ProtocolKind(rawValue: 2) }
}

/// Whether TLS may, or must, be started inside a session.
public enum StartTLSPolicy: Equatable, Sendable {
    /// It may not.
    case off
    /// It may.
    case on
    /// It must, before anybody logs in.
    case only
}

/// What a protocol learns about the `server` block it serves, and a provider when the configuration is read.
public struct ServiceContext {
    /// `server_name`.
    public var serverName: [UInt8]
    /// `starttls`.
    public var startTLS: StartTLSPolicy
    /// `auth_strict`: mechanisms that are not listed are refused, PLAIN and LOGIN too.
    public var isStrict: Bool
    /// The settings of the block, the protocol's own among them.
    public var settings: Settings

    /// What a protocol is told of one block.
    public init(serverName: [UInt8], startTLS: StartTLSPolicy, isStrict: Bool, settings: Settings) {
        (self.serverName, self.startTLS, self.isStrict, self.settings) = (serverName, startTLS, isStrict, settings)
    }
}

/// What the sessions of one `server` block share: prepared capability lists and the like.
public protocol ProtocolService: AnyObject {
    /// The dialog with one client, made when it connects (PROXY header and TLS done) and gone at relay.
    func makeClientDialog(_ client: ClientFacts) -> any ClientDialog
}

/// What a dialog knows of its client when it begins.
public struct ClientFacts {
    /// TLS is active.
    public var isEncrypted: Bool
    /// The provider can verify CRAM-MD5 and APOP; when not, they are neither advertised nor taken.
    public var canVerifyDigests: Bool
    /// The client's host name from DNS, or a placeholder; for protocols that ask for it.
    public var hostName: [UInt8]
    /// The client's address as text, without port and brackets; `unix:` for UNIX sockets.
    public var address: [UInt8]
    /// The number of the session, by which the log knows it (`*17`).
    public var sessionNumber: UInt64
    /// The challenge of this session.
    public var challenge: Challenge

    /// What a dialog is told of its client.
    public init(
        isEncrypted: Bool, canVerifyDigests: Bool = true, hostName: [UInt8] = [], address: [UInt8] = [],
        sessionNumber: UInt64 = 0, challenge: Challenge
    ) {
        self.isEncrypted = isEncrypted
        self.canVerifyDigests = canVerifyDigests
        self.hostName = hostName
        self.address = address
        self.sessionNumber = sessionNumber
        self.challenge = challenge
    }
}

/// The challenge of a session, `<R.T@NAME>` (RFC 1939 §7): made when it is first asked for, the same ever after.
public final class Challenge {
    private let make: () -> [UInt8]

    /// A challenge that `make` returns when it is first asked for, angle brackets included.
    public init(_ make: @escaping () -> [UInt8]) { self.make = make }

    /// The challenge, angle brackets included.
    public private(set) lazy var text: [UInt8] = make()
}

/// A broken promise of our own code. The session it happens in says internal error and closes; the others go on.
public struct Bug: Error {
    /// What was promised, in words for the log.
    public let promise: String
    /// The source file that found out, as `MODULE/FILE`.
    public let file: StaticString
    /// The line in it.
    public let line: UInt

    /// A promise that was broken, in words: `a greeting is sent once`.
    public init(_ promise: String, file: StaticString = #fileID, line: UInt = #line) {
        (self.promise, self.file, self.line) = (promise, file, line)
    }
}

extension StaticString {
    /// The text's bytes.
    @inlinable public var bytes: [UInt8] { Array(UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)) }
}
