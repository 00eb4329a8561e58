/// What an exchange asks of its protocol.
public enum SASLStep: Sendable {
    /// Send this text, already Base64, behind the protocol's mark for a continuation (`+ `, `334 `), and hand the
    /// next line to ``SASLExchange/respond(_:)``.
    case challenge([UInt8])
    /// The client has said everything.
    case authenticate(Credentials)
    /// The exchange is over: the protocol's reply to an invalid command, not counted. The note is for the log.
    case failed(note: StaticString?)
}

/// One SASL exchange with a client, from the mechanism's name to its credentials (RFC 4422).
///
/// The protocol has split the command into words: with the mechanism alone it calls ``begin()``, with an initial
/// response ``begin(with:)``; more words are its own syntax error. Whether the mechanism is allowed is a question to
/// ``SASLPolicy``, asked before.
public struct SASLExchange: Sendable {
    /// The longest Base64 text that a line of an exchange may hold (RFC 4954 §4).
    public static var longestResponse: Int { 12_288 }

    private let mechanism: SASLMechanism
    private let salt: [UInt8]
    private let externalChallenge: [UInt8]
    /// LOGIN: the user name, once it was given.
    private var user: [UInt8]?

    /// - Parameters:
    ///   - mechanism: What the client asked for, and may use.
    ///   - salt: The challenge of CRAM-MD5, angle brackets included; empty for the others.
    ///   - externalChallenge: What a client of EXTERNAL is asked that gave no initial response, Base64: nothing (RFC 4422
    ///     appendix A), unless clients are used to something else.
    public init(_ mechanism: SASLMechanism, salt: [UInt8], externalChallenge: StaticString = "") {
        (self.mechanism, self.salt, self.externalChallenge) = (mechanism, salt, externalChallenge.bytes)
    }

    /// What nginx asks clients of EXTERNAL, as those of LOGIN: "Username:".
    public static var nginxExternalChallenge: StaticString { "VXNlcm5hbWU6" }

    /// The mechanism's name came alone.
    public func begin() -> SASLStep {
        switch mechanism {
        case .plain, .xoauth2, .oauthBearer: .challenge([])
        case .login: .challenge("VXNlcm5hbWU6".bytes)  // "Username:"
        case .external: .challenge(externalChallenge)
        case .cramMD5: .challenge(Base64.encode(salt.span))
        }
    }

    /// The mechanism's name came with an initial response. CRAM-MD5 has none: the server speaks first (RFC 2195 §2).
    public mutating func begin(with initialResponse: Span<UInt8>) -> SASLStep {
        switch mechanism {
        case .plain, .login, .external, .xoauth2, .oauthBearer: respond(initialResponse)
        case .cramMD5: .failed(note: nil)
        }
    }

    /// The client's answer to a challenge, as it came. `*`, which cancels, is no Base64 and fails like anything else.
    public mutating func respond(_ response: Span<UInt8>) -> SASLStep {
        do {
            switch mechanism {
            case .plain: return .authenticate(try SASLResponse.plain(response))
            case .login: return try respondToLogin(response)
            case .cramMD5: return .authenticate(try SASLResponse.cramMD5(response, salt: salt))
            case .external: return .authenticate(try SASLResponse.external(response))
            case .xoauth2: return .authenticate(try SASLResponse.xoauth2(response))
            case .oauthBearer: return .authenticate(try SASLResponse.oauthBearer(response))
            }
        } catch {
            return .failed(note: error.note)
        }
    }

    private mutating func respondToLogin(_ response: Span<UInt8>) throws(SASLFailure) -> SASLStep {
        guard let user else {
            self.user = try SASLResponse.loginUser(response)
            return .challenge("UGFzc3dvcmQ6".bytes)  // "Password:"
        }
        let password = try SASLResponse.loginPassword(response)
        return .authenticate(Credentials(method: .plain, login: user, password: password))
    }
}
