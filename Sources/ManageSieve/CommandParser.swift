import ApusMail

/// Reads one command, or one response of an AUTHENTICATE exchange, however it is cut into pieces (RFC 5804 §4).
///
/// The input starts at the command's first byte and is given whole each time; the parser knows how far it came, so that
/// no byte is looked at twice. Of a literal nothing is held but its place.
struct CommandParser {
    enum Outcome: Equatable {
        case needMoreInput
        /// ``word`` and ``arguments`` are read; `length` includes the line's end. No word: the command is unknown.
        case complete(length: Int)
        /// What came up to `length`, a line's end, is no command. With `announcesLiteral` the client goes on with a
        /// literal that cannot be told from commands.
        case refused(length: Int, announcesLiteral: Bool)
    }

    private enum State {
        case word, argumentStart, atom, quoted, escaped, argumentEnd
        case literalSize, literalPlus, literalClosed, literalCarriageReturn, literalData
        case carriageReturn, skipping
    }

    private(set) var word: CommandWord?
    /// At most three.
    private(set) var arguments: [Argument] = []
    private let isResponse: Bool

    private var state: State
    /// The byte to be looked at next.
    private var position = 0
    /// Where the argument or the literal's size began.
    private var mark = 0
    private var literalSize = 0
    /// The position behind the literal's last byte.
    private var literalEnd = 0
    /// The quoted string being read has a backslash.
    private var hasEscapes = false

    init() { (state, isResponse) = (.word, false) }

    /// A parser for the client's next string in an AUTHENTICATE exchange.
    static var response: CommandParser { CommandParser(isResponse: true) }

    private init(isResponse: Bool) { (state, self.isResponse) = (.argumentStart, isResponse) }

    /// The most bytes a command may have, literals and the line's end included. SASL responses, the initial one too,
    /// have a limit of their own, since a token or ticket can be longer. A quoted string may be longer than RFC 5804's
    /// 1024 bytes: clients send long tokens that way.
    var limit: Int {
        // `{12288+}` and two line ends.
        if isResponse { return SASLExchange.longestResponse + 12 }
        // The same behind `AUTHENTICATE`, a mechanism's name (20, RFC 4422 §3.1) as a literal, and two spaces.
        return word == .authenticate ? SASLExchange.longestResponse + 12 + 12 + 27 + 2 : 4096
    }

    mutating func parse(_ input: Span<UInt8>) -> Outcome {
        while position < min(input.count, limit) {
            if state == .literalData {
                guard literalEnd <= input.count else { return .needMoreInput }
                arguments.append(Argument(range: mark..<literalEnd))
                (state, position) = (.argumentEnd, literalEnd)
                continue
            }
            let outcome = take(input[position], in: input)
            position += 1
            if let outcome { return outcome }
        }
        return .needMoreInput
    }

    /// Looks at the byte at ``position``; nil: go on with the next.
    private mutating func take(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        switch state {
        case .word: return takeWord(byte, in: input)
        case .argumentStart: return takeArgumentStart(byte, in: input)
        case .atom: return takeAtom(byte, in: input)
        case .quoted: return takeQuoted(byte, in: input)
        case .escaped: return takeEscaped(byte, in: input)
        case .argumentEnd: return isEnd(byte) ? end(byte) : refuse(byte, in: input)
        case .literalSize: return takeLiteralSize(byte, in: input)
        case .literalPlus: return takeLiteralPlus(byte, in: input)
        case .literalClosed: return takeLiteralClosed(byte, in: input)
        case .literalCarriageReturn: return byte == 0x0A ? beginLiteral() : refuse(byte, in: input)
        case .literalData: return nil
        case .carriageReturn: return byte == 0x0A ? .complete(length: position + 1) : refuse(byte, in: input)
        case .skipping: return skip(byte, in: input)
        }
    }

    private mutating func takeWord(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        if byte.isASCIILetter { return nil }
        guard position > 0, isEnd(byte) else { return refuse(byte, in: input) }
        word = CommandWord(input.extracting(0..<position))
        return end(byte)
    }

    private mutating func takeArgumentStart(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        if isEnd(byte) { return end(byte) }
        guard arguments.count < 3 else { return refuse(byte, in: input) }
        switch byte {
        case 0x22: (state, mark, hasEscapes) = (.quoted, position + 1, false)
        case 0x7B: (state, mark) = (.literalSize, position + 1)
        default:
            (state, mark) = (.atom, position)
            return takeAtom(byte, in: input)
        }
        return nil
    }

    /// A number, or a string whose quotes the client has left out.
    private mutating func takeAtom(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        if isEnd(byte) {
            arguments.append(Argument(range: mark..<position))
            return end(byte)
        }
        switch byte {
        case 0x22, 0x5C, 0x7B, 0x7D, 0...0x1F, 0x7F: return refuse(byte, in: input)
        default: return nil
        }
    }

    // Quoted strings end on their line (RFC 5804 §4).

    private mutating func takeQuoted(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        switch byte {
        case 0x22:
            arguments.append(Argument(range: mark..<position, hasEscapes: hasEscapes))
            state = .argumentEnd
        case 0x5C:
            (state, hasEscapes) = (.escaped, true)
        case 0, 0x0D, 0x0A:
            return refuse(byte, in: input)
        default:
            break
        }
        return nil
    }

    private mutating func takeEscaped(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        guard byte != 0, byte != 0x0D, byte != 0x0A else { return refuse(byte, in: input) }
        state = .quoted
        return nil
    }

    // Literals: `{n+}`, the line's end, n bytes. Without the plus they are for servers alone (RFC 5804 §4), but nobody
    // can wait to be asked for one: it is taken as meant, as Pigeonhole does.

    private mutating func takeLiteralSize(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        if byte.isASCIIDigit { return nil }
        guard byte == 0x2B || byte == 0x7D,
            let size = input.extracting(mark..<position).decimal(atMost: Int(UInt32.max))
        else { return refuse(byte, in: input) }
        literalSize = size
        state = byte == 0x2B ? .literalPlus : .literalClosed
        return nil
    }

    private mutating func takeLiteralPlus(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        guard byte == 0x7D else { return refuse(byte, in: input) }
        state = .literalClosed
        return nil
    }

    private mutating func takeLiteralClosed(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        switch byte {
        case 0x0D:
            state = .literalCarriageReturn
            return nil
        case 0x0A: return beginLiteral()
        default: return refuse(byte, in: input)
        }
    }

    /// A literal that cannot fit is not waited for.
    private mutating func beginLiteral() -> Outcome? {
        (state, mark) = (.literalData, position + 1)
        literalEnd = mark + literalSize
        return literalEnd < limit ? nil : .refused(length: mark, announcesLiteral: true)
    }

    // The end of a word, of an argument, of the line.

    private func isEnd(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0D || byte == 0x0A }

    private mutating func end(_ byte: UInt8) -> Outcome? {
        if byte == 0x0A { return .complete(length: position + 1) }
        state = byte == 0x20 ? .argumentStart : .carriageReturn
        return nil
    }

    private mutating func refuse(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        state = .skipping
        return skip(byte, in: input)
    }

    /// Drops the rest of the line, which stays in the input so that an endless one meets the limit.
    private func skip(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        guard byte == 0x0A else { return nil }
        var end = position
        if end > 0, input[end - 1] == 0x0D { end -= 1 }
        // Whatever the number in the braces was meant to be.
        return .refused(length: position + 1, announcesLiteral: end > 0 && input[end - 1] == 0x7D)
    }
}
