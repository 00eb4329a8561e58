import Config
import Testing

/// Directives that come over in every way.
private struct Moving: SettingsBlock {
    var key = ""
    var log = ""

    static var title: String { "Moving" }
    static var directives: [Directive<Moving>] {
        [
            Directive("key", in: [.mail, .server], \.key, .string, "A file.").transferred(.readsFile),
            Directive(
                "log", in: [.main, .mail], arguments: .between(1, 2), placeholder: "file [level]",
                default: "/own/log error", "A file of ours."
            ) { _ in { _ in } }.transferred(.writesFile),
            Directive("engine", in: .main, \.key, .string, "Gone.").transferred(.leftOut("there are none")),
        ]
    }
}

/// What became of a configuration with the main file `main`: the head and the configuration below it, or the error.
private struct MadeOver {
    var head = ""
    var text = ""
    var error: String?

    init(_ files: [String: String], isPrefixKnown: Bool = true, differences: [Difference] = []) {
        self.init(TestDirectory(files), isPrefixKnown: isPrefixKnown, differences: differences)
    }

    init(_ directory: TestDirectory, isPrefixKnown: Bool = true, differences: [Difference] = []) {
        let environment = LoadingEnvironment(
            prefix: "/prefix/", configurationPrefix: directory.path, isPrivileged: false, warn: { _ in })
        let directives = AnyDirective.all(of: LoadingSettings.self) + AnyDirective.all(of: Sample.self)
        do throws(ConfigError) {
            let written = try WrittenConfiguration(
                reading: directory.path + "main", directives: directives + AnyDirective.all(of: Moving.self),
                blocks: Sample.blocks, environment: environment)
            var translation = try Translation(
                written, environment: environment, isPrefixKnown: isPrefixKnown, differences: differences,
                formerFlags: [FormerFlag("old", now: "title", "new")],
                protocolOf: { $0.first { $0.name == "title" }?.arguments.first?.text })
            let whole = directory.shortened(String(decoding: translation.text(), as: UTF8.self))
            let end = whole.firstRange(of: "\n\n")
            head = String(whole[..<(end?.lowerBound ?? whole.endIndex)])
            text = String(whole[(end?.upperBound ?? whole.endIndex)...])
        } catch {
            self.error = directory.shortened(error.message)
        }
    }

    init(_ text: String, isPrefixKnown: Bool = true, differences: [Difference] = []) {
        self.init(["main": text], isPrefixKnown: isPrefixKnown, differences: differences)
    }
}

@Suite struct `A configuration of nginx made over` {
    @Test(arguments: [
        "mail {}\n", "# c\nmail{server{title a;}}# d\n", "mail {\r\n\ttitle 'a  b' ; # c ; }\r\n}\r\n",
        "\n\nmail { title \"\\q${x}\n}\"\n  ; }\n",
    ])
    func `what is known stays as it is written`(text: String) {
        #expect(MadeOver(text).text == text)
    }

    static let table: [(String, String)] = [
        ("mail {}", "mail {}\n"),
        ("mail {} # end", "mail {} # end\n"),
        (
            "engine x; mail { titel x; title y; }",
            """
            # Left out (there are none): engine x;
            mail {
            # Left out (unknown to Apus, did you mean "title"?): titel x;
            title y; }

            """
        ),
        (
            "mail {\n  more a\n    b; # why\n  title y;\n}\n",
            """
            mail {
              # Left out (unknown to Apus):
              # more a
              #   b;
              # why
              title y;
            }

            """
        ),
        (
            "mail { x {\n a { \"}\"; } } title y; }",
            "mail {\n# Left out (unknown to Apus):\n# x {\n#  a { \"}\"; } }\ntitle y; }\n"
        ),
        (
            "mail { key k.pem; key \"a b\"; key /k; key data:x; key ''; }",
            """
            mail { key DIRk.pem; key "DIRa b"; key /k; key data:x; key ''; }

            """
        ),
        ("log l info; mail { log stderr; }", "log /prefix/l info; mail { log stderr; }\n"),
        (
            "log l info; # ours\nlog m;\nmail { log l; }\nhttp {}",
            """
            # nginx goes on with l.
            log /own/log info; # ours
            # Left out (nginx goes on with this file): log m;
            mail { log /prefix/l; }
            # Left out, for nginx to serve: http {...} (main:4)

            """
        ),
        (
            "mail { title unix:a; title unix:/a; title unix:; }",
            "mail {\n# A relative path starts where Apus is started.\ntitle unix:a; title unix:/a; title unix:; }\n"
        ),
        (
            """
            mail { server { title a; old off; } server { title b; title c new; } server { title d ; }
              old on;
            }

            """,
            """
            mail { server { title a;
            # Left out ("title" has the parameter "new" for it): old off;
            } server { title b new; title c new; } server { title d  new; }
              # Left out ("title" has the parameter "new" for it): old on;
            }

            """
        ),
        (
            "mail { server { include o*; title a; } title b; }\n",
            "mail { server {\n# Left out (there is no such file): include o*;\ntitle a; } title b; }\n"
        ),
        ("include no*;\nmail {}\n", "# Left out (there is no such file): include no*;\nmail {}\n"),
    ]

