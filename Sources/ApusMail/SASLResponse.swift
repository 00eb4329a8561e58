/// A SASL response the client got wrong; the note is for the log at level info.
public struct SASLFailure: Error, Equatable, Sendable {
    /// For the log at level info: `client sent invalid login in AUTH PLAIN command`.
    public let note: StaticString
    /// A failure with this note.
    public init(_ note: StaticString) { self.note = note }

    /// By their notes.
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

    /// XOAUTH2: `user=LOGIN^Aauth=Bearer TOKEN^A^A`, where ^A is the byte 1; the words in any case, and either may be
    /// empty (Google's and Microsoft's documentation of it).
    public static func xoauth2(_ text: Span<UInt8>) throws(SASLFailure) -> Credentials {
        try decode(text, orNote: "client sent invalid base64 encoding in AUTH XOAUTH2 command") {
            (response: Span<UInt8>) throws(SASLFailure) in
            guard response.begins(withAnyCaseOf: "USER="), let loginEnd = response.firstIndex(of: separator) else {
                throw SASLFailure("client sent invalid login in AUTH XOAUTH2 command")
            }
            let login = response.extracting(5..<loginEnd)
            guard !login.hasControlCharacter else {
                throw SASLFailure("client sent invalid login in AUTH XOAUTH2 command")
            }
            let rest = response.extracting((loginEnd + 1)..<response.count)
            guard let token = token(in: rest), rest.count == token.upperBound + 2,
                rest[rest.count - 1] == separator
            else { throw SASLFailure("client sent invalid token in AUTH XOAUTH2 command") }
            return Credentials(method: .xoauth2, login: login.bytes, password: Secret(rest.extracting(token)))
        }
    }

    /// OAUTHBEARER: `n,a=LOGIN,`, then fields ended by ^A, of which one is `auth=Bearer TOKEN` (RFC 7628 §3.1). Neither
    /// login nor token may be empty.
    public static func oauthBearer(_ text: Span<UInt8>) throws(SASLFailure) -> Credentials {
        try decode(text, orNote: "client sent invalid base64 encoding in AUTH OAUTHBEARER command") {
            (response: Span<UInt8>) throws(SASLFailure) in
            guard response.starts(with: "n,a="), let loginEnd = response.firstIndex(of: 0x2C, from: 4),
                let login = unescapedName(response.extracting(4..<loginEnd)), !login.isEmpty,
                !login.span.hasControlCharacter, loginEnd + 1 < response.count, response[loginEnd + 1] == separator
            else { throw SASLFailure("client sent invalid login in AUTH OAUTHBEARER command") }
            var field = loginEnd + 2
            while let fieldEnd = response.firstIndex(of: separator, from: field) {
                let rest = response.extracting(field..<response.count)
                if let token = token(in: rest), !token.isEmpty {
                    return Credentials(
                        method: .oauthbearer, login: login, password: Secret(rest.extracting(token)))
                }
                field = fieldEnd + 1
            }
            throw SASLFailure("client sent invalid token in AUTH OAUTHBEARER command")
        }
    }

    /// What stands between the fields of the two bearer mechanisms.
    private static var separator: UInt8 { 1 }

    /// The token of a field `auth=Bearer TOKEN` at the front, which ends before the separator; nil when there is none.
    private static func token(in fields: Span<UInt8>) -> Range<Int>? {
        guard fields.begins(withAnyCaseOf: "AUTH=BEARER "), let end = fields.firstIndex(of: separator) else {
            return nil
        }
        return fields.extracting(12..<end).hasControlCharacter ? nil : 12..<end
    }

    /// A `saslname`: `=2C` is a comma and `=3D` an equals sign, no other `=` may occur (RFC 5801 §4).
    private static func unescapedName(_ name: Span<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var index = 0
        while index < name.count {
            guard name[index] == 0x3D else {
                bytes.append(name[index])
                index += 1
                continue
            }
            let rest = name.extracting(index..<name.count)
            if rest.starts(with: "=2C") {
                bytes.append(0x2C)
            } else if rest.starts(with: "=3D") {
                bytes.append(0x3D)
            } else {
                return nil
            }
            index += 3
        }
        return bytes
    }

    private static func decode<Result>(
        _ text: Span<UInt8>, orNote note: StaticString, _ read: (Span<UInt8>) throws(SASLFailure) -> Result
    ) throws(SASLFailure) -> Result {
        guard var decoded = Base64.decode(text) else { throw SASLFailure(note) }
        defer { decoded.withUnsafeMutableBytes { wipe($0) } }
        return try read(decoded.span)
    }
}

extension Span where Element == UInt8 {
    /// Whether the bytes begin with `text`, letters compared without their case; `text` is written in capitals.
    fileprivate func begins(withAnyCaseOf text: StaticString) -> Bool {
        count >= text.utf8CodeUnitCount && extracting(0..<text.utf8CodeUnitCount).spells(text)
    }
}
