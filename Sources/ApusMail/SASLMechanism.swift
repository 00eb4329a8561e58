/// The SASL mechanisms a client may use (RFC 4422).
public enum SASLMechanism: CaseIterable, Sendable {
    // The order is the one they are advertised in.
    case plain, login, cramMD5, external, xoauth2, oauthBearer

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
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
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

    public static var plain: SASLMechanisms { SASLMechanisms(rawValue: 1) }
    public static var login: SASLMechanisms { SASLMechanisms(rawValue: 2) }
    public static var cramMD5: SASLMechanisms { SASLMechanisms(rawValue: 4) }
    public static var external: SASLMechanisms { SASLMechanisms(rawValue: 8) }
    public static var xoauth2: SASLMechanisms { SASLMechanisms(rawValue: 16) }
    public static var oauthBearer: SASLMechanisms { SASLMechanisms(rawValue: 32) }
}

/// Which mechanisms a `server` block shows and takes.
public struct SASLPolicy: Sendable {
    public var listed: SASLMechanisms
    /// `auth_strict`: PLAIN and LOGIN, too, are taken only when listed.
    public var isStrict: Bool

    public init(listed: SASLMechanisms, isStrict: Bool) { (self.listed, self.isStrict) = (listed, isStrict) }

    /// Whether the mechanism is shown among the capabilities.
    ///
    /// - Parameter canVerifyDigests: The authentication provider can check CRAM-MD5 at present.
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
