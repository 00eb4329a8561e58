import ApusMail

/// The literal being read.
struct Literal {
    var size = 0
    /// `{n}`: the client waits to be asked for it.
    var isSynchronising = false
    /// The position behind its last byte.
    var end = 0

    /// nginx's bound, and far enough from the largest `Int` that no sum with a position overflows.
    static var largestSize: Int { 1_844_674_407_370_955_160 }
}

// The arguments of a command: at most three atoms, quoted strings and literals.
extension CommandParser {
    mutating func takeGap(_ byte: UInt8) -> Move {
        if let end = endArgument(byte) { return end }
        guard arguments.count < 3 else { return .refuse }
        switch byte {
        case 0x22:
            (state, mark, hasEscapes) = (.quoted, position + 1, false)
        case 0x7B:
            (state, mark) = (.literalSize, position + 1)
        default:
            (state, mark) = (.atom, position)
        }
        return .next
    }

    mutating func takeAtom(_ byte: UInt8) -> Move {
        guard let end = endArgument(byte) else { return .next }
        arguments.append(Argument(range: mark..<position))
        return end
    }

    // Quoted strings (RFC 9051 §4.3). The next argument may follow without a space. One that the line's end cuts off is
    // refused; nginx takes it and then misreads the next command.

    mutating func takeQuoted(_ byte: UInt8) -> Move {
        switch byte {
        case 0x22:
            arguments.append(Argument(range: mark..<position, hasEscapes: hasEscapes))
            state = .gap
        case 0x5C:
            (state, hasEscapes) = (.escaped, true)
        case 0x0D, 0x0A:
            return .refuse
        default:
            break
        }
        return .next
    }

    mutating func takeEscaped(_ byte: UInt8) -> Move {
        guard byte != 0x0D, byte != 0x0A else { return .refuse }
        state = .quoted
        return .next
    }

    // Literals: `{n}` or `{n+}`, the line's end, n bytes (RFC 9051 §4.3, RFC 7888 §3).

    mutating func takeLiteralSize(_ byte: UInt8, in input: Span<UInt8>) -> Move {
        if byte.isASCIIDigit { return .next }
        guard byte == 0x2B || byte == 0x7D,
            let size = input.extracting(mark..<position).decimal(atMost: Literal.largestSize)
        else { return .refuse }
        literal = Literal(size: size, isSynchronising: byte == 0x7D)
        state = literal.isSynchronising ? .literalClosed : .literalPlus
        return .next
    }

    mutating func takeLiteralPlus(_ byte: UInt8) -> Move {
        guard byte == 0x7D else { return .refuse }
        state = .literalClosed
        return .next
    }

    mutating func takeLiteralClosed(_ byte: UInt8) -> Move {
        switch byte {
        case 0x0D:
            state = .literalCarriageReturn
            return .next
        case 0x0A:
            return beginLiteral()
        default:
            return .refuse
        }
    }

    mutating func beginLiteral() -> Move {
        mark = position + 1
        literal.end = mark + literal.size
        state = .literalData
        // One that cannot fit is asked for all the same, as nginx does: it meets the limit.
        return literal.isSynchronising ? .finish(.literalAnnounced) : .next
    }

    /// Steps over the literal once it is there.
    mutating func takeLiteralData(_ input: Span<UInt8>) -> Move {
        guard literal.end <= min(input.count, limit) else { return .wait }
        arguments.append(Argument(range: mark..<literal.end))
        (state, position) = (.literalDone, literal.end)
        return .stay
    }
}
