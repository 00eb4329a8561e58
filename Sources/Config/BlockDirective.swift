/// A directive that opens a block: `events`, `mail`, `server`.
package struct BlockDirective {
    package let name: String
    package let contexts: Contexts
    /// The context its body is read in.
    package let body: Contexts
    /// May it stand more than once in a block? If not, a second use `is duplicate`, told before its body is read.
    package let isRepeatable: Bool
    package let documentation: String
    /// Called when the closing brace was read, with the finished block; its errors stop the loading.
    package let close: (Block, LoadingEnvironment) throws(ConfigError) -> Void

    package init(
        _ name: String, in contexts: Contexts, body: Contexts, isRepeatable: Bool = false, _ documentation: String,
        close: @escaping (Block, LoadingEnvironment) throws(ConfigError) -> Void = { (_, _) throws(ConfigError) in }
    ) {
        self.name = name
        self.contexts = contexts
        self.body = body
        self.isRepeatable = isRepeatable
        self.documentation = documentation
        self.close = close
    }
}

/// One block as it was written: what its directives store, in their order, and the blocks inside.
///
/// Values are computed from it parent first (``settings``), whatever the order of writing was.
package final class Block {
    /// `events`, `mail`, `server`; empty for the top level.
    package let name: String
    /// The place of its `{`.
    package let position: Position
    package private(set) unowned var parent: Block?
    package private(set) var children: [Block] = []
    private var stores: [(inout Settings) -> Void] = []
    private var usedArguments: [String: [[Word]]] = [:]

    package init(name: String, position: Position, parent: Block?) {
        (self.name, self.position, self.parent) = (name, position, parent)
    }

    package func add(_ child: Block) { children.append(child) }

    /// How often each directive stands in this block.
    package var uses: [String: Int] { usedArguments.mapValues(\.count) }

    /// Records one use of a directive and, except for block directives, what it stores.
    package func record(_ name: String, arguments: [Word] = [], _ store: ((inout Settings) -> Void)? = nil) {
        usedArguments[name, default: []].append(arguments)
        if let store { stores.append(store) }
    }

    /// The arguments of each use of a directive so far in this block.
    package func arguments(of name: String) -> [[Word]] { usedArguments[name] ?? [] }

    /// This block's settings: those of its parent with its own on top.
    package var settings: Settings {
        var settings = parent?.settings ?? Settings()
        for store in stores { store(&settings) }
        return settings
    }
}
