/// The block types a directive may stand in.
public struct Contexts: OptionSet, Sendable {
    /// The bits, as the static members name them.
    public let rawValue: UInt8
    /// Contexts with these bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Outside of all blocks.
    public static var main: Contexts { Contexts(rawValue: 1) }
    /// The `events` block.
    public static var events: Contexts { Contexts(rawValue: 2) }
    /// The `mail` block; its settings are the defaults of the `server` blocks inside.
    public static var mail: Contexts { Contexts(rawValue: 4) }
    /// A `server` block.
    public static var server: Contexts { Contexts(rawValue: 8) }
}

/// How many arguments a directive takes.
public enum ArgumentCount: Equatable, Sendable {
    /// So many.
    case exactly(Int)
    /// From the first number to the second.
    case between(Int, Int)
    /// So many, or more.
    case atLeast(Int)

    /// There is a number of arguments that it admits.
    package var isPossible: Bool {
        switch self {
        case .exactly(let wanted): wanted >= 0
        case .between(let low, let high): high >= max(low, 0)
        case .atLeast: true
        }
    }

    package func admits(_ count: Int) -> Bool {
        switch self {
        case .exactly(let wanted): count == wanted
        case .between(let low, let high): low <= count && count <= high
        case .atLeast(let low): count >= low
        }
    }
}

/// What a second use of a directive in the same block means.
public enum Repetition: Equatable, Sendable {
    /// An error: `"X" directive is duplicate`.
    case refused
    /// The last use counts.
    case lastWins
    /// Uses add up; the first use in a block hides what the outer block had.
    case accumulates
}

/// A group of settings that belong together. Its initial values are the defaults; inheritance is copying.
public protocol SettingsBlock: Sendable {
    /// The defaults.
    init()
    /// The heading of its part of the manual.
    static var title: String { get }
    /// The directives that set them; asked for whenever a configuration is read.
    static var directives: [Directive<Self>] { get }
}

/// A directive of the configuration language, as the loader, the checker and the manual see it.
public struct Directive<Block> {
    /// The name, lower case with `_`.
    public let name: String
    /// Where it may stand.
    public let contexts: Contexts
    /// How many arguments it takes.
    public let arguments: ArgumentCount
    /// The arguments as the manual shows them, for example `time` or `on | off`.
    public let placeholder: String
    /// The default as the manual shows it; nil where there is none.
    public let defaultText: String?
    /// One paragraph for the manual.
    public let documentation: String
    /// What a second use in the same block means.
    public let repetition: Repetition
    /// Reads one use; the result, applied to a block, stores its value.
    public let read: (borrowing DirectiveUse) throws(ConfigError) -> (inout Block) -> Void
    package internal(set) var transfer = Transfer.asWritten

    /// A directive with a reader of its own.
    public init(
        _ name: String, in contexts: Contexts, arguments: ArgumentCount, placeholder: String,
        default defaultText: String?,
        repetition: Repetition = .refused, _ documentation: String,
        read: @escaping (borrowing DirectiveUse) throws(ConfigError) -> (inout Block) -> Void
    ) {
        self.name = name
        self.contexts = contexts
        self.arguments = arguments
        self.placeholder = placeholder
        self.defaultText = defaultText
        self.documentation = documentation
        self.repetition = repetition
        self.read = read
    }

    /// A directive of one argument that sets one value.
    public init<Value>(
        _ name: String, in contexts: Contexts, _ value: WritableKeyPath<Block, Value>, _ syntax: ArgumentSyntax<Value>,
        repetition: Repetition = .refused, _ documentation: String
    ) where Block: SettingsBlock {
        self.init(
            name, in: contexts, arguments: .exactly(1), placeholder: syntax.placeholder,
            default: syntax.print(Block()[keyPath: value]), repetition: repetition, documentation
        ) { use throws(ConfigError) in
            let parsed = try syntax.parse(use, use.arguments[0])
            return { block in block[keyPath: value] = parsed }
        }
    }
}

