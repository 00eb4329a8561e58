/// Cuts the text of a configuration into statements: words and what ends them.
///
/// Pure: it knows neither files nor directives. Every index comes from the scan itself, so no input can trap.
package struct Lexer: Sendable {
    package enum Source: Equatable, Sendable { case file, parameter }

    /// What was read up to a `;`, a brace or the end; the line is the one of that byte.
    package enum Statement: Equatable, Sendable {
        case simple([Word], line: Int)
        case opening([Word], line: Int)
        case closing(line: Int)
        case end(line: Int)
    }

    /// The longest word of a file, as it is written and without its quotes: nginx reads through a buffer of
    /// 4096 bytes, and the byte that ends the word must fit too.
    package static let longestWord = 4095

    package let bytes: [UInt8]
    private let source: Source
    private var next = 0
    private(set) var line = 1
    /// Where the words of the last statement stand in the text, with their quotes; empty after a brace and at the end.
    package private(set) var wordRanges: [Range<Int>] = []

    /// Where the next statement is read from.
    package var offset: Int { next }

    package init(_ bytes: [UInt8], source: Source = .file) { (self.bytes, self.source) = (bytes, source) }

    /// Reads the next statement. After an error the lexer is of no further use.
    package mutating func statement() throws(LexicalError) -> Statement {
        var words: [Word] = []
        wordRanges = []
        while let byte = take() {
            let start = next - 1
            switch byte {
            case .space, .tab, .carriageReturn, .lineFeed:
                continue
            case .semicolon where !words.isEmpty:
                return .simple(words, line: line)
            case .openingBrace where !words.isEmpty:
                return .opening(words, line: line)
            case .closingBrace where words.isEmpty:
                return .closing(line: line)
            case .semicolon, .openingBrace, .closingBrace:
                throw .unexpected(byte, line: line)
            case .hash:
                skipComment()
            case .doubleQuote, .singleQuote:
                words.append(try quotedWord(closedBy: byte))
                wordRanges.append(start..<next)
            default:
                words.append(try bareWord(startingWith: byte))
                wordRanges.append(start..<next)
            }
        }
        guard words.isEmpty else { throw .unexpectedEnd(of: source, line: line) }
        return .end(line: line)
    }

    var peeked: UInt8? { next < bytes.count ? bytes[next] : nil }

    mutating func take() -> UInt8? {
        guard let byte = peeked else { return nil }
        next += 1
        if byte == .lineFeed { line += 1 }
        return byte
    }

    /// nginx refuses a comment longer than its buffer; nothing is gained by that.
    private mutating func skipComment() {
        while let byte = take(), byte != .lineFeed {}
    }

    /// Reads on from the first byte of a word up to a blank, `;` or `{`, which stay unread.
    ///
    /// A `{` right after `$`, or after another such `{`, belongs to the word: `${name}`.
    private mutating func bareWord(startingWith first: UInt8) throws(LexicalError) -> Word {
        let (start, startLine) = (next - 1, line)
        var isEscaped = first == .backslash
        var isVariable = first == .dollar
        while let byte = peeked {
            if isEscaped {
                isEscaped = false
            } else if !(isVariable && byte == .openingBrace) {
                if byte.endsBareWord { return Word(Self.unescaped(bytes[start..<next])) }
                isVariable = byte == .dollar
                isEscaped = byte == .backslash
            }
            _ = take()
            if isTooLong(since: start) { throw .tooLong(startingWith: bytes[start...].prefix(10), line: startLine) }
        }
        throw .unexpectedEnd(of: source, line: line)
    }

    /// Reads on after an opening quote; what follows the closing one must separate words.
    private mutating func quotedWord(closedBy quote: UInt8) throws(LexicalError) -> Word {
        let (start, startLine) = (next, line)
        var isEscaped = false
        while let byte = take() {
            if isEscaped {
                isEscaped = false
            } else if byte == quote {
                try requireSeparator()
                return Word(Self.unescaped(bytes[start..<next - 1]))
            } else {
                isEscaped = byte == .backslash
            }
            if isTooLong(since: start) { throw .tooLong(missing: quote, line: startLine) }
        }
        throw .unexpectedEnd(of: source, line: line)
    }

    /// A `)` after a quote starts a word of its own, as in nginx's `if ($x = "y")`.
    private mutating func requireSeparator() throws(LexicalError) {
        guard let byte = peeked, !byte.endsBareWord, byte != .closingParenthesis else { return }
        throw .unexpected(byte, line: line)
    }

    /// nginx never limits the text of `-g`, and tells the end of a file before the length of its last word.
    private func isTooLong(since start: Int) -> Bool {
        source == .file && next - start > Self.longestWord && next < bytes.count
    }

    /// Resolves the escapes of a complete word; a backslash before any other byte stays, with that byte.
    private static func unescaped(_ written: ArraySlice<UInt8>) -> [UInt8] {
        guard written.contains(.backslash) else { return Array(written) }
        var word: [UInt8] = []
        var rest = written[...]
        while let byte = rest.popFirst() {
            guard byte == .backslash, let escaped = rest.first, let value = escaped.escapedValue else {
                word.append(byte)
                continue
            }
            rest = rest.dropFirst()
            word.append(value)
        }
        return word
    }
}

extension UInt8 {
    static var tab: UInt8 { 0x09 }
    static var lineFeed: UInt8 { 0x0A }
    static var carriageReturn: UInt8 { 0x0D }
    static var space: UInt8 { 0x20 }
    static var doubleQuote: UInt8 { 0x22 }
    static var hash: UInt8 { 0x23 }
    static var dollar: UInt8 { 0x24 }
    static var singleQuote: UInt8 { 0x27 }
    static var closingParenthesis: UInt8 { 0x29 }
    static var semicolon: UInt8 { 0x3B }
    static var backslash: UInt8 { 0x5C }
    static var openingBrace: UInt8 { 0x7B }
    static var closingBrace: UInt8 { 0x7D }

    fileprivate var endsBareWord: Bool {
        switch self {
        case .space, .tab, .carriageReturn, .lineFeed, .semicolon, .openingBrace: true
        default: false
        }
    }

    /// What a backslash before this byte stands for; nil where both bytes are kept.
    fileprivate var escapedValue: UInt8? {
        switch self {
        case .doubleQuote, .singleQuote, .backslash: self
        case UInt8(ascii: "t"): .tab
        case UInt8(ascii: "r"): .carriageReturn
        case UInt8(ascii: "n"): .lineFeed
        default: nil
        }
    }
}
