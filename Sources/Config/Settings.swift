/// The settings of one block of the configuration: every group of settings, by its type.
///
/// A value: an inner block starts as a copy of its finished parent.
public struct Settings: Sendable {
    private var groups: [ObjectIdentifier: any SettingsBlock] = [:]

    /// All defaults.
    public init() {}

    /// Those of a `server` block with this text: how the directives of a protocol or provider can be tested without a daemon.
    ///
    /// - Parameters:
    ///   - text: Directives as in a configuration: `nntp_posting off;`.
    ///   - directives: All that may stand there.
    /// - Throws: What the operator would be told; the file is called `server`.
    public init(reading text: String, with directives: [AnyDirective]) throws(ConfigError) {
        let environment = LoadingEnvironment(prefix: "", configurationPrefix: "", isPrivileged: false, warn: { _ in })
        let reading = Reading(directives: DirectiveIndex(directives, []), environment: environment)
        self = try reading.settings(ofServer: text)
    }

    /// The settings of one group; its defaults when nothing was set.
    public subscript<Group: SettingsBlock>(_ type: Group.Type) -> Group {
        get { groups[ObjectIdentifier(type)] as? Group ?? Group() }
        set { groups[ObjectIdentifier(type)] = newValue }
    }
}

/// A directive whose block type is no longer in sight; what loader and manual work with.
public struct AnyDirective {
    /// ``Directive/name``.
    public let name: String
    /// ``Directive/contexts``.
    public let contexts: Contexts
    /// ``Directive/arguments``.
    public let arguments: ArgumentCount
    /// ``Directive/placeholder``.
    public let placeholder: String
    /// ``Directive/defaultText``.
    public let defaultText: String?
    /// ``Directive/documentation``.
    public let documentation: String
    /// ``Directive/repetition``.
    public let repetition: Repetition
    package let transfer: Transfer
    /// The heading it stands under in the manual.
    public let group: String
    /// Reads one use; the result, applied to settings, stores its value.
    public let read: (borrowing DirectiveUse) throws(ConfigError) -> (inout Settings) -> Void

    /// The directive without its block's type.
    public init<Group: SettingsBlock>(_ directive: Directive<Group>) {
        name = directive.name
        contexts = directive.contexts
        arguments = directive.arguments
        placeholder = directive.placeholder
        defaultText = directive.defaultText
        documentation = directive.documentation
        repetition = directive.repetition
        transfer = directive.transfer
        group = Group.title
        let readUse = directive.read
        read = { use throws(ConfigError) in
            let store = try readUse(use)
            return { settings in store(&settings[Group.self]) }
        }
    }

    /// All directives of a group of settings.
    public static func all<Group: SettingsBlock>(of group: Group.Type) -> [AnyDirective] {
        Group.directives.map { AnyDirective($0) }
    }
}
