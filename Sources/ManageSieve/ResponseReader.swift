import ApusMail

/// Finds the end of a server's response: lines of strings, then a line that begins with a word (RFC 5804 §4).
///
/// Strings are stepped over, whatever they hold: a quoted string or a literal may look like the line that ends it all.
/// The input is given whole each time; no byte is looked at twice.
struct ResponseReader {
    enum Outcome: Equatable {
        case needMoreInput
        /// The last line without its end, and where the next response would begin.
        case complete(last: Range<Int>, end: Int)
        /// This line, whose end is left out, is none of a response.
        case malformed(Range<Int>)
    }

    private enum State {
        case lineStart, text, quoted, escaped
        case literalSize, literalPlus, literalClosed, literalFeed, literalData
        case carriageReturn, malformed
    }

    private let admitsStrings: Bool
    private var state = State.lineStart
    private var position = 0
    private var lineStart = 0
    /// The line begins with a string.
    private var isStrings = false
    /// Where the literal's size began.
    private var mark = 0
    /// The position behind the literal's last byte.
    private var literalEnd = 0

    /// - Parameter admitsStrings: Lines of strings may come before the last line.
    init(admitsStrings: Bool) { self.admitsStrings = admitsStrings }

    mutating func read(_ input: Span<UInt8>) -> Outcome {
        while position < input.count {
            if state == .literalData {
                guard literalEnd <= input.count else { return .needMoreInput }
                (state, position) = (.text, literalEnd)
                continue
            }
            let byte = input[position]
            // No line has a NUL in it, and none ends without a CR.
            let isWrong = byte == 0 || byte == 0x0A && state != .carriageReturn && state != .literalFeed
            if isWrong { state = .malformed }
            let outcome = take(byte, in: input)
            position += 1
            if let outcome { return outcome }
        }
        return .needMoreInput
    }

    private mutating func take(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        switch state {
        case .lineStart:
            isStrings = byte == 0x22 || byte == 0x7B
            state = (isStrings ? admitsStrings : byte.isASCIILetter) ? .text : .malformed
            if state == .text { takeText(byte) }
        case .text: takeText(byte)
        case .quoted: takeQuoted(byte)
        case .escaped: state = byte == 0x0D ? .malformed : .quoted
        case .literalSize: takeLiteralSize(byte, in: input)
        case .literalPlus: state = byte == 0x7D ? .literalClosed : .malformed
        case .literalClosed: state = byte == 0x0D ? .literalFeed : .malformed
        case .literalFeed: state = byte == 0x0A ? .literalData : .malformed
        case .literalData: break
        case .carriageReturn:
            guard byte == 0x0A else {
                state = .malformed
                return nil
            }
            if !isStrings { return .complete(last: lineStart..<position - 1, end: position + 1) }
            (state, lineStart) = (.lineStart, position + 1)
        case .malformed:
            guard byte == 0x0A else { return nil }
            let hasReturn = position > lineStart && input[position - 1] == 0x0D
            return .malformed(lineStart..<(hasReturn ? position - 1 : position))
        }
        return nil
    }

    private mutating func takeText(_ byte: UInt8) {
        switch byte {
        case 0x22: state = .quoted
        case 0x7B: (state, mark) = (.literalSize, position + 1)
        case 0x0D: state = .carriageReturn
        default: break
        }
    }

    private mutating func takeQuoted(_ byte: UInt8) {
        switch byte {
        case 0x22: state = .text
        case 0x5C: state = .escaped
        case 0x0D: state = .malformed
        default: break
        }
    }

    private mutating func takeLiteralSize(_ byte: UInt8, in input: Span<UInt8>) {
        guard !byte.isASCIIDigit else { return }
        guard byte == 0x7D || byte == 0x2B,
            let size = input.extracting(mark..<position).decimal(atMost: Int(UInt32.max))
        else {
            state = .malformed
            return
        }
        // The line's end is still to come.
        literalEnd = position + (byte == 0x7D ? 3 : 4) + size
        state = byte == 0x7D ? .literalClosed : .literalPlus
    }
}
