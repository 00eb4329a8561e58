/// A text that is being cut into statements; its errors name the place.
struct ConfigurationText {
    private(set) var lexer: Lexer
    /// Nil for the text of `-g`.
    let file: String?

    init(lexer: Lexer, file: String?) { (self.lexer, self.file) = (lexer, file) }

    mutating func statement() throws(ConfigError) -> Lexer.Statement {
        do throws(LexicalError) {
            return try lexer.statement()
        } catch {
            throw self.error(error)
        }
    }

    /// Reads up to the brace that closes a block, heeding nothing but words, comments and braces.
    ///
    /// - Parameter name: What stands before its opening brace, which was read.
    mutating func skipBody(of name: String) throws(ConfigError) {
        if Lexer.holdsLua(name) { return try skipLua() }
        var depth = 1
        while depth > 0 {
            switch try statement() {
            case .simple: break
            case .opening(let words, _) where Lexer.holdsLua(words.first?.text ?? ""): try skipLua()
            case .opening: depth += 1
            case .closing: depth -= 1
            case .end(let line): throw error(.openBlock(line: line))
            }
        }
    }

    private mutating func skipLua() throws(ConfigError) {
        do throws(LexicalError) {
            try lexer.skipLua()
        } catch {
            throw self.error(error)
        }
    }

    func position(of line: Int) -> Position { Position(file: file, line: line) }

    func error(_ error: LexicalError) -> ConfigError { ConfigError(error.text, at: position(of: error.line)) }
}
