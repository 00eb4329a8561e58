import ApusMail

/// What a log may show, and a client hear, of the words of a server behind, which may quote the command that it refuses, with
/// the password inside.
struct ReplyForLog {
    /// What the server was told last: its secret parts, in the form of a mechanism perhaps, are hidden.
    var lastSent: Secret?
    /// What users log in with there.
    var password: Secret?
    /// The client has not given it, but the provider.
    var isPasswordOfProvider = false

    /// More than this of a reply is not looked at: no line of the log is as long.
    private static var longest: Int { 4096 }
    /// A beginning of a secret that is shorter than this tells nothing.
    private static var leastBeginning: Int { 4 }

    /// The reply up to where it tells a secret, with dots in the place of what is hidden.
    func shown(_ reply: Span<UInt8>) -> [UInt8] {
        let reply = reply.extracting(0..<min(reply.count, Self.longest))
        guard let end = placeOfSecret(in: reply) else { return reply.bytes }
        return reply.extracting(0..<end).bytes + "...".bytes
    }

    /// Whether a client may hear it: a password that it does not know is not told.
    func mayBeToldClient(_ reply: Span<UInt8>) -> Bool { !isPasswordOfProvider || placeOfSecret(in: reply) == nil }

    /// The first place where the reply repeats a secret; nil when it repeats none.
    private func placeOfSecret(in reply: Span<UInt8>) -> Int? {
        var first = password?.withBytes { Self.place(of: $0, in: reply) }
        lastSent?.forEachSecretPart { secret in
            guard let place = Self.place(of: secret, in: reply) else { return }
            first = min(first ?? place, place)
        }
        return first
    }

    /// Where the secret stands, or half of it, or its beginning where the reply is cut off; as it is, or in a quoted string.
    private static func place(of secret: Span<UInt8>, in reply: Span<UInt8>) -> Int? {
        guard !secret.isEmpty else { return nil }
        let enough = min(secret.count, max(leastBeginning, (secret.count + 1) / 2))
        for start in 0..<reply.count {
            for isQuoted in [false, true] {
                let (length, end) = beginning(of: secret, at: start, in: reply, isQuoted: isQuoted)
                let isCutOff = end == reply.count && length >= leastBeginning
                if length >= enough || isCutOff { return start }
            }
        }
        return nil
    }

    /// How much of the secret stands there, and where that ends. In a quoted string a backslash goes before quotation marks and
    /// backslashes.
    private static func beginning(
        of secret: Span<UInt8>, at start: Int, in reply: Span<UInt8>, isQuoted: Bool
    ) -> (length: Int, end: Int) {
        var (length, position) = (0, start)
        while length < secret.count, position < reply.count {
            let isSpecial = secret[length] == 0x22 || secret[length] == 0x5C
            if isQuoted, isSpecial, reply[position] == 0x5C, position + 1 < reply.count { position += 1 }
            guard reply[position] == secret[length] else { break }
            position += 1
            length += 1
        }
        return (length, position)
    }
}
