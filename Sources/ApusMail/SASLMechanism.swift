/// The SASL mechanisms a client may use (RFC 4422).
public enum SASLMechanism: CaseIterable, Sendable {
    // The order is the one they are advertised in.
    /// RFC 4616.
    case plain
    /// draft-murchison-sasl-login-00.
    case login
    /// RFC 2195.
    case cramMD5
    /// RFC 4422 appendix A.
    case external
    /// Google's and Microsoft's documentation of it.
    case xoauth2
    /// RFC 7628.
    case oauthBearer

    /// The registered name, upper case.
    public var name: StaticString {
        switch self {
        case .plain: "PLAIN"
        case .login: "LOGIN"
        case .cramMD5: "CRAM-MD5"
        case .external: "EXTERNAL"
        case .xoauth2: "XOAUTH2"
        case .oauthBearer: "OAUTHBEARER"
        }
    }

    /// Letter case does not count, whatever RFC 4422 §3.1 says of it: nginx and its clients do not care.
    public init?(named name: Span<UInt8>) {
        for mechanism in Self.allCases where name.spells(mechanism.name) {
            self = mechanism
            return
        }
        return nil
    }
}

/// A set of mechanisms, as `imap_auth` and its kin list them.
public struct SASLMechanisms: OptionSet, Sendable {
    /// The bits, as the static members name them.
    public let rawValue: UInt8
    /// A set with these bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The set of this mechanism alone.
    public init(_ mechanism: SASLMechanism) {
        switch mechanism {
        case .plain: self = .plain
        case .login: self = .login
        case .cramMD5: self = .cramMD5
        case .external: self = .external
        case .xoauth2: self = .xoauth2
        case .oauthBearer: self = .oauthBearer
        }
    }

    /// PLAIN (RFC 4616).
    public static var plain: SASLMechanisms { SASLMechanisms(rawValue: 1) }
    /// LOGIN (draft-murchison-sasl-login-00).
    public static var login: SASLMechanisms { SASLMechanisms(rawValue: 2) }
    /// CRAM-MD5 (RFC 2195).
    public static var cramMD5: SASLMechanisms { SASLMechanisms(rawValue: 4) }
    /// EXTERNAL (RFC 4422 appendix A).
    public static var external: SASLMechanisms { SASLMechanisms(rawValue: 8) }
    /// XOAUTH2 (Google's and Microsoft's documentation of it).
    public static var xoauth2: SASLMechanisms { SASLMechanisms(rawValue: 16) }
    /// OAUTHBEARER (RFC 7628).
    public static var oauthBearer: SASLMechanisms { SASLMechanisms(rawValue: 32) }
}

/// Which mechanisms a `server` block shows and takes.
public struct SASLPolicy: Sendable {
    /// What the block lists.
    public var listed: SASLMechanisms
    /// `auth_strict`: PLAIN and LOGIN, too, are taken only when listed.
    public var isStrict: Bool

    /// The policy of a block.
    public init(listed: SASLMechanisms, isStrict: Bool) { (self.listed, self.isStrict) = (listed, isStrict) }

    /// Whether the mechanism is shown among the capabilities.
    ///
    /// - Parameters:
    ///   - mechanism: The mechanism in question.
    ///   - canVerifyDigests: The authentication provider can check CRAM-MD5 at present.
    public func advertises(_ mechanism: SASLMechanism, canVerifyDigests: Bool) -> Bool {
        listed.contains(SASLMechanisms(mechanism)) && (mechanism != .cramMD5 || canVerifyDigests)
    }

    /// Whether the mechanism is taken. As in nginx, the list only decides what is shown of PLAIN and LOGIN.
    public func admits(_ mechanism: SASLMechanism, canVerifyDigests: Bool) -> Bool {
        switch mechanism {
        case .plain, .login: !isStrict || advertises(mechanism, canVerifyDigests: canVerifyDigests)
        case .cramMD5, .external, .xoauth2, .oauthBearer:
            advertises(mechanism, canVerifyDigests: canVerifyDigests)
        }
    }

    /// Whether a protocol's own user and password command is taken; `plain` stands for it in the list.
    public var admitsPasswordCommand: Bool { !isStrict || listed.contains(.plain) }
}
