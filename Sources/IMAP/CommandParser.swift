import ApusMail

/// Reads one command, or one response line of AUTHENTICATE, however it is cut into pieces (RFC 9051 §2.2, §4.3, §9).
///
/// The input starts at the command's first byte and is given whole each time; the parser knows how far it came, so
/// that no byte is looked at twice. Of a literal nothing is held but its place.
struct CommandParser {
    enum Outcome: Equatable {
        case needMoreInput
        /// A synchronising literal is announced: the client waits for `+ OK`. Go on with the same input.
        case literalAnnounced
        /// ``word`` and ``arguments`` are read; `length` includes the line's end.
        case complete(length: Int)
        /// What came up to `length`, a line's end, is no command. With `announcesLiteral` the client goes on with a
        /// literal that nobody will understand (RFC 7888 §4).
        case refused(length: Int, announcesLiteral: Bool)
    }

    enum State {
        case tag, gapBehindTag, word, gap, atom, quoted, escaped
        case literalSize, literalPlus, literalClosed, literalCarriageReturn, literalData, literalDone
        case carriageReturn, skipping
    }

    /// What to do after the byte at ``position`` was looked at.
    enum Move {
        /// It is used up.
        case next
        /// Look at it, or at the new position, in the new state.
        case stay
        /// Nothing can be done before more is there.
        case wait
        /// The command is wrong.
        case refuse
        /// It is used up, and this is the outcome.
        case finish(Outcome)
    }

    /// The tag with a space behind it; nil while it is not known.
    private(set) var tag: [UInt8]?
    private(set) var word: CommandWord?
    var arguments: [Argument] = []
    let bufferSize: Int
    let isResponse: Bool

    var state: State
    /// The byte to be looked at next.
    var position = 0
    /// Where tag, word, argument or literal size began.
    var mark = 0
    var literal = Literal()
    /// The quoted string being read has a backslash.
    var hasEscapes = false

    init(bufferSize: Int) { (self.bufferSize, state, isResponse) = (bufferSize, .tag, false) }

    /// A parser for the next line of the exchange that an AUTHENTICATE with this tag began: it starts inside an atom,
    /// since that is all a response can be.
    init(responseTo tag: [UInt8]?, bufferSize: Int) {
        (self.bufferSize, self.tag, state, isResponse) = (bufferSize, tag, .atom, true)
    }

    /// The most bytes a command may have. SASL responses, the initial one too, have a limit of their own, since a
    /// token or ticket can be longer than a command buffer (RFC 4954 §4).
    var limit: Int {
        if isResponse { return max(bufferSize, SASLExchange.longestResponse) }
        guard word == .authenticate else { return bufferSize }
        // Tag (32), `AUTHENTICATE`, a mechanism's name (20, RFC 4422 §3.1), three spaces and CRLF.
        return max(bufferSize, SASLExchange.longestResponse + 32 + 12 + 20 + 5)
    }

    mutating func parse(_ input: Span<UInt8>) -> Outcome {
        while position < min(input.count, limit) {
            switch take(input) {
            case .next:
                position += 1
            case .stay:
                break
            case .wait:
                return .needMoreInput
            case .refuse:
                state = .skipping
            case .finish(let outcome):
                position += 1
                return outcome
            }
        }
        return .needMoreInput
    }

    private mutating func take(_ input: Span<UInt8>) -> Move {
        let byte = input[position]
        switch state {
        case .tag: return takeTag(byte, in: input)
        case .gapBehindTag: return takeGapBehindTag(byte)
        case .word: return takeWord(byte, in: input)
        case .gap: return takeGap(byte)
        case .atom: return takeAtom(byte)
        case .quoted: return takeQuoted(byte)
        case .escaped: return takeEscaped(byte)
        case .literalSize: return takeLiteralSize(byte, in: input)
        case .literalPlus: return takeLiteralPlus(byte)
        case .literalClosed: return takeLiteralClosed(byte)
        case .literalCarriageReturn: return byte == 0x0A ? beginLiteral() : .refuse
        case .literalData: return takeLiteralData(input)
        case .literalDone: return endArgument(byte) ?? .refuse
        case .carriageReturn: return byte == 0x0A ? .finish(.complete(length: position + 1)) : .refuse
        case .skipping: return skip(byte, in: input)
        }
    }

    /// A tag is 1 to 32 letters, digits, hyphens, dots and underscores: fewer than RFC 9051 §9 has, as nginx.
    private mutating func takeTag(_ byte: UInt8, in input: Span<UInt8>) -> Move {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F:
            return position < 32 ? .next : .refuse
        case 0x20 where position > 0:
            tag = input.extracting(0...position).bytes
            state = .gapBehindTag
            return .next
        default:
            return .refuse
        }
    }

    private mutating func takeGapBehindTag(_ byte: UInt8) -> Move {
        guard byte != 0x20 else { return .next }
        (state, mark) = (.word, position)
        return .stay
    }

    private mutating func takeWord(_ byte: UInt8, in input: Span<UInt8>) -> Move {
        if byte.isASCIILetter { return .next }
        word = CommandWord(input.extracting(mark..<position))
        guard word != nil else { return .refuse }
        return endArgument(byte) ?? .refuse
    }

    /// What may stand behind a word or an argument: a space or the line's end; nil for anything else.
    mutating func endArgument(_ byte: UInt8) -> Move? {
        switch byte {
        case 0x20:
            state = .gap
            return .next
        case 0x0D:
            state = .carriageReturn
            return .next
        case 0x0A:
            return .finish(.complete(length: position + 1))
        default:
            return nil
        }
    }

    /// Drops the rest of a refused line, which stays in the input so that an endless one meets the limit.
    private func skip(_ byte: UInt8, in input: Span<UInt8>) -> Move {
        guard byte == 0x0A else { return .next }
        var end = position
        if end > 0, input[end - 1] == 0x0D { end -= 1 }
        let announcesLiteral = end >= 2 && input[end - 2] == 0x2B && input[end - 1] == 0x7D
        return .finish(.refused(length: position + 1, announcesLiteral: announcesLiteral))
    }
}
