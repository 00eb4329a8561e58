/// One word of the configuration: its bytes after unquoting, as written otherwise.
public struct Word: Equatable, Sendable {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    public init(_ text: String) { bytes = Array(text.utf8) }

    /// The word as text up to a NUL, for names, paths and messages; bytes that are not UTF-8 are replaced.
    public var text: String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}

/// A place in the configuration, as messages name it.
public struct Position: Equatable, Sendable {
    /// The file as it was opened; nil for the text of `-g`.
    public let file: String?
    public let line: Int

    public init(file: String?, line: Int) { (self.file, self.line) = (file, line) }

    /// `FILE:LINE`, or `command line`.
    public var description: String { file.map { "\($0):\(line)" } ?? "command line" }
}

/// What is wrong with a configuration, in the operator's words; complete with its place.
public struct ConfigError: Error, Equatable, Sendable {
    public enum Level: Equatable, Sendable { case emergency, critical }

    public let message: String
    public let level: Level

    /// - Parameter position: Where; nil when no file is to be named.
    public init(_ text: String, at position: Position? = nil, level: Level = .emergency) {
        message = position.map { "\(text) in \($0.description)" } ?? text
        self.level = level
    }
}
