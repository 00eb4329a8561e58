package import Config

/// The `error_log` lines of one block. A block with a line of its own uses none of its parent's.
package struct LogSettings: SettingsBlock, Hashable {
    package enum Target: Hashable, Sendable {
        case standardError
        /// A path, already joined with the prefix.
        case file(String)
        case syslog(SyslogParameters)
        case memory(byteCount: Int, header: String)
    }

    package struct Line: Hashable, Sendable {
        package let target: Target
        package let level: LogLevel
        /// The most lines a second; nil for any number.
        package let rate: Int?

        package init(_ target: Target, _ level: LogLevel, rate: Int? = nil) {
            (self.target, self.level, self.rate) = (target, level, rate)
        }

        var isFile: Bool {
            switch target {
            case .standardError, .file: true
            case .syslog, .memory: false
            }
        }
    }

    /// In the order of the configuration.
    package var lines: [Line] = []

    package init() {}

    package static var title: String { "Logging" }

    package static var directives: [Directive<LogSettings>] {
        [
            Directive(
                "error_log", in: [.main, .mail, .server], arguments: .atLeast(1),
                placeholder: "target [level] [rate=number]",
                default: "/var/log/apus/error.log error", repetition: .accumulates,
                """
                Where messages go, and how grave they have to be. The target is a file (relative names are joined with \
                the prefix), `stderr`, `memory:SIZE` for a ring in memory, or \
                `syslog:server=ADDRESS[,facility=NAME][,tag=NAME][,nohostname]`. Levels are, in decreasing severity, \
                `emerg`, `alert`, `crit`, `error` (the default), `warn`, `notice`, `info` and `debug`. The directive may \
                be repeated; each log gets every message its level admits. With `rate=` it takes no more than so many messages \
                a second from each process, `emerg` and `alert` excepted, and when the second is over one line tells \
                how many were suppressed; without it, or with 0, there is no such limit. A `mail` or `server` block with a line of \
                its own uses only its own. If no line of the main block names a file or `stderr`, the built-in log \
                file is added at level `error`.
                """
            ) { use throws(ConfigError) in
                let target = try readTarget(use)
                let line = try readLine(target, use)
                let isFirst = use.isFirst
                return { settings in
                    if isFirst { settings.lines = [] }
                    settings.lines.append(line)
                }
            }.transferred(.writesFile)
        ]
    }

    private static func readTarget(_ use: borrowing DirectiveUse) throws(ConfigError) -> Target {
        let text = use.arguments[0].text
        if text == "stderr" || text.isEmpty { return .standardError }
        if text.hasPrefix("memory:") { return try readMemory(use, size: String(text.dropFirst(7))) }
        if text.hasPrefix("syslog:") {
            return .syslog(try SyslogParameters(parsing: String(text.dropFirst(7)), use))
        }
        return .file(use.environment.path(text))
    }

    private static func readMemory(_ use: borrowing DirectiveUse, size text: String) throws(ConfigError) -> Target {
        let invalid = use.error("invalid buffer size \"\(text)\"")
        guard let size = byteCount(text) else { throw invalid }
        let place = use.position.file.map { "\($0):\(use.position.line)" } ?? "command line:0"
        let header = "MEMLOG \(size) \(place)\n"
        // Room for the header and one line; more than a gigabyte is a slip of the pen.
        guard size >= header.utf8.count + 2048, size <= 1 << 30 else { throw invalid }
        return .memory(byteCount: size, header: header)
    }

    private static func byteCount(_ text: String) -> Int? {
        var digits = Array(text.utf8)
        var unit = 1
        switch digits.last {
        case 0x6B, 0x4B: unit = 1 << 10
        case 0x6D, 0x4D: unit = 1 << 20
        default: break
        }
        if unit > 1 { digits.removeLast() }
        guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(String(decoding: digits, as: UTF8.self))
        else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow ? nil : bytes
    }

    private static func readLine(_ target: Target, _ use: borrowing DirectiveUse) throws(ConfigError) -> Line {
        let classes = ["core", "alloc", "mutex", "event", "http", "mail", "stream"].map { "debug_" + $0 }
        var level: LogLevel?
        var isClass = false
        var rate: Int?
        for word in use.arguments.dropFirst() {
            let text = word.text
            if text.hasPrefix("rate=") {
                guard rate == nil else { throw use.error("duplicate log rate \"\(text)\"") }
                rate = try readRate(use, text)
            } else if let named = LogLevel(name: text) {
                guard level == nil else { throw use.error("duplicate log level \"\(text)\"") }
                level = named
            } else if classes.contains(text), level == nil || isClass {
                level = .debug
                isClass = true
            } else {
                throw use.error("invalid log level \"\(text)\"")
            }
        }
        return Line(target, level ?? .error, rate: rate == 0 ? nil : rate)
    }

    /// `rate=NUMBER`, with an `m/s` behind it if one likes, as Angie writes it.
    private static func readRate(_ use: borrowing DirectiveUse, _ text: String) throws(ConfigError) -> Int {
        let number = text.dropFirst("rate=".utf8.count)
        let digits = number.hasSuffix("m/s") ? number.dropLast(3) : number
        guard let rate = ConfigValue.number(Array(digits.utf8)) else {
            throw use.error("invalid log rate \"\(text)\"")
        }
        return rate
    }
}
