import ApusMail

/// Which literals the server behind takes without being asked, as far as its greeting tells.
///
/// Servers may put their capabilities there: `* OK [CAPABILITY IMAP4rev1 LITERAL+] ready` (RFC 9051 §7.1).
enum LiteralSupport: Equatable {
    case synchronisingOnly
    /// `LITERAL-`: up to 4096 bytes (RFC 7888 §5).
    case small
    /// `LITERAL+`: any size (RFC 7888 §4).
    case all

    init(greeting: Span<UInt8>) {
        self = .synchronisingOnly
        let line = greeting.extracting(0..<(greeting.firstIndex(of: 0x0A) ?? greeting.count))
        let opening: StaticString = "* OK [CAPABILITY "
        let start = opening.utf8CodeUnitCount
        guard line.count >= start, line.extracting(0..<start).spells(opening),
            let end = line.firstIndex(of: 0x5D, from: start)
        else { return }
        let list = line.extracting(start..<end)
        var position = 0
        while position < list.count {
            let wordEnd = list.firstIndex(of: 0x20, from: position) ?? list.count
            let word = list.extracting(position..<wordEnd)
            if word.spells("LITERAL+") { self = .all }
            if word.spells("LITERAL-"), self == .synchronisingOnly { self = .small }
            position = wordEnd + 1
        }
    }

    /// Whether a literal may be sent at once.
    func admits(byteCount: Int) -> Bool {
        switch self {
        case .synchronisingOnly: false
        case .small: byteCount <= 4096
        case .all: true
        }
    }
}
