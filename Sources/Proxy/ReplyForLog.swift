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
        var end = reply.count
        hideAll(in: reply, &end)
        return end == reply.count ? reply.bytes : reply.extracting(0..<end).bytes + "...".bytes
    }

    /// Whether a client may hear it: a password that it does not know is not told.
    func mayBeToldClient(_ reply: Span<UInt8>) -> Bool {
        guard isPasswordOfProvider else { return true }
        var end = reply.count
        hideAll(in: reply, &end)
        return end == reply.count
    }

    private func hideAll(in reply: Span<UInt8>, _ end: inout Int) {
        password?.withBytes { Self.hide($0, in: reply, &end) }
        lastSent?.forEachSecretPart { Self.hide($0, in: reply, &end) }
    }

    /// Moves `end` to the first place of the secret, or of half of it, or of its beginning where the reply is cut off.
    private static func hide(_ secret: Span<UInt8>, in reply: Span<UInt8>, _ end: inout Int) {
        guard !secret.isEmpty else { return }
        let enough = min(secret.count, max(leastBeginning, (secret.count + 1) / 2))
        for start in 0..<end {
            let (length, isCutOff) = beginning(of: secret, at: start, in: reply)
            guard length >= enough || isCutOff && length >= leastBeginning else { continue }
            end = start
            return
        }
    }

    /// How much of the secret stands there, and whether the reply ends with it. A quoted string may have backslashes in it that
    /// the secret has not.
    private static func beginning(
        of secret: Span<UInt8>, at start: Int, in reply: Span<UInt8>
    ) -> (length: Int, isCutOff: Bool) {
        var (position, length) = (start, 0)
        while length < secret.count, position < reply.count {
            if reply[position] != secret[length] {
                let isEscape = reply[position] == 0x5C && (secret[length] == 0x22 || secret[length] == 0x5C)
                guard isEscape, position + 1 < reply.count, reply[position + 1] == secret[length] else { break }
                position += 1
            } else if secret[length] == 0x5C, position + 1 < reply.count, reply[position + 1] == 0x5C {
                position += 1
            }
            position += 1
            length += 1
        }
        return (length, position == reply.count)
    }
}
