import Config
import Testing

@Suite struct `Loading a configuration` {
    static let refused: [(String, String)] = [
        ("a", "unexpected end of file, expecting \";\" or \"}\" in main:1"),
        ("events {\n count 1;\n", "\"count\" directive is not allowed here in main:2"),
        ("events {\n\n", "unexpected end of file, expecting \"}\" in main:3"),
        ("events {}\n}", "unexpected \"}\" in main:2"), ("count 1 }", "unexpected \"}\" in main:1"),
        (";", "unexpected \";\" in main:1"), ("{", "unexpected \"{\" in main:1"),
        ("count\n1\n{", "directive \"count\" is not terminated by \";\" in main:3"),
        ("events\n;", "directive \"events\" has no opening \"{\" in main:2"),
        ("events a;", "directive \"events\" has no opening \"{\" in main:1"),
        ("events a {", "invalid number of arguments in \"events\" directive in main:1"),
        ("server {", "\"server\" directive is not allowed here in main:1"),
        ("timeout 1;", "\"timeout\" directive is not allowed here in main:1"),
        ("mail { mail {", "\"mail\" directive is not allowed here in main:1"),
        ("unheard;", "unknown directive \"unheard\" in main:1"), ("COUNT 1;", "unknown directive \"COUNT\" in main:1"),
        ("\u{FEFF}events {}", "unknown directive \"\u{FEFF}events\" in main:1"),
        ("count;", "invalid number of arguments in \"count\" directive in main:1"),
        ("count 1\ndaemon on;", "invalid number of arguments in \"count\" directive in main:2"),
        ("count 1;\ncount x;", "\"count\" directive is duplicate in main:2"),
        ("events {}\nevents\n{ ;", "\"events\" directive is duplicate in main:3"),
        ("mail {} mail {}", "\"mail\" directive is duplicate in main:1"),
        ("daemon yes;", "invalid value \"yes\" in \"daemon\" directive, it must be \"on\" or \"off\" in main:1"),
        ("count -1;", "\"count\" directive invalid number in main:1"),
        ("size 1g;", "\"size\" directive invalid value in main:1"),
        ("core 1t;", "\"core\" directive invalid value in main:1"),
        ("valid 1ms;", "\"valid\" directive invalid value in main:1"),
        ("mail { timeout 1M;", "\"timeout\" directive invalid value in main:1"),
        ("bounded 11;", "value must be between 1 and 10 in main:1"),
        ("least 1;", "value must be equal to or greater than 2 in main:1"),
        ("point go;", "invalid value \"go\" in main:1"),
        ("mail { letters a d;", "invalid value \"d\" in main:1"),
        ("mail {\n server\n {\n count 1;\n }", "a count needs a title in main:3"),
        (
            "title " + repeated("x", 4096) + ";", "too long parameter \"xxxxxxxxxx...\" started in main:1"
        ),
        ("include none;", "open() \"none\" failed (2: No such file or directory) in main:1"),
        ("include a b;", "invalid number of arguments in \"include\" directive in main:1"),
        (
            "http {}",
            "Apus serves mail only and has no block \"http\": remove it,"
                + " or write \"foreign_blocks ignore;\" before it to have it skipped in main:1"
        ),
        ("http;", "unknown directive \"http\" in main:1"), ("mail { http {", "unknown directive \"http\" in main:1"),
        ("foreign_blocks maybe;", "invalid value \"maybe\" in main:1"),
        ("foreign_blocks ignore; http { a; { }", "unexpected \"{\" in main:1"),
        ("foreign_blocks ignore; stream {\n a { \"}\"; } # }\n", "unexpected end of file, expecting \"}\" in main:3"),
        ("load_module /m/other.so;", "dlopen() \"/m/other.so\" failed (Apus loads no modules) in main:1"),
        ("load_module m.so;", "dlopen() \"/prefix/m.so\" failed (Apus loads no modules) in main:1"),
        ("events {}\nload_module ngx_mail_module.so;", "\"load_module\" directive is specified too late in main:2"),
    ]

    @Test(arguments: refused) func `errors and their places`(text: String, message: String) {
        let outcome = Outcome(text)
        #expect(outcome.message == message)
        #expect(outcome.error?.level == .emergency)
    }

    @Test func `the text of a message has at most 1024 bytes before its place`() throws {
        let message = try #require(Outcome("point \(repeated("x", 2000));").message)
        #expect(message == "invalid value \"" + repeated("x", 1009) + " in main:1")
    }

