// nginx's Lua module reads the code in its `*_by_lua_block {}` by itself: what would be words, quotes and braces elsewhere
// is Lua there.
extension Lexer {
    static func holdsLua(_ name: String) -> Bool { name.hasSuffix("_by_lua_block") }

    /// Reads over Lua code, and the brace that closes its block: strings and comments may hold any brace or quote.
    mutating func skipLua() throws(LexicalError) {
        var depth = 1
        while let byte = take() {
            switch byte {
            case .openingBrace: depth += 1
            case .closingBrace:
                depth -= 1
                if depth == 0 { return }
            case .singleQuote, .doubleQuote: skipLuaString(closedBy: byte)
            case .openingBracket: skipLongBracket()
            case .hyphen where peeked == .hyphen: skipLuaComment()
            default: break
            }
        }
        throw .openBlock(line: line)
    }

    private mutating func skipLuaString(closedBy quote: UInt8) {
        while let byte = take(), byte != quote {
            if byte == .backslash { _ = take() }
        }
    }

    /// After the first of two hyphens.
    private mutating func skipLuaComment() {
        _ = take()
        if peeked == .openingBracket {
            _ = take()
            if skipLongBracket() { return }
        }
        while let byte = peeked, byte != .lineFeed { _ = take() }
    }

    /// After a `[`: reads over `[[...]]`, `[=[...]=]` and so on.
    ///
    /// - Returns: Whether it was one. If not, the bracket was one of Lua's ordinary ones.
    @discardableResult
    private mutating func skipLongBracket() -> Bool {
        let level = skipEqualSigns()
        guard peeked == .openingBracket else { return false }
        while let byte = take() {
            guard byte == .closingBracket else { continue }
            // The second bracket of a pair that does not close may be the first of one that does: it stays unread.
            if skipEqualSigns() == level, peeked == .closingBracket {
                _ = take()
                return true
            }
        }
        return true
    }

    private mutating func skipEqualSigns() -> Int {
        var count = 0
        while peeked == .equalSign {
            _ = take()
            count += 1
        }
        return count
    }
}

extension UInt8 {
    fileprivate static var hyphen: UInt8 { 0x2D }
    fileprivate static var equalSign: UInt8 { 0x3D }
    fileprivate static var openingBracket: UInt8 { 0x5B }
    fileprivate static var closingBracket: UInt8 { 0x5D }
}
