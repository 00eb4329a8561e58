import Config
import Glibc

/// Directives of every kind, for tests.
struct Sample: SettingsBlock {
    struct Letters: OptionSet, Sendable {
        let rawValue: Int
        static var a: Letters { Letters(rawValue: 1) }
        static var b: Letters { Letters(rawValue: 2) }
        static var c: Letters { Letters(rawValue: 4) }
    }
    enum Point: Equatable, Sendable { case stop, abort }

    var isDaemon = true
    var timeout = Duration.seconds(60)
    var valid = Duration.seconds(86400)
    var count = 3
    var bounded = 5
    var size = 8 << 10
    var core: Int?
    var title = "two words"
    var raw: [UInt8] = []
    var point = Point.stop
    var letters: Letters = [.a, .b]
    var methods: Set<String> = ["plain"]
    var headers: [[UInt8]] = []

    static var title: String { "Sample" }

    static var directives: [Directive<Sample>] {
        [
            Directive("daemon", in: .main, \.isDaemon, .flag, "Whether to go into the background."),
            Directive("timeout", in: [.mail, .server], \.timeout, .time, "How long to wait."),
            Directive("valid", in: [.main, .mail, .server], \.valid, .seconds, "How long it counts."),
            Directive("count", in: [.main, .mail, .server], \.count, .number, "How many."),
            Directive("bounded", in: .main, \.bounded, .number(in: 1...10), "How many, within bounds."),
            Directive("least", in: .main, \.bounded, .number(in: 2...), repetition: .lastWins, "At least two."),
            Directive("size", in: .main, \.size, .size, "How large."),
            Directive("core", in: .main, \.core, .optional(.offset), "How large at most."),
            Directive("title", in: [.main, .mail, .server], \.title, .string, "Its *name*."),
            Directive("raw", in: .main, \.raw, .word, "Any bytes."),
            Directive("point", in: .main, \.point, .choice([("stop", .stop), ("abort", .abort)]), "What to do."),
            .mask("letters", in: [.mail, .server], \.letters, [("a", .a), ("b", .b), ("c", .c)], "Which letters."),
            .mask("methods", in: .mail, \.methods, [("plain", ["plain"]), ("none", [])], "Which methods."),
            .list("header", in: [.mail, .server], \.headers, placeholder: "name value", "Adds a header."),
            Directive(
                "env", in: .main, arguments: .exactly(1), placeholder: "name", default: nil,
                repetition: .accumulates, "Keeps a variable; \\ and `-g`."
            ) { use in
                let word = use.arguments[0].bytes
                return { $0.headers.append(word) }
            },
        ]
    }

    static var blocks: [BlockDirective] {
        [
            BlockDirective("events", in: .main, body: .events, "Connection processing."),
            BlockDirective("mail", in: .main, body: .mail, "The mail proxy."),
            BlockDirective("server", in: .mail, body: .server, isRepeatable: true, "One virtual server.") {
                (block, _) throws(ConfigError) in
                if block.uses["title"] == nil, block.uses["count"] != nil {
                    throw ConfigError("a count needs a title", at: block.position)
                }
            },
        ]
    }
}

/// What became of one loading: the configuration or its error, and what was said on the way.
final class Outcome {
    private(set) var loaded: LoadedConfiguration?
    private(set) var error: ConfigError?
    var warnings: [String] = []
    var notices: [String] = []

    var sample: Sample? { loaded?.root.settings[Sample.self] }
    /// The error, with the directory of the test taken out.
    private(set) var message: String?

    init(_ directory: TestDirectory, global: String = "") {
        let environment = LoadingEnvironment(
            prefix: "/prefix/", configurationPrefix: directory.path, isPrivileged: false,
            warn: { [unowned self] in warnings.append(directory.shortened($0)) },
            notice: { [unowned self] in notices.append(directory.shortened($0)) })
        let loader = ConfigLoader(
            directives: AnyDirective.all(of: Sample.self), blocks: Sample.blocks, environment: environment)
        do throws(ConfigError) {
            loaded = try loader.load(file: directory.path + "main", globalDirectives: global)
        } catch {
            self.error = error
            message = directory.shortened(error.message)
        }
    }

    /// The outcome of one file, whose name is `main`.
    convenience init(_ text: String, global: String = "") { self.init(TestDirectory(["main": text]), global: global) }
}

/// A directory with files that goes away with its owner. Messages name its files without their path.
final class TestDirectory {
    /// Ends in `/`.
    let path: String
    private var names: Set<String> = []

    init(_ files: [String: String]) {
        var template = Array("/tmp/apus-config-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template)) + "/"
        for (name, text) in files { write(name, Array(text.utf8)) }
    }

    func write(_ name: String, _ bytes: [UInt8]) {
        names.insert(name)
        let descriptor = open(path + name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(descriptor) }
        precondition(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    }

    func shortened(_ message: String) -> String { message.replacing(path, with: "") }

    // Tests make no directories of their own in it.
    deinit {
        for name in names { _ = unlink(path + name) }
        _ = rmdir(path)
    }
}
