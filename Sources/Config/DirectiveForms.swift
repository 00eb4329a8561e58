// Whole directives of a common form: masks and lists of words.

extension Directive where Block: SettingsBlock {
    /// A directive of one or more listed names (any letter case) that together make a set: an `OptionSet`, or a `Set`.
    ///
    /// Uses in one block add up; the first replaces what was inherited. A name that is already in
    /// the set of this block is only warned about.
    ///
    /// - Parameter names: The names with what each adds, as the manual lists them.
    public static func mask<Mask: SetAlgebra>(
        _ name: String, in contexts: Contexts, _ value: WritableKeyPath<Block, Mask>,
        _ names: [(name: String, value: Mask)], _ documentation: String
    ) -> Directive<Block> {
        Directive(
            name, in: contexts, arguments: .atLeast(1), placeholder: placeholder(of: names.map(\.name)),
            default: text(of: Block()[keyPath: value], names), repetition: .accumulates, documentation
        ) { use throws(ConfigError) in
            var mask = Mask()
            for word in use.earlier.joined() {
                mask.formUnion(names.first { word.spells($0.name) }?.value ?? Mask())
            }
            for word in use.arguments {
                guard let bit = names.first(where: { word.spells($0.name) })?.value else {
                    throw use.error("invalid value \"\(word.text)\"")
                }
                if mask.isDisjoint(with: bit) {
                    mask.formUnion(bit)
                } else {
                    use.warn("duplicate value \"\(word.text)\"")
                }
            }
            return { [mask] in $0[keyPath: value] = mask }
        }
    }

    /// A directive of one or more words, which are kept in their order.
    ///
    /// Uses in one block add up; the first replaces what was inherited.
    public static func list(
        _ name: String, in contexts: Contexts, _ value: WritableKeyPath<Block, [[UInt8]]>, placeholder: String,
        _ documentation: String
    ) -> Directive<Block> {
        let words = Block()[keyPath: value].map { Word($0).written }
        return Directive(
            name, in: contexts, arguments: .atLeast(1), placeholder: placeholder,
            default: words.isEmpty ? nil : words.joined(separator: " "), repetition: .accumulates, documentation
        ) { use in
            let (added, isFirst) = (use.arguments.map(\.bytes), use.isFirst)
            return { $0[keyPath: value] = isFirst ? added : $0[keyPath: value] + added }
        }
    }

    private static func placeholder(of names: [String]) -> String {
        names.count == 1 ? names[0] : "(\(names.joined(separator: " | "))) ..."
    }

    /// The names that make up a set, or the one name of the empty set.
    private static func text<Mask: SetAlgebra>(
        of mask: Mask, _ names: [(name: String, value: Mask)]
    ) -> String? {
        let parts = names.filter {
            mask.isEmpty ? $0.value.isEmpty : !$0.value.isEmpty && mask.isSuperset(of: $0.value)
        }
        return parts.isEmpty ? nil : parts.map(\.name).joined(separator: " ")
    }
}
