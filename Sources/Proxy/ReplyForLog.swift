import ApusMail

/// What a log may show of the words of a server behind, which may quote the command that it refuses, with the password
/// inside.
struct ReplyForLog {
    /// What the server was told last.
    var lastSent: Secret?
    /// What users log in with there.
    var password: Secret?
    var login: [UInt8] = []

    /// The reply up to where it tells a secret: with a part of a command that may hold one, it ends in dots.
    func shown(_ reply: Span<UInt8>) -> [UInt8] {
        var end = reply.count
        password?.withBytes { hide($0, in: reply, &end) }
        lastSent?.withBytes { command in
            for range in command.wordRanges {
                let word = command.extracting(range)
                if Self.maySayMore(word, than: login) { hide(word, in: reply, &end) }
            }
        }
        return end == reply.count ? reply.bytes : reply.extracting(0..<end).bytes + "...".bytes
    }

    /// A password in the form of some mechanism or protocol: neither a command's name nor the login alone.
    private static func maySayMore(_ word: Span<UInt8>, than login: [UInt8]) -> Bool {
        guard word.count >= 8, !word.isEqual(to: login.span) else { return false }
        for index in 0..<word.count where !(0x41...0x5A).contains(word[index]) { return true }
        return false
    }

    /// Moves `end` to the first place of the secret, or of its beginning where the server has cut it off.
    private func hide(_ secret: Span<UInt8>, in reply: Span<UInt8>, _ end: inout Int) {
        guard !secret.isEmpty else { return }
        for start in 0..<end {
            let length = min(secret.count, reply.count - start)
            guard length == secret.count || length >= 4, reply[start] == secret[0],
                reply.extracting(start..<start + length).isEqual(to: secret.extracting(0..<length))
            else { continue }
            end = start
            return
        }
    }
}

extension Span<UInt8> {
    fileprivate func isEqual(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where self[index] != other[index] { return false }
        return true
    }

    /// Where the words are, whatever space, line ends and quotation marks are around them.
    fileprivate var wordRanges: [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start = 0
        for index in 0...count where index == count || self[index] <= 0x20 || self[index] == 0x22 {
            if index > start { ranges.append(start..<index) }
            start = index + 1
        }
        return ranges
    }
}
