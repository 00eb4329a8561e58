/// How a client authenticates, as the authentication provider is told (`Auth-Method`).
///
/// SASL LOGIN, SASL PLAIN and a protocol's own user and password commands are all `plain`.
public enum AuthenticationMethod: String, Equatable, Sendable {
    case plain, apop, external, none, xoauth2, oauthbearer
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
    public var method: AuthenticationMethod
    public var login: [UInt8]
    /// The password, the bearer token, or the digest of a challenge method; empty for `external` and `none`.
    public var password: Secret
    /// The challenge a digest was made for.
    public var salt: [UInt8]?
    /// Mail commands that go to the provider with method `none`.
    public var envelope: Envelope?

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
    public var helo: [UInt8]
    public var from: [UInt8]
    public var to: [UInt8]

    public init(helo: [UInt8], from: [UInt8], to: [UInt8]) { (self.helo, self.from, self.to) = (helo, from, to) }
}
