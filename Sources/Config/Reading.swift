/// One reading of a configuration: carries out statement after statement.
final class Reading {
    private enum Ending { case closingBrace, endOfText }

    /// nginx follows a file that includes itself until the system runs out of descriptors.
    static let deepestInclude = 64

    let root = Block(name: "", position: Position(file: nil, line: 1), parent: nil)
    private(set) var files: [ConfigurationFile] = []
    private let directives: DirectiveIndex
    private let environment: LoadingEnvironment
    private var includeDepth = 0

    init(directives: DirectiveIndex, environment: LoadingEnvironment) {
        (self.directives, self.environment) = (directives, environment)
    }

    /// Reads the text of `-g`: simple directives of the top level.
    func readParameter(_ parameter: String) throws(ConfigError) {
        var text = ConfigurationText(lexer: Lexer(Array(parameter.utf8), source: .parameter), file: nil)
        try readStatements(of: &text, until: .endOfText, into: root, in: .main)
    }

    func readFile(
        _ name: String, includedAt position: Position?, into block: Block, in context: Contexts
    ) throws(ConfigError) {
        let file = try ConfigurationFile.read(name, includedAt: position)
        if !files.contains(where: { $0.name == name }) { files.append(file) }
        var text = ConfigurationText(lexer: Lexer(file.bytes), file: name)
        try readStatements(of: &text, until: .endOfText, into: block, in: context)
    }

    /// What the text of a `server` block, without the block, comes to.
    func settings(ofServer body: String) throws(ConfigError) -> Settings {
        var text = ConfigurationText(lexer: Lexer(Array(body.utf8)), file: "server")
        try readStatements(of: &text, until: .endOfText, into: root, in: .server)
        return root.settings
    }

    private func readStatements(
        of text: inout ConfigurationText, until ending: Ending, into block: Block, in context: Contexts
    ) throws(ConfigError) {
        while true {
            switch try text.statement() {
            case .simple(let words, let line):
                try readDirective(words, at: text.position(of: line), into: block, in: context)
            case .opening(let words, let line):
                try readBlock(words, at: text.position(of: line), from: &text, into: block, in: context)
            case .closing(let line):
                if ending == .closingBrace { return }
                throw ConfigError("unexpected \"}\"", at: text.position(of: line))
            case .end(let line):
                if ending == .endOfText { return }
                throw text.error(.openBlock(line: line))
            }
        }
    }

    // MARK: Simple directives

    private func readDirective(
        _ words: [Word], at position: Position, into block: Block, in context: Contexts
    ) throws(ConfigError) {
        let (name, arguments) = split(words)
        let directive: AnyDirective
        switch try find(name, at: position, in: context) {
        case .simple(let found): directive = found
        case .block: throw ConfigError("directive \"\(name)\" has no opening \"{\"", at: position)
        }
        try check(arguments, of: name, against: directive.arguments, at: position)
        let earlier = block.arguments(of: name)
        let use = DirectiveUse(
            name: name, arguments: arguments, position: position, isFirst: earlier.isEmpty, environment: environment,
            earlier: earlier)
        if directive.repetition == .refused && !use.isFirst { throw use.phrase("is duplicate") }
        block.record(name, arguments: arguments, try directive.read(use))
        if name == "include" { try include(use, into: block, in: context) }
    }

    private func include(_ use: DirectiveUse, into block: Block, in context: Contexts) throws(ConfigError) {
        guard includeDepth < Self.deepestInclude else {
            throw use.error("\"include\" goes more than \(Self.deepestInclude) files deep")
        }
        includeDepth += 1
        defer { includeDepth -= 1 }
        for file in try environment.files(includedBy: use.arguments[0], at: use.position) {
            try readFile(file, includedAt: use.position, into: block, in: context)
        }
    }

    // MARK: Blocks

    private func readBlock(
        _ words: [Word], at position: Position, from text: inout ConfigurationText, into parent: Block,
        in context: Contexts
    ) throws(ConfigError) {
        guard text.file != nil else {
            throw ConfigError("block directives are not supported in -g option", at: position)
        }
        let (name, arguments) = split(words)
        if try skipForeignBlock(name, at: position, from: &text, in: context) { return }
        let directive: BlockDirective
        switch try find(name, at: position, in: context) {
        case .simple: throw ConfigError("directive \"\(name)\" is not terminated by \";\"", at: position)
        case .block(let found): directive = found
        }
        try check(arguments, of: name, against: .exactly(0), at: position)
        guard directive.isRepeatable || parent.arguments(of: name).isEmpty else {
            throw ConfigError("\"\(name)\" directive is duplicate", at: position)
        }
        environment.hasOpenedBlock = true
        let block = Block(name: name, position: position, parent: parent)
        parent.record(name)
        parent.add(block)
        try readStatements(of: &text, until: .closingBrace, into: block, in: directive.body)
        try directive.close(block, environment)
    }

    /// Reads over a block of nginx's other servers, or refuses it; false if it is no such block.
    private func skipForeignBlock(
        _ name: String, at position: Position, from text: inout ConfigurationText, in context: Contexts
    ) throws(ConfigError) -> Bool {
        guard context == .main, LoadingSettings.foreignNames.contains(name),
            case .unknown = directives.find(name, in: context)
        else { return false }
        guard environment.foreignBlocks == .ignore else {
            throw ConfigError(
                "Apus serves mail only and has no block \"\(name)\": remove it,"
                    + " or write \"foreign_blocks ignore;\" before it to have it skipped", at: position)
        }
        environment.notice(
            ConfigError.assembled("the block \"\(name)\" is skipped, Apus serves mail only", at: position))
        try text.skipBody(of: name)
        return true
    }

    // MARK: What both have in common

    /// The lexer gives no statement without words.
    private func split(_ words: [Word]) -> (name: String, arguments: [Word]) {
        (words.first?.text ?? "", Array(words.dropFirst()))
    }

    private func find(
        _ name: String, at position: Position, in context: Contexts
    ) throws(ConfigError) -> DirectiveIndex.Entry {
        switch directives.find(name, in: context) {
        case .found(let entry): return entry
        case .notAllowedHere: throw ConfigError("\"\(name)\" directive is not allowed here", at: position)
        case .unknown(let hint): throw ConfigError("unknown directive \"\(name)\"", at: position, hint: hint)
        }
    }

    private func check(
        _ arguments: [Word], of name: String, against count: ArgumentCount, at position: Position
    ) throws(ConfigError) {
        guard count.admits(arguments.count) else {
            throw ConfigError("invalid number of arguments in \"\(name)\" directive", at: position)
        }
    }
}