/// How the one argument of a directive is read, shown in the manual and printed back.
public struct ArgumentSyntax<Value> {
    /// The argument as the manual shows it, for example `time` or `on | off`.
    public let placeholder: String
    /// Reads the argument.
    ///
    /// - Throws: ``DirectiveUse/error(_:hint:)`` and its like.
    public let parse: (borrowing DirectiveUse, Word) throws(ConfigError) -> Value
    /// The value as it would be written; nil where nothing stands for it (no default).
    public let print: (Value) -> String?

    /// A syntax.
    ///
    /// - Parameters:
    ///   - placeholder: The argument as the manual shows it.
    ///   - parse: Reads it.
    ///   - print: Writes a value as it would be written; nil where nothing stands for it.
    public init(
        placeholder: String, parse: @escaping (borrowing DirectiveUse, Word) throws(ConfigError) -> Value,
        print: @escaping (Value) -> String?
    ) {
        (self.placeholder, self.parse, self.print) = (placeholder, parse, print)
    }
}

/// What the directives of one loading share: prefixes, warnings, and notes that one use leaves for the next
/// (such as the addresses `listen` has seen).
package final class LoadingEnvironment {
    /// What relative names of `error_log`, `pid` and `load_module` are prefixed with; ends in `/` or is empty.
    package let prefix: String
    /// What relative names of `include` and of certificates are prefixed with; ends in `/` or is empty.
    package let configurationPrefix: String
    /// Called with each warning, complete with its place.
    package var warn: (String) -> Void
    /// Called with each notice, complete with its place.
    package var notice: (String) -> Void
    /// Notes of one directive for its next uses, by a name of the directive's choice.
    package var notes: [String: Any] = [:]
    /// Whether the process may change its user.
    package let isPrivileged: Bool
    /// Host names that are resolved already.
    package let names: NameTable

    package init(
        prefix: String, configurationPrefix: String, isPrivileged: Bool, names: NameTable = NameTable(),
        warn: @escaping (String) -> Void, notice: @escaping (String) -> Void = { _ in }
    ) {
        self.names = names
        (self.prefix, self.configurationPrefix, self.isPrivileged) = (prefix, configurationPrefix, isPrivileged)
        (self.warn, self.notice) = (warn, notice)
    }

    /// `name`, prefixed unless it is absolute.
    package func configurationPath(_ name: String) -> String {
        name.utf8.first == 0x2F ? name : configurationPrefix + name
    }
    package func path(_ name: String) -> String { name.utf8.first == 0x2F ? name : prefix + name }
}

/// One use of a directive in the configuration, as its reader sees it.
public struct DirectiveUse {
    /// The directive's name.
    public let name: String
    /// The arguments, quotes and escapes removed.
    public let arguments: [Word]
    /// The place of the `;` or `{` that ended it.
    public let position: Position
    /// No earlier use stands in this block.
    public let isFirst: Bool
    /// The arguments of the earlier uses in this block, in their order.
    public let earlier: [[Word]]
    package let environment: LoadingEnvironment

    package init(
        name: String, arguments: [Word], position: Position, isFirst: Bool, environment: LoadingEnvironment,
        earlier: [[Word]] = []
    ) {
        self.name = name
        self.arguments = arguments
        self.position = position
        self.isFirst = isFirst
        self.environment = environment
        self.earlier = earlier
    }

    /// `TEXT in F:L`.
    public func error(_ text: String, hint: String? = nil) -> ConfigError {
        ConfigError(text, at: position, hint: hint)
    }
    /// `"NAME" directive PHRASE in F:L`.
    public func phrase(_ text: String) -> ConfigError { error("\"\(name)\" directive \(text)") }
    /// The file that a name in an argument stands for: a relative one is relative to the directory of the main file.
    public func configurationPath(_ name: String) -> String { environment.configurationPath(name) }
    /// Logs `TEXT in F:L` at level warn.
    public func warn(_ text: String) { environment.warn(ConfigError.assembled(text, at: position)) }
    /// Logs `TEXT in F:L` at level notice.
    public func notice(_ text: String) { environment.notice(ConfigError.assembled(text, at: position)) }
}