    @Test(arguments: table) func `what is not is a comment`(text: String, expected: String) {
        #expect(MadeOver(text).text == expected.replacing("DIR", with: ""))
    }

    @Test func `relative names need the prefix`() {
        #expect(
            MadeOver("log l;\nmail {}\n", isPrefixKnown: false).text
                == "# Left out (the name starts at nginx's prefix, which `-p` has to tell): log l;\nmail {}\n")
    }

    @Test func `included files stand in their places`() {
        let outcome = MadeOver([
            "main": "mail {\n    include part*;\n\n    title z;\n}\n",
            "part1": "\n# one\nserver {\n\ttitle a;\n}\n\nserver { title b; }\n",
            "part2": "count 1; # two",
        ])
        #expect(
            outcome.text == """
                mail {
                    # From part1: include part*;

                    # one
                    server {
                    \ttitle a;
                    }

                    server { title b; }
                    # End of part1.
                    # From part2: include part*;
                    count 1; # two
                    # End of part2.

                    title z;
                }

                """)
    }

    @Test func `the head says what is left out and what is to be done`() {
        let served = MadeOver("stream {}\nmail { boo; }\nrtmp { }\n").head.replacing("\n# ", with: " ")
        #expect(
            served.contains(" nginx has to go on serving what is left out: \"stream\" (main:1), \"rtmp\" (main:3). "))
        #expect(served.contains(" Unknown to Apus, and left out: \"boo\" (main:2).\n"))
        let alone = MadeOver("mail {}").head
        #expect(alone.contains("# Nothing is left for nginx to do: "))
        #expect(!alone.contains("left out"))
    }

    @Test func `differences are told where they matter`() {
        let differences = [
            Difference("always", "never", mattersTo: .any),
            Difference("lax", "strict"),
            Difference("says title", "does not", mattersTo: .serving("other"), .serving("imap")),
            Difference("counts", "reckons", mattersTo: .using("count", argument: "2")),
            Difference("hears", "listens", mattersTo: .using("http")),
        ]
        func told(_ text: String) -> [String] {
            MadeOver(text, differences: differences).head.split(separator: "\n")
                .filter { $0.hasPrefix("# *") || $0.hasSuffix(":") }.map { String($0.dropFirst(2)) }
        }
        #expect(told("mail { count 1; }") == ["In general:", "* nginx: always"])
        #expect(
            told("mail { include x*; server { title pop3; } server { count 20; title imap; } server { title other; } }")
                == [
                    "In general:", "* nginx: always", "With \"protocol imap\":", "* nginx: says title",
                    "With \"count ... 2\":", "* nginx: counts",
                ])
        #expect(told("mail {} http {}") == ["In general:", "* nginx: always", "With \"http\":", "* nginx: hears"])
    }

    @Test func `no beginning of one traps`() {
        let text =
            Array(
                "load_module x; log l; http { a_by_lua_block { '}' } \"}\"; }\nmail { # c\n key 'k \\' ${x}; x { y; }\n"
                    .utf8) + Array("  include part;\r\n \tserver{title imap;}bogus;}# end".utf8)
        let directory = TestDirectory(["part": "# p\n count 1;"])
        for end in text.indices {
            directory.write("main", Array(text[..<end]))
            let outcome = MadeOver(directory)
            #expect(outcome.error != nil || !outcome.text.isEmpty)
        }
    }

    @Test func `the head is wrapped`() {
        let row = Difference(repeated("word ", 50), repeated("x", 200), mattersTo: .any)
        let lines = MadeOver("mail {}", differences: [row]).head.split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("#     word word") })
        #expect(lines.filter { $0.count > 102 }.count == 1)
    }

    @Test(arguments: [
        ("events {}", "no \"mail\" section in configuration main"), ("", "no \"mail\" section in configuration main"),
        ("mail {\n", "unexpected end of file, expecting \"}\" in main:2"),
        ("mail {}\n}", "unexpected \"}\" in main:2"),
        ("mail {}\nhttp { a; ", "unexpected end of file, expecting \"}\" in main:2"),
        ("mail { title }", "unexpected \"}\" in main:1"),
        ("mail;", "directive \"mail\" has no opening \"{\" in main:1"),
        ("mail { title {} }", "directive \"title\" is not terminated by \";\" in main:1"),
        ("server {}", "\"server\" directive is not allowed here in main:1"),
        ("daemon off; mail { daemon off; }", "\"daemon\" directive is not allowed here in main:1"),
        ("include gone;", "open() \"gone\" failed (2: No such file or directory) in main:1"),
        ("include main;", "\"include\" goes more than 64 files deep in main:1"),
        ("include a b;", "invalid number of arguments in \"include\" directive in main:1"),
    ])
    func `what is wrong is told with its place`(text: String, error: String) {
        let outcome = MadeOver(text)
        #expect(outcome.error == error)
        #expect(outcome.text.isEmpty)
    }
}
