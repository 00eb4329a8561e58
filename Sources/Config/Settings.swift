/// The settings of one block of the configuration: every group of settings, by its type.
///
/// A value: an inner block starts as a copy of its finished parent.
public struct Settings: Sendable {
    private var groups: [ObjectIdentifier: any SettingsBlock] = [:]

    public init() {}

    /// The settings of one group; its defaults when nothing was set.
    public subscript<Group: SettingsBlock>(_ type: Group.Type) -> Group {
        get { groups[ObjectIdentifier(type)] as? Group ?? Group() }
        set { groups[ObjectIdentifier(type)] = newValue }
    }
}

/// A directive whose block type is no longer in sight; what loader and manual work with.
public struct AnyDirective {
    public let name: String
    public let contexts: Contexts
    public let arguments: ArgumentCount
    public let placeholder: String
    public let defaultText: String?
    public let documentation: String
    public let repetition: Repetition
    package let transfer: Transfer
    /// The heading it stands under in the manual.
    public let group: String
    public let read: (borrowing DirectiveUse) throws(ConfigError) -> (inout Settings) -> Void

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
