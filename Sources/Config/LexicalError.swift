/// A text that breaks the lexical grammar: what is wrong, and in which of its lines.
package struct LexicalError: Error, Equatable, Sendable {
    package let text: String
    package let line: Int

    static func unexpected(_ byte: UInt8, line: Int) -> LexicalError {
        LexicalError(text: "unexpected \"\(String(decoding: [byte], as: UTF8.self))\"", line: line)
    }

    /// The text ended within a directive.
    static func unexpectedEnd(of source: Lexer.Source, line: Int) -> LexicalError {
        switch source {
        case .file: LexicalError(text: "unexpected end of file, expecting \";\" or \"}\"", line: line)
        case .parameter: LexicalError(text: "unexpected end of parameter, expecting \";\"", line: line)
        }
    }

    /// The text ended within a block.
    static func openBlock(line: Int) -> LexicalError {
        LexicalError(text: "unexpected end of file, expecting \"}\"", line: line)
    }

    /// A bare word beyond ``Lexer/longestWord``; `start` are its first bytes.
    static func tooLong(startingWith start: ArraySlice<UInt8>, line: Int) -> LexicalError {
        LexicalError(
            text: "too long parameter \"\(String(decoding: start, as: UTF8.self))...\" started", line: line)
    }

    /// A quoted word beyond ``Lexer/longestWord``: what a forgotten quote leads to in a long file.
    static func tooLong(missing quote: UInt8, line: Int) -> LexicalError {
        let quote = String(decoding: [quote], as: UTF8.self)
        return LexicalError(
            text: "too long parameter, probably missing terminating \"\(quote)\" character", line: line)
    }
}
