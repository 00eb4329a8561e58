/// A configuration as it was written: comments, blanks and statements in their order, the files it includes in their
/// places. What a configuration of nginx is made over from.
package struct WrittenConfiguration {
    package struct Statement {
        package let name: String
        package let arguments: [Word]
        /// From its first word to its `;` or `{`; of a block that is not read, to its `}`.
        let source: ArraySlice<UInt8>
        /// Where in it the arguments stand.
        let ranges: [Range<Int>]
        let position: Position
        let context: Contexts
    }

    enum Piece {
        /// Blanks and comments.
        case between(ArraySlice<UInt8>)
        case simple(Statement, AnyDirective)
        case opening(Statement, BlockDirective)
        case closing
        /// A directive or a block that is not known.
        case unknown(Statement, hint: String?)
        /// A mask of `include` that matches nothing.
        case nothing(Statement)
        case file(String, by: Statement)
        case endOfFile(String)
    }

    let file: String
    let pieces: [Piece]

    /// - Parameter environment: Its prefixes are those of nginx.
    /// - Throws: What is wrong with the text; whether a directive's arguments are right is not looked at.
    package init(
        reading file: String, directives: [AnyDirective], blocks: [BlockDirective], environment: LoadingEnvironment
    ) throws(ConfigError) {
        let reading = WrittenReading(DirectiveIndex(directives, blocks), environment)
        try reading.readFile(file, includedAt: nil, in: .main)
        (self.file, pieces) = (file, reading.pieces)
    }
}

extension WrittenConfiguration.Statement {
    /// With the last statement of a text, and what was read after it.
    fileprivate init(_ words: [Word], line: Int, of text: ConfigurationText, in context: Contexts) {
        let ranges = text.lexer.wordRanges
        name = words.first?.text ?? ""
        arguments = Array(words.dropFirst())
        source = text.lexer.bytes[(ranges.first?.lowerBound ?? text.lexer.offset)..<text.lexer.offset]
        self.ranges = Array(ranges.dropFirst())
        position = text.position(of: line)
        self.context = context
    }
}

/// One reading of a configuration that is to be copied.
private final class WrittenReading {
    private typealias Statement = WrittenConfiguration.Statement

    private(set) var pieces: [WrittenConfiguration.Piece] = []
    private let directives: DirectiveIndex
    private let environment: LoadingEnvironment
    private var includeDepth = 0

    init(_ directives: DirectiveIndex, _ environment: LoadingEnvironment) {
        (self.directives, self.environment) = (directives, environment)
    }

    func readFile(_ name: String, includedAt position: Position?, in context: Contexts) throws(ConfigError) {
        let file = try ConfigurationFile.read(name, includedAt: position)
        var text = ConfigurationText(lexer: Lexer(file.bytes), file: name)
        try readStatements(of: &text, in: context, endsWithBrace: false)
    }

    private func readStatements(
        of text: inout ConfigurationText, in context: Contexts, endsWithBrace: Bool
    ) throws(ConfigError) {
        while true {
            let start = text.lexer.offset
            let next = try text.statement()
            let end = text.lexer.offset
            switch next {
            case .simple(let words, let line):
                let statement = Statement(words, line: line, of: text, in: context)
                pieces.append(.between(text.lexer.bytes[start..<statement.source.startIndex]))
                try readDirective(statement)
            case .opening(let words, let line):
                let statement = Statement(words, line: line, of: text, in: context)
                pieces.append(.between(text.lexer.bytes[start..<statement.source.startIndex]))
                try readBlock(statement, words, from: &text)
            case .closing(let line):
                guard endsWithBrace else { throw ConfigError("unexpected \"}\"", at: text.position(of: line)) }
                pieces.append(.between(text.lexer.bytes[start..<end - 1]))
                return pieces.append(.closing)
            case .end(let line):
                guard !endsWithBrace else { throw text.error(.openBlock(line: line)) }
                return pieces.append(.between(text.lexer.bytes[start..<end]))
            }
        }
    }

    private func readDirective(_ statement: Statement) throws(ConfigError) {
        switch directives.find(statement.name, in: statement.context) {
        case .found(.simple) where statement.name == "include": try include(statement)
        case .found(.simple(let directive)): pieces.append(.simple(statement, directive))
        case .found(.block):
            throw ConfigError("directive \"\(statement.name)\" has no opening \"{\"", at: statement.position)
        case .notAllowedHere:
            throw ConfigError("\"\(statement.name)\" directive is not allowed here", at: statement.position)
        case .unknown(let hint): pieces.append(.unknown(statement, hint: hint))
        }
    }

    private func include(_ statement: Statement) throws(ConfigError) {
        guard let argument = statement.arguments.first, statement.arguments.count == 1 else {
            throw ConfigError("invalid number of arguments in \"include\" directive", at: statement.position)
        }
        guard includeDepth < Reading.deepestInclude else {
            throw ConfigError(
                "\"include\" goes more than \(Reading.deepestInclude) files deep", at: statement.position)
        }
        includeDepth += 1
        defer { includeDepth -= 1 }
        let files = try environment.files(includedBy: argument, at: statement.position)
        if files.isEmpty { pieces.append(.nothing(statement)) }
        for file in files {
            pieces.append(.file(file, by: statement))
            try readFile(file, includedAt: statement.position, in: statement.context)
            pieces.append(.endOfFile(file))
        }
    }

    private func readBlock(
        _ statement: Statement, _ words: [Word], from text: inout ConfigurationText
    ) throws(ConfigError) {
        switch directives.find(statement.name, in: statement.context) {
        case .found(.block(let block)):
            pieces.append(.opening(statement, block))
            try readStatements(of: &text, in: block.body, endsWithBrace: true)
        case .found(.simple):
            throw ConfigError("directive \"\(statement.name)\" is not terminated by \";\"", at: statement.position)
        case .notAllowedHere:
            throw ConfigError("\"\(statement.name)\" directive is not allowed here", at: statement.position)
        case .unknown:
            try text.skipBody(of: statement.name)
            pieces.append(.unknown(statement.extended(to: text.lexer.offset, of: text), hint: nil))
        }
    }
}

extension WrittenConfiguration.Statement {
    /// The same with the block that it begins.
    fileprivate func extended(to end: Int, of text: ConfigurationText) -> Self {
        Self(
            name: name, arguments: arguments, source: text.lexer.bytes[source.startIndex..<end], ranges: ranges,
            position: position, context: context)
    }

    var isBlock: Bool { source.last == .closingBrace }
}
