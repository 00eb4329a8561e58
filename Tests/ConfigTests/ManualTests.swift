import Config
import Testing

@Suite struct `The manual` {
    private static var loader: ConfigLoader {
        ConfigLoader(
            directives: AnyDirective.all(of: Sample.self), blocks: Sample.blocks,
            environment: LoadingEnvironment(prefix: "", configurationPrefix: "", isPrivileged: false, warn: { _ in }))
    }
    private static var manual: Manual { Manual(directives: loader.directives, blocks: loader.blocks) }

    @Test func `every directive is documented and its printed default is a use of it`() throws {
        for directive in Self.loader.directives {
            #expect(!directive.documentation.isEmpty, "\(directive.name)")
            guard let text = directive.defaultText else { continue }
            var lexer = Lexer(Array("\(directive.name) \(text);".utf8))
            guard case .simple(let words, _) = try lexer.statement() else {
                Issue.record("\(directive.name) \(text) is no statement")
                continue
            }
            let use = DirectiveUse(
                name: directive.name, arguments: Array(words.dropFirst()), position: Position(file: "F", line: 1),
                isFirst: true, environment: Self.loader.environment)
            var settings = Settings()
            try directive.read(use)(&settings)
            #expect(directive.arguments.admits(use.arguments.count))
            #expect("\(settings[Sample.self])" == "\(Sample())", "\(directive.name)")
        }
    }

    @Test func `Markdown has syntax, default, context and text`() {
        let text = Self.manual.markdown
        #expect(
            text.contains(
                """
                ### `title`

                - Syntax: `title string;`
                - Default: `title "two words";`
                - Context: main, mail, server

                Its \\*name\\*.

                """))
        #expect(text.contains("- Syntax: `letters (a | b | c) ...;`\n- Default: `letters a b;`"))
        #expect(text.contains("### `core`\n\n- Syntax: `core size;`\n- Default: none\n"))
        #expect(text.contains("### `server`\n\n- Syntax: `server { ... }`\n"))
        #expect(text.contains("### `foreign_blocks`"))
    }

    @Test func `roff escapes what troff would read`() {
        let text = Self.manual.roff
        #expect(text.hasPrefix(".TH APUS.CONF 5"))
        #expect(text.contains(".SS env\nSyntax: \\fBenv name;\\fR\n.br\n"))
        #expect(text.contains("Keeps a variable; \\e and \\fB\\-g\\fR."))
        #expect(text.contains(".SH \"SAMPLE\"\n"))
    }

    @Test func `differences are a table and paragraphs`() {
        let manual = Manual(
            directives: [], blocks: [],
            differences: [
                Difference("A `x|y`.", "*Not* | `\\n`."), Difference(".so it says", "'ere"),
            ])
        let table = "| nginx | Apus |\n|---|---|\n| A `x\\|y`. | \\*Not\\* \\| `\\n`. |\n| .so it says | 'ere |\n"
        #expect(manual.markdown.hasSuffix("## Differences from nginx\n\n" + table))
        #expect(manual.roff.contains(".PP\nnginx: A \\fBx|y\\fR.\n.br\nApus: *Not* | \\fB\\en\\fR.\n"))
        #expect(!manual.roff.contains("\n.so"))
        #expect(!Self.manual.markdown.contains("Differences") && !Self.manual.roff.contains("DIFFERENCES"))
    }
}