    @Test(
        arguments: [
            ("mail { tiemout 1;", "did you mean \"timeout\"?"), ("cuont 1;", "did you mean \"count\"?"),
            ("maill {", "did you mean \"mail\"?"), ("mial {", nil), ("tiemout 1;", nil), ("xyz;", nil), ("c;", nil),
            ("\"\";", nil),
        ] as [(String, String?)])
    func `a near name is offered`(text: String, hint: String?) { #expect(Outcome(text).error?.hint == hint) }

    @Test func `values are inherited, whatever the order of writing`() throws {
        let outcome = Outcome(
            """
            events {} daemon OFF; core 2g; title "";
            mail {
                server { title inner; valid 2; header C; }
                letters B; letters c; header A x; header B;
                server { letters a; } server { }
                valid 1y;
            }
            """)
        #expect(outcome.message == nil)
        let sample = try #require(outcome.sample)
        #expect(!sample.isDaemon && sample.core == 2 << 30 && sample.title == "")
        let mail = try #require(outcome.loaded?.root.children.last)
        let servers = mail.children.map { $0.settings[Sample.self] }
        #expect(servers.map(\.letters) == [[.b, .c], [.a], [.b, .c]])
        #expect(servers.map(\.valid) == [.seconds(2), .seconds(31_536_000), .seconds(31_536_000)])
        #expect(servers.map(\.title) == ["inner", "", ""])
        #expect(
            servers.map { $0.headers.map { String(decoding: $0, as: UTF8.self) } } == [
                ["C"], ["A", "x", "B"], ["A", "x", "B"],
            ])
        #expect(mail.position.line == 2 && mail.children[0].position.line == 3)
    }

    @Test func `a repeated value of a mask is warned about at each level`() {
        let outcome = Outcome("events {} mail {\n letters a A;\n server { letters a; }\n letters b a; }")
        #expect(outcome.message == nil)
        #expect(outcome.warnings == ["duplicate value \"A\" in main:2", "duplicate value \"a\" in main:4"])
    }

    @Test func `events have to be there, though the syntax is right without`() throws {
        let loaded = try #require(Outcome("mail {}").loaded)
        #expect(throws: ConfigError("no \"events\" section in configuration")) { try loaded.requireEvents() }
        #expect(throws: Never.self) { try Outcome("events {}").loaded?.requireEvents() }
    }

    @Test func `foreign blocks are skipped with a notice`() {
        let outcome = Outcome(
            """
            load_module modules/ngx_mail_module.so;
            foreign_blocks ignore;
            http { server { a "}" '{' \\} ${x}; # }
            } }
            events {} stream {}
            """)
        #expect(outcome.message == nil)
        #expect(
            outcome.notices == [
                "\"load_module\" is ignored, Apus needs no module \"ngx_mail_module.so\" in main:1",
                "the block \"http\" is skipped, Apus serves mail only in main:3",
                "the block \"stream\" is skipped, Apus serves mail only in main:5",
            ])
        #expect(outcome.loaded?.root.children.map(\.name) == ["events"])
    }

    @Test(arguments: [
        "local t = { a = { 1 } }", "-- it's }\nx()", "x('}\"', \"}'\", '\\'}')", "x([[ } ]=] ]]) t[1] = t[#t]",
        "x([=[ }]] ]==]]=] .. '}')", "--[[ } \n ' ]] x()", "--[==[ }]] ]==] x()", "--[ }\n", "--", "--\n-- }",
        "local a = b[c[1]] - -1 --}",
    ])
    func `Lua in them is read over as Lua`(code: String) {
        let outcome = Outcome(
            "foreign_blocks ignore; http { server { content_by_lua_block { \(code)\n} a; } } events {}")
        #expect(outcome.message == nil)
        #expect(outcome.loaded?.root.children.map(\.name) == ["events"])
    }

    @Test(arguments: ["x { \n", "x '}\n", "x [[ }\n", "--[=[ } ]]\n", "x \"\\", "[=="])
    func `Lua without an end`(code: String) {
        let outcome = Outcome("foreign_blocks ignore; http { a_by_lua_block {\(code)")
        let line = code.hasSuffix("\n") ? 2 : 1
        #expect(outcome.message == "unexpected end of file, expecting \"}\" in main:\(line)")
    }
}

@Suite struct `Files and includes` {
    @Test func `the main file is missing, or a directory`() {
        let directory = TestDirectory([:])
        #expect(Outcome(directory).message == "open() \"main\" failed (2: No such file or directory)")
        let outcome = Outcome(TestDirectory(["main": "include /tmp;"]))
        #expect(outcome.message == "pread() \"/tmp\" failed (21: Is a directory)")
        #expect(outcome.error?.level == .critical)
    }

