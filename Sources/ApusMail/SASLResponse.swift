/// A SASL response the client got wrong; the note is for the log at level info.
public struct SASLFailure: Error, Equatable, Sendable {
    public let note: StaticString
    public init(_ note: StaticString) { self.note = note }

    public static func == (left: SASLFailure, right: SASLFailure) -> Bool { left.note.bytes == right.note.bytes }
}

/// What clients say in SASL exchanges: from Base64 text to credentials.
///
/// Logins and passwords with control characters are refused, since they end up in commands to other servers.
/// Decoded text is wiped before these functions return.
public enum SASLResponse {
    /// PLAIN: authorisation identity, NUL, login, NUL, password (RFC 4616 §2). The identity is ignored; login and
    /// password may be empty.
    public static func plain(_ text: Span<UInt8>) throws(SASLFailure) -> Credentials {
        try decode(text, orNote: "client sent invalid base64 encoding in AUTH PLAIN command") {
            (response: Span<UInt8>) throws(SASLFailure) in
            guard let identityEnd = response.firstIndex(of: 0), identityEnd + 1 < response.count else {
                throw SASLFailure("client sent invalid login in AUTH PLAIN command")
            }
            guard let loginEnd = response.firstIndex(of: 0, from: identityEnd + 1) else {
                throw SASLFailure("client sent invalid password in AUTH PLAIN command")
            }
            let login = response.extracting((identityEnd + 1)..<loginEnd)
            guard !login.hasControlCharacter else {
                throw SASLFailure("client sent invalid login in AUTH PLAIN command")
            }
            let password = response.extracting((loginEnd + 1)..<response.count)
            guard !password.hasControlCharacter else {
                throw SASLFailure("client sent invalid password in AUTH PLAIN command")
            }
            return Credentials(method: .plain, login: login.bytes, password: Secret(password))
        }
    }

    /// The first response of LOGIN (draft-murchison-sasl-login-00); it may be empty.
    public static func loginUser(_ text: Span<UInt8>) throws(SASLFailure) -> [UInt8] {
        try decode(text, orNote: "client sent invalid base64 encoding in AUTH LOGIN command") {
            (user: Span<UInt8>) throws(SASLFailure) in
            guard !user.hasControlCharacter else {
                throw SASLFailure("client sent invalid login in AUTH LOGIN command")
            }
            return user.bytes
        }
    }

    /// The second response of LOGIN; it may be empty.
    public static func loginPassword(_ text: Span<UInt8>) throws(SASLFailure) -> Secret {
        try decode(text, orNote: "client sent invalid base64 encoding in AUTH LOGIN command") {
            (password: Span<UInt8>) throws(SASLFailure) in
            guard !password.hasControlCharacter else {
                throw SASLFailure("client sent invalid password in AUTH LOGIN command")
            }
            return Secret(password)
        }
    }

    /// CRAM-MD5: login, space, digest of 32 characters (RFC 2195 §2). The provider checks the digest against `salt`.
    public static func cramMD5(_ text: Span<UInt8>, salt: [UInt8]) throws(SASLFailure) -> Credentials {
        try decode(text, orNote: "client sent invalid base64 encoding in AUTH CRAM-MD5 command") {
            (response: Span<UInt8>) throws(SASLFailure) in
            let invalidDigest = SASLFailure("client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")
            guard let loginEnd = response.firstIndex(of: 0x20) else { throw invalidDigest }
            let digest = response.extracting((loginEnd + 1)..<response.count)
            guard digest.count == 32, !digest.hasControlCharacter else { throw invalidDigest }
            let login = response.extracting(0..<loginEnd)
            guard !login.hasControlCharacter else {
                throw SASLFailure("client sent invalid login in AUTH CRAM-MD5 command")
            }
            return Credentials(method: .cramMD5, login: login.bytes, password: Secret(digest), salt: salt)
        }
    }

    /// EXTERNAL: the response is the login (RFC 4422 appendix A); it may be empty.
    public static func external(_ text: Span<UInt8>) throws(SASLFailure) -> Credentials {
        try decode(text, orNote: "client sent invalid base64 encoding in AUTH EXTERNAL command") {
            (login: Span<UInt8>) throws(SASLFailure) in
            guard !login.hasControlCharacter else {
                throw SASLFailure("client sent invalid login in AUTH EXTERNAL command")
            }
            return Credentials(method: .external, login: login.bytes, password: Secret([]))
        }
    }

    private static func decode<Result>(
        _ text: Span<UInt8>, orNote note: StaticString, _ read: (Span<UInt8>) throws(SASLFailure) -> Result
    ) throws(SASLFailure) -> Result {
        guard var decoded = Base64.decode(text) else { throw SASLFailure(note) }
        defer { decoded.withUnsafeMutableBytes { wipe($0) } }
        return try read(decoded.span)
    }
}
