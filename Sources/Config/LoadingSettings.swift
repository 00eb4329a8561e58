/// The directives that steer the reading of the configuration itself; every ``ConfigLoader`` knows them.
package struct LoadingSettings: SettingsBlock {
    package enum ForeignBlocks: Equatable, Sendable { case refuse, ignore }

    /// What becomes of the top-level blocks that belong to other servers.
    package var foreignBlocks = ForeignBlocks.refuse

    package init() {}

    package static var title: String { "Reading the configuration" }

    package static var directives: [Directive<LoadingSettings>] { [include, loadModule, foreignBlocks] }

    /// The blocks of nginx that Apus has nothing to do with.
    static var foreignNames: [String] { ["http", "stream"] }

    // The loader does the work: only it can read statements.
    private static var include: Directive<LoadingSettings> {
        Directive(
            "include", in: [.main, .events, .mail, .server], arguments: .exactly(1), placeholder: "file | mask",
            default: nil, repetition: .lastWins,
            """
            Reads directives from another file, as if they stood here. A relative name is relative to the directory \
            of the main file. A name with `*`, `?` or `[` stands for all files it matches, in sorted order, and may \
            match none.
            """
        ) { _ in { _ in } }
    }

    private static var loadModule: Directive<LoadingSettings> {
        Directive(
            "load_module", in: .main, arguments: .exactly(1), placeholder: "file", default: nil,
            repetition: .lastWins,
            """
            Accepted, before all blocks, for the modules of nginx (`ngx_*`), so that its configurations can be kept; \
            they are ignored with a notice. Apus loads no modules: any other name is an error.
            """
        ) { use throws(ConfigError) in
            if use.environment.hasOpenedBlock { throw use.phrase("is specified too late") }
            let path = use.environment.path(use.arguments[0].text)
            let file = path.split(separator: "/").last ?? ""
            guard file.hasPrefix("ngx_") else {
                throw use.error("dlopen() \"\(path)\" failed (Apus loads no modules)")
            }
            use.notice("\"load_module\" is ignored, Apus needs no module \"\(file)\"")
            return { _ in }
        }.transferred(.leftOut("Apus loads no modules"))
    }

    private static var foreignBlocks: Directive<LoadingSettings> {
        let syntax = ArgumentSyntax<ForeignBlocks>.choice([("refuse", .refuse), ("ignore", .ignore)])
        return Directive(
            "foreign_blocks", in: .main, arguments: .exactly(1), placeholder: syntax.placeholder,
            default: syntax.print(LoadingSettings().foreignBlocks),
            """
            Whether the blocks `http` and `stream` of a configuration written for nginx are refused or skipped with a \
            notice. It counts for the text after it.
            """
        ) { use throws(ConfigError) in
            let parsed = try syntax.parse(use, use.arguments[0])
            use.environment.foreignBlocks = parsed
            return { $0.foreignBlocks = parsed }
        }
    }
}

// What the statements after these directives have to know.
extension LoadingEnvironment {
    var foreignBlocks: LoadingSettings.ForeignBlocks {
        get { notes["foreign_blocks"] as? LoadingSettings.ForeignBlocks ?? LoadingSettings().foreignBlocks }
        set { notes["foreign_blocks"] = newValue }
    }

    var hasOpenedBlock: Bool {
        get { notes["load_module"] as? Bool ?? false }
        set { notes["load_module"] = newValue }
    }
}
