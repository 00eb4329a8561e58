/// How a client authenticates, as the authentication provider is told (`Auth-Method`).
///
/// SASL LOGIN, SASL PLAIN and a protocol's own user and password commands are all `plain`.
public enum AuthenticationMethod: String, Equatable, Sendable {
    /// A password: SASL PLAIN and LOGIN (RFC 4616), or a protocol's own commands.
    case plain
    /// POP3's APOP (RFC 1939 §7): a digest of the challenge.
    case apop
    /// SASL EXTERNAL (RFC 4422 appendix A): the client's certificate says who it is.
    case external
    /// None: mail from a client that did not log in, with its ``Envelope``.
    case none
    /// SASL XOAUTH2: a bearer token.
    case xoauth2
    /// SASL OAUTHBEARER (RFC 7628): a bearer token.
    case oauthbearer
    /// SASL CRAM-MD5 (RFC 2195): a digest of the challenge.
    case cramMD5 = "cram-md5"

    /// What stands in the place of the password is one: the server behind can be told it.
    public var givesPassword: Bool {
        switch self {
        case .plain, .xoauth2, .oauthbearer: true
        case .apop, .cramMD5, .external, .none: false
        }
    }

    /// A bearer token stands in the place of the password (RFC 6750).
    public var givesToken: Bool { self == .xoauth2 || self == .oauthbearer }
}

/// What a client said about who it is. The password is wiped when nobody holds it any more.
public struct Credentials: Sendable {
    /// How the client authenticated.
    public var method: AuthenticationMethod
    /// The name as the client gave it, decoded; empty for `none`. It may hold any byte that the protocol has a way to send on.
    public var login: [UInt8]
    /// The password, the bearer token, or the digest of a challenge method; empty for `external` and `none`.
    public var password: Secret
    /// The challenge a digest was made for.
    public var salt: [UInt8]?
    /// Mail commands that go to the provider with method `none`.
    public var envelope: Envelope?

    /// Credentials with these parts; the password is empty where the method has none.
    public init(
        method: AuthenticationMethod, login: [UInt8], password: Secret, salt: [UInt8]? = nil, envelope: Envelope? = nil
    ) {
        self.method = method
        self.login = login
        self.password = password
        self.salt = salt
        self.envelope = envelope
    }
}

/// SMTP's sender and recipient, each the complete command as the client sent it.
public struct Envelope: Equatable, Sendable {
    /// The argument of HELO or EHLO.
    public var helo: [UInt8]
    /// The MAIL command.
    public var from: [UInt8]
    /// The RCPT command.
    public var to: [UInt8]

    /// The commands of one message.
    public init(helo: [UInt8], from: [UInt8], to: [UInt8]) { (self.helo, self.from, self.to) = (helo, from, to) }
}
