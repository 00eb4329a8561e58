/// One word of the configuration: its bytes after unquoting, as written otherwise.
public struct Word: Equatable, Sendable {
    /// The bytes, quotes and escapes removed.
    public let bytes: [UInt8]

    /// A word of these bytes.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    /// A word of this text.
    public init(_ text: String) { bytes = Array(text.utf8) }

    /// The word as the configuration would have to say it: in quotes where it needs them.
    public var written: String { String(decoding: writtenBytes, as: UTF8.self) }

    var writtenBytes: [UInt8] {
        let needsQuotes = bytes.isEmpty || bytes.contains { Self.isSpecial($0) }
        guard needsQuotes else { return bytes }
        var quoted: [UInt8] = [.doubleQuote]
        for byte in bytes {
            if byte == .doubleQuote || byte == .backslash { quoted.append(.backslash) }
            quoted.append(byte)
        }
        return quoted + [.doubleQuote]
    }

    /// Does the word spell `text`, in any case of ASCII letters? As in C, it ends at a NUL.
    public func spells(_ text: String) -> Bool {
        bytes.prefix { $0 != 0 }.elementsEqual(text.utf8) { $0.lowercasedASCII == $1.lowercasedASCII }
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case .space, .tab, .carriageReturn, .lineFeed, .semicolon, .openingBrace, .closingBrace, .doubleQuote,
            .singleQuote, .hash, .backslash, .closingParenthesis:
            true
        default: false
        }
    }

    /// The word as text up to a NUL, for names, paths and messages; bytes that are not UTF-8 are replaced.
    public var text: String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}

/// A place in the configuration, as messages name it.
public struct Position: Equatable, Sendable {
    /// The file as it was opened; nil for the text of `-g`.
    public let file: String?
    /// From 1.
    public let line: Int

    /// A place in a file, or in the directives of the command line.
    public init(file: String?, line: Int) { (self.file, self.line) = (file, line) }

    /// `FILE:LINE`, or `command line`.
    public var description: String { file.map { "\($0):\(line)" } ?? "command line" }
}

/// What is wrong with a configuration, in the operator's words; complete with its place.
public struct ConfigError: Error, Equatable, Sendable {
    /// The level of the error's line in the log.
    public enum Level: Equatable, Sendable {
        /// The configuration cannot be used.
        case emergency
        /// What it names cannot be used.
        case critical
    }

    /// The whole line, the place included.
    public let message: String
    /// The level of the line.
    public let level: Level
    /// A second line, level notice, that may help: `did you mean "timeout"?`.
    public let hint: String?

    /// - Parameter position: Where; nil when no file is to be named.
    public init(_ text: String, at position: Position? = nil, level: Level = .emergency, hint: String? = nil) {
        message = Self.assembled(text, at: position)
        self.level = level
        self.hint = hint
    }

    /// `TEXT in F:L`; as in nginx, the text before the place has at most 1024 bytes.
    static func assembled(_ text: String, at position: Position?) -> String {
        guard let position else { return text }
        let bounded = text.utf8.count > 1024 ? String(decoding: text.utf8.prefix(1024), as: UTF8.self) : text
        return "\(bounded) in \(position.description)"
    }
}

extension UInt8 {
    var lowercasedASCII: UInt8 { (0x41...0x5A).contains(self) ? self | 0x20 : self }
}
