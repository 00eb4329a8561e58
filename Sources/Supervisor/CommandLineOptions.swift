import Glibc

/// What the arguments of the command ask for (cli.md 1).
package struct CommandLineOptions: Equatable, Sendable {
    /// What `-s` sends to the master.
    package enum Signal: String, Sendable { case stop, quit, reopen, reload, upgrade }

    package enum ManualForm: String, Sendable { case markdown, man }

    /// Why the arguments cannot be understood; the text of the message.
    package struct Failure: Error, Equatable, Sendable {
        package let message: String
        package init(message: String) { self.message = message }
    }

    package var showsHelp = false
    package var showsVersion = false
    package var showsConfiguration = false
    package var testsConfiguration = false
    package var dumpsConfiguration = false
    package var isQuiet = false
    package var signal: Signal?
    /// `-w`: with `-s`, wait for what comes of it.
    package var waits = false
    package var prefix: String?
    package var configurationFile: String?
    package var errorLog: String?
    package var globalDirectives = ""
    /// `--manual markdown` or `--manual man`: print the manual and end.
    package var manual: ManualForm?
    /// `--from-nginx FILE`: print that configuration of nginx as one for Apus and end.
    package var nginxFile: String?

    package init() {}

    /// - Parameter arguments: Those after the program's name.
    package init(parsing arguments: [String]) throws(Failure) {
        if arguments.first == "--manual" {
            guard arguments.count == 2, let form = ManualForm(rawValue: arguments[1]) else {
                throw Failure(message: "option \"--manual\" requires \"markdown\" or \"man\"")
            }
            manual = form
            return
        }
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--from-nginx" {
                guard let file = rest.popFirst(), !file.isEmpty else {
                    throw Failure(message: "option \"--from-nginx\" requires file name")
                }
                nginxFile = file
                continue
            }
            guard argument.utf8.first == 0x2D else { throw Failure(message: "invalid option: \"\(argument)\"") }
            try parse(letters: argument.dropFirst(), &rest)
        }
        if nginxFile != nil { try refuseAllButPrefix() }
    }

    private func refuseAllButPrefix() throws(Failure) {
        var wanted = CommandLineOptions()
        (wanted.nginxFile, wanted.prefix) = (nginxFile, prefix)
        guard self == wanted else { throw Failure(message: "option \"--from-nginx\" goes with \"-p\" only") }
    }

    /// Letters may stand together; one that takes a value takes the rest of the word, or the next one.
    private mutating func parse(letters: Substring, _ rest: inout ArraySlice<String>) throws(Failure) {
        var letters = letters
        while let letter = letters.popFirst() {
            switch letter {
            case "?", "h": (showsVersion, showsHelp) = (true, true)
            case "v": showsVersion = true
            case "V": (showsVersion, showsConfiguration) = (true, true)
            case "t": testsConfiguration = true
            case "T": (testsConfiguration, dumpsConfiguration) = (true, true)
            case "q": isQuiet = true
            case "w": waits = true
            case "p", "e", "c", "g", "s":
                guard let value = letters.isEmpty ? rest.popFirst() : String(letters) else {
                    throw Failure(message: "option \"-\(letter)\" requires \(Self.kindOfValue(letter))")
                }
                return try set(letter, value)
            default: throw Failure(message: "invalid option: \"\(letter)\"")
            }
        }
    }

    private mutating func set(_ letter: Character, _ value: String) throws(Failure) {
        switch letter {
        case "p": prefix = value
        case "e": errorLog = value
        case "c": configurationFile = value
        case "g": globalDirectives = value
        default:
            guard let named = Signal(rawValue: value) else { throw Failure(message: "invalid option: \"-s \(value)\"") }
            signal = named
        }
    }

    private static func kindOfValue(_ letter: Character) -> String {
        switch letter {
        case "p": "directory name"
        case "e", "c": "file name"
        default: "parameter"
        }
    }
}

/// The paths that were built in, and what the command line makes of them (cli.md 3, 4).
package struct BuiltInPaths: Sendable {
    package var prefix = "/etc/apus/"
    package var configurationFile = "apus.conf"
    package var errorLog = "/var/log/apus/error.log"
    package var pidFile = "/run/apus/apus.pid"
    package var lockFile = "/run/apus/apus.lock"

    /// Those of a server that lives below one directory, as `-p` asks for.
    package static var belowPrefix: BuiltInPaths {
        BuiltInPaths(
            configurationFile: "conf/apus.conf", errorLog: "logs/error.log", pidFile: "logs/apus.pid",
            lockFile: "logs/apus.lock")
    }

    package init() {}

    private init(configurationFile: String, errorLog: String, pidFile: String, lockFile: String) {
        self.configurationFile = configurationFile
        self.errorLog = errorLog
        self.pidFile = pidFile
        self.lockFile = lockFile
    }

    /// The paths as they are used: names that do not begin with `/` are joined with the prefix, as text.
    package static func resolved(_ options: CommandLineOptions) -> BuiltInPaths {
        var paths = options.prefix == nil ? BuiltInPaths() : belowPrefix
        if var prefix = options.prefix {
            if !prefix.isEmpty, !prefix.hasSuffix("/") { prefix += "/" }
            paths.prefix = prefix
        }
        func joined(_ name: String) -> String { name.hasPrefix("/") ? name : paths.prefix + name }
        paths.configurationFile = joined(options.configurationFile ?? paths.configurationFile)
        let errorLog = options.errorLog ?? paths.errorLog
        paths.errorLog = errorLog.isEmpty || errorLog == "stderr" ? "" : joined(errorLog)
        paths.pidFile = joined(paths.pidFile)
        paths.lockFile = joined(paths.lockFile)
        return paths
    }

    /// Nothing was said about the configuration, and there is no file in its usual place.
    package var isConfigurationMissing: Bool {
        configurationFile == Self.resolved(CommandLineOptions()).configurationFile
            && access(configurationFile, F_OK) != 0
    }

    /// The directory of the main file with its `/`; the prefix where the path has no `/` after its first character.
    package var configurationPrefix: String {
        let bytes = Array(configurationFile.utf8)
        guard let slash = bytes.lastIndex(of: 0x2F), slash > 0 else { return prefix }
        return String(decoding: bytes[...slash], as: UTF8.self)
    }
}
