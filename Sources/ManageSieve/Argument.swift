import ApusMail

/// An argument of a command: quoted string without its quotes, literal, or a bare word such as a number (RFC 5804 §4).
struct Argument: Equatable {
    /// Where it stands in the input.
    let range: Range<Int>
    /// A quoted string in which a backslash protects the byte behind it.
    var hasEscapes = false

    /// What it stands for, lent out; an unescaped copy is wiped afterwards.
    func read<Result>(in input: Span<UInt8>, _ body: (Span<UInt8>) -> Result) -> Result {
        let raw = input.extracting(range)
        guard hasEscapes else { return body(raw) }
        var copy = Self.unescaped(raw)
        defer { copy.withUnsafeMutableBytes { wipe($0) } }
        return body(copy.span)
    }

    private static func unescaped(_ text: Span<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            if text[index] == 0x5C, index + 1 < text.count { index += 1 }
            bytes.append(text[index])
            index += 1
        }
        return bytes
    }
}
