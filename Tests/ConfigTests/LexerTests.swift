import Config
import Testing

/// All words of a text, its statements ended by `;`, `{` or `}` as words of their own; or the error and its line.
func lex(_ text: [UInt8], source: Lexer.Source = .file) -> (words: [String], error: String?) {
    var lexer = Lexer(text, source: source)
    var words: [String] = []
    do throws(LexicalError) {
        while true {
            switch try lexer.statement() {
            case .simple(let read, _): words += read.map(\.text) + [";"]
            case .opening(let read, _): words += read.map(\.text) + ["{"]
            case .closing: words.append("}")
            case .end: return (words, nil)
            }
        }
    } catch {
        return (words, "\(error.text) in F:\(error.line)")
    }
}

func repeated(_ letter: String, _ count: Int) -> String { String(repeating: letter, count: count) }

@Suite struct `Words and what ends them` {
    static let table: [(String, [String])] = [
        ("", []), (" \t\r\n", []), ("# only a comment", []), ("#\n#\n", []),
        ("a;", ["a", ";"]), ("a b\tc\r\nd;", ["a", "b", "c", "d", ";"]), ("a ;b;", ["a", ";", "b", ";"]),
        ("a{b;}", ["a", "{", "b", ";", "}"]), ("events{}env A;", ["events", "{", "}", "env", "A", ";"]),
        ("a # c ; { \" \nb;", ["a", "b", ";"]),
        ("env A}b;", ["env", "A}b", ";"]), ("env A#b;", ["env", "A#b", ";"]),
        ("env A\"b c\";", ["env", "A\"b", "c\"", ";"]), ("env A{b;", ["env", "A", "{", "b", ";"]),
        ("env =,)'\u{0B}\u{0C};", ["env", "=,)'\u{0B}\u{0C}", ";"]),
        ("env ${name} a${b}c;", ["env", "${name}", "a${b}c", ";"]),
        ("env ${{a;", ["env", "${{a", ";"]), ("env ${b;c};", ["env", "${b", ";", "c}", ";"]),
        ("env $a{", ["env", "$a", "{"]), ("env $\\x{", ["env", "$\\x", "{"]),
        (#"a \" \' \\ ;"#, ["a", "\"", "'", "\\", ";"]), (#"a x\ty\rz\n;"#, ["a", "x\ty\rz\n", ";"]),
        (#"a \; \  \q \{;"#, ["a", #"\;"#, #"\ "#, #"\q"#, #"\{"#, ";"]), ("a \\$\\#;", ["a", "\\$\\#", ";"]),
        (#"a "b c" 'd;{}#' "" '';"#, ["a", "b c", "d;{}#", "", "", ";"]),
        (#"a "it's" 'a "b"';"#, ["a", "it's", #"a "b""#, ";"]),
        (#"a "b\"c" 'd\'e' "f\tg\q" "\\";"#, ["a", "b\"c", "d'e", "f\tg\\q", "\\", ";"]),
        ("\"events\" {}", ["events", "{", "}"]), ("a \"b\";c;", ["a", "b", ";", "c", ";"]),
        ("a \"b\"{", ["a", "b", "{"]), ("if (a = \"abc\")d;", ["if", "(a", "=", "abc", ")d", ";"]),
        ("a \"x\ny\";", ["a", "x\ny", ";"]),
        ("\u{FEFF}events {}", ["\u{FEFF}events", "{", "}"]),
        ("a " + repeated("x", 4095) + ";", ["a", repeated("x", 4095), ";"]),
        ("a \"" + repeated("x", 4095) + "\";", ["a", repeated("x", 4095), ";"]),
        ("#" + repeated("x", 10000) + "\na" + repeated(" ", 10000) + ";", ["a", ";"]),
    ]

    @Test(arguments: table) func `words and terminators`(text: String, words: [String]) {
        let outcome = lex(Array(text.utf8))
        #expect(outcome.words == words)
        #expect(outcome.error == nil)
    }

    static let refused: [(String, String)] = [
        (";", "unexpected \";\" in F:1"), ("\n{", "unexpected \"{\" in F:2"), ("a }", "unexpected \"}\" in F:1"),
        ("a; ;", "unexpected \";\" in F:1"),
        ("a \"abc\"d", "unexpected \"d\" in F:1"), ("a \"a\"}", "unexpected \"}\" in F:1"),
        ("a\n'a'#", "unexpected \"#\" in F:2"), ("a 'a''b'", "unexpected \"'\" in F:1"),
        ("a", "unexpected end of file, expecting \";\" or \"}\" in F:1"),
        ("a b\n\n", "unexpected end of file, expecting \";\" or \"}\" in F:3"),
        ("a \"b\n;", "unexpected end of file, expecting \";\" or \"}\" in F:2"),
        ("a \"b\"", "unexpected end of file, expecting \";\" or \"}\" in F:1"),
        ("a \\\n\\", "unexpected end of file, expecting \";\" or \"}\" in F:2"),
        ("\na " + repeated("x", 4096) + ";", "too long parameter \"xxxxxxxxxx...\" started in F:2"),
        (
            "a\n \"" + repeated("x\n", 2048) + "\";",
            "too long parameter, probably missing terminating \"\"\" character in F:2"
        ),
        ("a '" + repeated("x", 5000), "too long parameter, probably missing terminating \"'\" character in F:1"),
        ("a " + repeated("x", 4096), "unexpected end of file, expecting \";\" or \"}\" in F:1"),
    ]

    @Test(arguments: refused) func `errors and their lines`(text: String, error: String) {
        #expect(lex(Array(text.utf8)).error == error)
    }

    @Test func `the text of -g has an error of its own and no limit`() {
        #expect(lex(Array("a".utf8), source: .parameter).error == "unexpected end of parameter, expecting \";\" in F:1")
        #expect(lex(Array("a \(repeated("x", 9000));".utf8), source: .parameter).error == nil)
    }

    @Test func `bytes are only bytes`() throws {
        var lexer = Lexer([0x61, 0, 0xFF, 0x20, 0xC3, 0x3B])
        #expect(try lexer.statement() == .simple([Word([0x61, 0, 0xFF]), Word([0xC3])], line: 1))
    }

    @Test func `the line is the one of the terminator`() throws {
        var lexer = Lexer(Array("a\nb\n; c\n\n{\n}\n".utf8))
        #expect(try lexer.statement() == .simple([Word("a"), Word("b")], line: 3))
        #expect(try lexer.statement() == .opening([Word("c")], line: 5))
        #expect(try lexer.statement() == .closing(line: 6))
        #expect(try lexer.statement() == .end(line: 7))
    }

    @Test func `no beginning of a text traps, nor all texts glued together`() {
        let texts = Self.table.map(\.0) + Self.refused.map(\.0)
        for bytes in texts.map({ Array($0.utf8) }) {
            let step = max(1, bytes.count / 200)
            for count in stride(from: 0, through: bytes.count, by: step) { _ = lex(Array(bytes.prefix(count))) }
            for start in stride(from: 0, through: bytes.count, by: step) { _ = lex(Array(bytes.dropFirst(start))) }
        }
    }

    @Test func `all texts glued together are the sum of their statements`() {
        let texts = Self.table.filter { !$0.0.isEmpty }
        #expect(lex(Array(texts.map { $0.0 + "\n" }.joined().utf8)).words == texts.flatMap(\.1))
    }

    @Test func `random texts do not trap`() {
        let alphabet = Array(";{}#\"'\\$) \n\tab\u{0}".utf8)
        var state: UInt64 = 42
        for _ in 0..<5000 {
            let text = (0..<40).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return alphabet[Int(state >> 33) % alphabet.count]
            }
            _ = lex(text)
            _ = lex(text, source: .parameter)
        }
    }

    @Test(arguments: ["", "a", "a b", "\"'", "\\", "\\n", "a;{}#", ")", "$", "${a}", "\t\r\n", "#"])
    func `a written word reads back`(text: String) {
        #expect(lex(Array("\(Word(text).written);".utf8)).words == [text, ";"])
    }
}