    @Test func `a mask reads what it matches, sorted, and may match nothing`() {
        let outcome = Outcome(
            TestDirectory([
                "main": "events {} include *.conf; include nowhere/*; mail { include [s]erver; include server; }",
                "b.conf": "env b;", "a.conf": "env a;", ".c.conf": "env hidden;", "server": "server {}",
            ]))
        #expect(outcome.message == nil)
        #expect(outcome.sample?.headers == [Array("a".utf8), Array("b".utf8)])
        #expect(outcome.loaded?.root.children.last?.children.count == 2)
    }

    @Test(
        arguments: [
            ("include x;", "}", "unexpected \"}\" in x:1"),
            ("include x;", "events {", "unexpected end of file, expecting \"}\" in x:1"),
            ("events { include x;", "}", "unexpected \"}\" in x:1"),
            ("events {\ninclude x;", "count 1;", "\"count\" directive is not allowed here in x:1"),
            ("count 1;include x;", "\ncount 1;", "\"count\" directive is duplicate in x:2"),
            ("include x; count 1;", "count 1;", "\"count\" directive is duplicate in main:1"),
            ("include x;", "include\ny;", "open() \"y\" failed (2: No such file or directory) in x:2"),
            ("include x;", "\n\ninclude x;", "\"include\" goes more than 64 files deep in x:3"),
        ])
    func `errors name the file that has them`(main: String, included: String, message: String) {
        #expect(Outcome(TestDirectory(["main": main, "x": included])).message == message)
    }

    @Test(
        arguments: [
            ("count 1", "", "unexpected end of parameter, expecting \";\" in command line"),
            ("events {}", "", "block directives are not supported in -g option in command line"),
            ("}", "", "unexpected \"}\" in command line"), ("{", "", "unexpected \"{\" in command line"),
            ("unheard;", "", "unknown directive \"unheard\" in command line"),
            ("include none;", "", "open() \"none\" failed (2: No such file or directory) in command line"),
            ("count 1;", "events {}\ncount 2;", "\"count\" directive is duplicate in main:2"),
            ("count 1; # comment", "events {}", nil), ("", "events {}", nil), ("include main;", "env a;", nil),
        ] as [(String, String, String?)])
    func `text of -g comes first`(global: String, main: String, message: String?) {
        #expect(Outcome(main, global: global).message == message)
    }

    @Test func `a dump has each file once, in the order of opening`() {
        let directory = TestDirectory([
            "main": "include a; include b; include a;\nevents {}", "a": "env a;\n", "b": "include c;", "c": "",
            "g": "env g;",
        ])
        let dump = Outcome(directory, global: "include g;").loaded?.dump ?? []
        #expect(
            directory.shortened(String(decoding: dump, as: UTF8.self)) == """
                # configuration file g:
                env g;
                # configuration file main:
                include a; include b; include a;
                events {}
                # configuration file a:
                env a;

                # configuration file b:
                include c;
                # configuration file c:


                """)
    }

    @Test func `files are bytes`() {
        let directory = TestDirectory([:])
        directory.write("main", Array("events {} raw ".utf8) + [0x80, 0, 0xFF] + Array(";".utf8))
        #expect(Outcome(directory).sample?.raw == [0x80, 0, 0xFF])
    }
}

@Suite struct `The text of a server block` {
    private func settings(_ text: String) throws(ConfigError) -> Sample {
        try Settings(reading: text, with: AnyDirective.all(of: Sample.self))[Sample.self]
    }

    @Test func `sets what it says`() throws {
        let read = try settings("count 7; title 'a b'; # comment\nletters a c;")
        #expect((read.count, read.title, read.letters.rawValue) == (7, "a b", 5))
        #expect(try "\(settings(""))" == "\(Sample())")
    }

    @Test(
        arguments: [
            ("count x;", #""count" directive invalid number in server:1"#),
            ("count 1;\ncount 2;", #""count" directive is duplicate in server:2"#),
            ("daemon on;", #""daemon" directive is not allowed here in server:1"#),
            ("include x;", #"unknown directive "include" in server:1"#),
            ("count 1", #"unexpected end of file, expecting ";" or "}" in server:1"#),
            ("}", #"unexpected "}" in server:1"#),
        ])
    func `is refused as it would be`(text: String, message: String) {
        #expect { try settings(text) } throws: { ($0 as? ConfigError)?.message == message }
    }
}
