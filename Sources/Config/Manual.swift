/// The manual of the configuration, printed from what the directives say of themselves.
///
/// Pure: the same declarations always give the same text, so a test can tell whether a printed manual is current.
package struct Manual {
    /// What the manual says about one directive.
    struct Entry {
        let name: String
        let syntax: String
        let defaultText: String?
        let contexts: Contexts
        let documentation: String
        let isRepeatable: Bool
    }

    struct Chapter {
        let title: String
        let entries: [Entry]
    }

    let chapters: [Chapter]
    let tables: [ManualTable]
    let differences: [Difference]

    /// - Parameters:
    ///   - directives: All of them, ``ConfigLoader/directives``; chapters come in the order of their groups.
    ///   - tables: What comes behind the directives.
    ///   - differences: The rows of the section "Differences from nginx".
    package init(
        directives: [AnyDirective], blocks: [BlockDirective], tables: [ManualTable] = [], differences: [Difference] = []
    ) {
        (self.tables, self.differences) = (tables, differences)
        var titles: [String] = []
        var entries: [String: [Entry]] = [:]
        for directive in directives {
            if entries[directive.group] == nil { titles.append(directive.group) }
            entries[directive.group, default: []].append(Entry(directive))
        }
        let groups = titles.map { Chapter(title: $0, entries: entries[$0] ?? []) }
        chapters = (blocks.isEmpty ? [] : [Chapter(title: "Blocks", entries: blocks.map { Entry($0) })]) + groups
    }
}

extension Manual.Entry {
    init(_ directive: AnyDirective) {
        let words = [directive.name, directive.placeholder].filter { !$0.isEmpty }
        self.init(
            name: directive.name, syntax: words.joined(separator: " ") + ";",
            defaultText: directive.defaultText.map { "\(directive.name) \($0);" }, contexts: directive.contexts,
            documentation: directive.documentation, isRepeatable: directive.repetition == .accumulates)
    }

    init(_ block: BlockDirective) {
        self.init(
            name: block.name, syntax: "\(block.name) { ... }", defaultText: nil, contexts: block.contexts,
            documentation: block.documentation, isRepeatable: block.isRepeatable)
    }

    /// The lines before the documentation: what each says, and whether it is to be typed as it stands.
    var facts: [(label: String, text: String, isCode: Bool)] {
        [
            ("Syntax", syntax, true),
            ("Default", defaultText ?? "none", defaultText != nil),
            ("Context", contexts.names.joined(separator: ", "), false),
        ] + (isRepeatable ? [("Repeatable", "yes", false)] : [])
    }
}

extension Contexts {
    /// The names of the blocks, from the outside in.
    var names: [String] {
        let all: [(name: String, context: Contexts)] = [
            ("main", .main), ("events", .events), ("mail", .mail), ("server", .server),
        ]
        return all.filter { contains($0.context) }.map(\.name)
    }
}
