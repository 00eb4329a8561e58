import ApusMail

/// Reads one command, or one response line of AUTH, however it is cut into pieces (RFC 1939 §3, RFC 5034 §4).
///
/// The input starts at the command's first byte and is given whole each time; the parser knows how far it came, so that
/// no byte is looked at twice.
struct CommandParser {
    enum Outcome: Equatable {
        case needMoreInput
        /// ``word`` and ``arguments`` are read; `length` includes the line's end.
        case complete(length: Int)
        /// What came up to `length`, a line's end, is no command.
        case refused(length: Int)
    }

    private enum State { case word, gap, argument, carriageReturn, skipping }

    private(set) var word: CommandWord?
    /// Where the arguments stand in the input; at most three.
    private(set) var arguments: [Range<Int>] = []
    private let isResponse: Bool

    private var state: State
    /// The byte to be looked at next.
    private var position = 0
    /// Where the argument being read began.
    private var mark = 0

    init() { (state, isResponse) = (.word, false) }

    /// A parser for the next line of an AUTH exchange: it starts inside an argument, which may be empty.
    static var response: CommandParser { CommandParser(isResponse: true) }

    private init(isResponse: Bool) { (state, self.isResponse) = (.argument, isResponse) }

    /// The most bytes a command may have, its line's end included; nginx's buffer. SASL responses, the initial one too,
    /// have a limit of their own, since a token or ticket can be longer (RFC 5034 §4).
    var limit: Int {
        if isResponse { return SASLExchange.longestResponse }
        // `AUTH`, a mechanism's name (20, RFC 4422 §3.1), two spaces and CRLF.
        return word == .auth ? SASLExchange.longestResponse + 4 + 20 + 4 : 128
    }

    mutating func parse(_ input: Span<UInt8>) -> Outcome {
        while position < min(input.count, limit) {
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
        case .gap: return takeGap(byte)
        case .argument: return takeArgument(byte)
        case .carriageReturn: return byte == 0x0A ? .complete(length: position + 1) : refuse(byte)
        case .skipping: return byte == 0x0A ? .refused(length: position + 1) : nil
        }
    }

    private mutating func takeWord(_ byte: UInt8, in input: Span<UInt8>) -> Outcome? {
        if byte.isASCIILetter { return position < 4 ? nil : refuse(byte) }
        guard isEnd(byte) else { return refuse(byte) }
        word = CommandWord(input.extracting(0..<position))
        return word == nil ? refuse(byte) : end(byte)
    }

    private mutating func takeGap(_ byte: UInt8) -> Outcome? {
        if isEnd(byte) { return end(byte) }
        guard arguments.count < 3 else { return refuse(byte) }
        (state, mark) = (.argument, position)
        return nil
    }

    /// The argument of USER and PASS is the rest of the line: spaces may be part of it (RFC 1939 §7).
    private mutating func takeArgument(_ byte: UInt8) -> Outcome? {
        if byte == 0x20, word == .user || word == .pass { return nil }
        guard isEnd(byte) else { return nil }
        arguments.append(mark..<position)
        return end(byte)
    }

    /// Whether a word or an argument ends before this byte.
    private func isEnd(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0D || byte == 0x0A }

    private mutating func end(_ byte: UInt8) -> Outcome? {
        if byte == 0x0A { return .complete(length: position + 1) }
        state = byte == 0x20 ? .gap : .carriageReturn
        return nil
    }

    /// Drops the rest of the line, which stays in the input so that an endless one meets the limit.
    private mutating func refuse(_ byte: UInt8) -> Outcome? {
        state = .skipping
        return byte == 0x0A ? .refused(length: position + 1) : nil
    }
}
