package import ApusMail
import CCrypt
import Glibc

/// A password as the password file stores it: in clear, or as crypt(5) has it.
package enum PasswordHash: Equatable, Sendable {
    case plain(Secret)
    case crypt([UInt8])

    package enum Problem: Error, Equatable { case empty, unknownScheme, schemeMismatch }

    /// The longest password that is looked at; crypt(3) takes no more.
    package static let longestPassword = 511

    /// Reads `{SCHEME}value`; without a scheme it is `CRYPT`.
    package init(parsing field: Span<UInt8>) throws(Problem) {
        var scheme: [UInt8] = Array("CRYPT".utf8)
        var value: [UInt8] = field.bytes
        if field.count > 0, field[0] == 0x7B, let end = field.firstIndex(of: 0x7D) {
            let name: [UInt8] = field.extracting(1..<end).bytes
            scheme = name.map { $0.asciiUppercased }
            value = field.extracting((end + 1)...).bytes
        }
        guard !value.isEmpty else { throw .empty }
        switch String(decoding: scheme, as: UTF8.self) {
        case "PLAIN", "CLEAR", "CLEARTEXT": self = .plain(Secret(value))
        case "CRYPT": self = .crypt(value)
        case "SHA512-CRYPT": self = try Self.crypt(value, beginning: ["$6$"])
        case "SHA256-CRYPT": self = try Self.crypt(value, beginning: ["$5$"])
        case "MD5-CRYPT": self = try Self.crypt(value, beginning: ["$1$"])
        case "BLF-CRYPT": self = try Self.crypt(value, beginning: ["$2a$", "$2b$", "$2y$"])
        case "YESCRYPT": self = try Self.crypt(value, beginning: ["$y$"])
        default: throw .unknownScheme
        }
    }

    private static func crypt(_ value: [UInt8], beginning prefixes: [StaticString]) throws(Problem) -> PasswordHash {
        guard prefixes.contains(where: { value.span.starts(with: $0) }) else { throw .schemeMismatch }
        return .crypt(value)
    }

    package var isPlain: Bool {
        switch self {
        case .plain: true
        case .crypt: false
        }
    }

    /// What decides how long a verification takes: the scheme with its cost, without the salt.
    package var cost: [UInt8] {
        guard case .crypt(let value) = self else { return Array("plain".utf8) }
        let parts = value.split(separator: 0x24, omittingEmptySubsequences: false)
        guard parts.count >= 4 else { return Array("crypt".utf8) }
        // $ID$SALT$HASH, $ID$COST$SALT$HASH; bcrypt joins salt and hash.
        let hasCost = parts.count >= 5 || parts[1].first == 0x32
        return Array(parts[1]) + (hasCost ? [0x24] + parts[2] : [])
    }

    /// Whether `password` is the one. Takes its time.
    package func admits(_ password: Secret) -> Bool {
        switch self {
        case .plain(let stored): stored == password
        case .crypt(let stored): Self.crypt(password, stored)
        }
    }

    private static func crypt(_ password: Secret, _ stored: [UInt8]) -> Bool {
        // A NUL would hide what follows it; crypt fails for what is too long.
        guard password.count <= longestPassword, !password.withBytes({ $0.firstIndex(of: 0) != nil }) else {
            return false
        }
        let phrase = SecretBuffer(capacity: password.count + 1)
        password.withBytes { phrase.append($0) }
        phrase.append(0)
        let setting = stored.map { CChar(bitPattern: $0) } + [0]
        let room = MemoryLayout<crypt_data>.size
        let space = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 64)
        memset(space, 0, room)
        defer {
            wipe(UnsafeMutableRawBufferPointer(start: space, count: room))
            space.deallocate()
        }
        let result = phrase.withBytes { bytes in
            bytes.withUnsafeBytes { raw in
                crypt_r(
                    raw.baseAddress!.assumingMemoryBound(to: CChar.self), setting,
                    space.assumingMemoryBound(to: crypt_data.self))
            }
        }
        // Failure is nil or a token that begins with `*`.
        guard let result, result[0] != 0x2A else { return false }
        let computed = UnsafeBufferPointer(
            start: UnsafeRawPointer(result).assumingMemoryBound(to: UInt8.self), count: strlen(result))
        return Secret(computed.span) == Secret(stored)
    }

    /// Whether a challenge was answered with this password; only one stored in clear can tell.
    package func admits(digest: Secret, of salt: [UInt8], method: AuthenticationMethod) -> Bool {
        let stored: Secret
        switch self {
        case .plain(let secret): stored = secret
        case .crypt: stored = Secret([])
        }
        let expected: [UInt8] =
            switch method {
            case .cramMD5: MD5.hmac(key: stored, salt)
            case .apop: MD5.digest([.bytes(salt), .secret(stored)])
            case .plain, .external, .none, .xoauth2, .oauthbearer: []
            }
        return isPlain && !expected.isEmpty && Secret(MD5.hexadecimal(expected)) == digest
    }
}
