import Config
import IMAP
import POP3

/// A configuration's text: cut into statements; those whose directives are known are read too.
func fuzzConfiguration(_ input: Span<UInt8>) {
    for source in [Lexer.Source.file, .parameter] {
        var lexer = Lexer(input.bytes, source: source)
        readStatements(of: &lexer)
    }
}

private func readStatements(of lexer: inout Lexer) {
    let directives = IMAP.declaration.directives + POP3.declaration.directives
    let environment = LoadingEnvironment(prefix: "", configurationPrefix: "", isPrivileged: false, warn: { _ in })
    var settings = Settings()
    while let statement = try? lexer.statement() {
        switch statement {
        case .simple(let words, let line), .opening(let words, let line):
            guard let directive = directives.first(where: { $0.name == words[0].text }),
                directive.arguments.admits(words.count - 1)
            else { continue }
            let use = DirectiveUse(
                name: directive.name, arguments: Array(words.dropFirst()), position: Position(file: "f", line: line),
                isFirst: false, environment: environment)
            try? directive.read(use)(&settings)
        case .closing: continue
        case .end: return
        }
    }
}
