// Config: the language of the configuration file. The lexer cuts text into statements, the loader looks each one up
// among the declared directives, and the manual is printed from the same declarations. `apus` calls the loader;
// every room with settings declares its directives here, and what they mean stays with them.

/// Reads configurations: knows all directives and what one loading shares.
package struct ConfigLoader {
    /// All directives, those of the loader itself (``LoadingSettings``) first; what the manual lists.
    package let directives: [AnyDirective]
    package let blocks: [BlockDirective]
    package let environment: LoadingEnvironment

    /// - Parameter environment: To be used for one ``load(file:globalDirectives:)`` only: directives leave notes in it.
    package init(directives: [AnyDirective], blocks: [BlockDirective], environment: LoadingEnvironment) {
        self.directives = AnyDirective.all(of: LoadingSettings.self) + directives
        self.blocks = blocks
        self.environment = environment
    }

    /// Reads the text of `-g`, then the main file and all it includes, in the order of writing.
    ///
    /// - Parameter file: The main file, with its prefix.
    /// - Throws: The first error. Warnings before it went to the environment.
    package func load(
        file: String, globalDirectives: String = ""
    ) throws(ConfigError) -> LoadedConfiguration {
        let reading = Reading(directives: DirectiveIndex(directives, blocks), environment: environment)
        try reading.readParameter(globalDirectives)
        try reading.readFile(file, includedAt: nil, into: reading.root, in: .main)
        return LoadedConfiguration(root: reading.root, files: reading.files)
    }
}

/// A configuration whose text is in order, before anything is made of it.
package struct LoadedConfiguration {
    /// The top level with all its blocks.
    package let root: Block
    /// Each file once, in the order of first opening.
    package let files: [ConfigurationFile]

    /// Checks for the one block that has to be there. Apart from ``ConfigLoader/load(file:globalDirectives:)``,
    /// because `syntax is ok` is said in between.
    package func requireEvents() throws(ConfigError) {
        guard root.children.contains(where: { $0.name == "events" }) else {
            throw ConfigError("no \"events\" section in configuration")
        }
    }

    /// What `-T` writes.
    package var dump: [UInt8] {
        files.flatMap { Array("# configuration file \($0.name):\n".utf8) + $0.bytes + [.lineFeed] }
    }
}
