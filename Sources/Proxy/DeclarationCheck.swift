package import ApusMail
package import Config

/// Whether protocols and providers that were written apart can be served by one program. What is wrong with them is a
/// mistake of their author, found at the first start.
package struct DeclarationCheck {
    private let protocols: [ProtocolDeclaration]
    private let providers: [AuthProviderDeclaration]

    package init(protocols: [ProtocolDeclaration], providers: [AuthProviderDeclaration]) {
        (self.protocols, self.providers) = (protocols, providers)
    }

    /// - Parameter knownNames: The directives and blocks that are there without them.
    package func run(knownNames: [String]) throws(ConfigError) {
        if protocols.isEmpty { throw ConfigError("no protocol is declared") }
        var names: Set<String> = []
        var owners: [UInt16: String] = [:]
        var directives = Dictionary(knownNames.map { ($0, "Apus") }) { first, _ in first }
        for declaration in protocols {
            let title = "protocol \"\(declaration.name)\""
            guard Self.isName(declaration.name) else {
                throw ConfigError("\(title): a name is made of lower-case letters, digits, \"_\" and \"-\"")
            }
            guard names.insert(declaration.name).inserted else { throw ConfigError("\(title) is declared twice") }
            try Self.checkPorts(of: declaration, title, &owners)
            guard declaration.applicationProtocol.utf8.count <= 255 else {
                throw ConfigError("\(title): the name for TLS's protocol negotiation is longer than 255 bytes")
            }
            try Self.claim(declaration.directives, for: title, &directives)
        }
        for declaration in providers {
            let title = "authentication provider \"\(declaration.directive)\""
            try Self.claim(declaration.directives, for: title, &directives)
            guard let selecting = declaration.directives.first(where: { $0.name == declaration.directive }) else {
                throw ConfigError("\(title): there is no directive of that name among its own")
            }
            guard selecting.contexts.isSubset(of: [.mail, .server]) else {
                throw ConfigError("\(title): its directive must stand in \"mail\" or \"server\"")
            }
        }
    }

    /// Up to four ports, which nobody else has (nginx: `port[4]`).
    private static func checkPorts(
        of declaration: ProtocolDeclaration, _ title: String, _ owners: inout [UInt16: String]
    ) throws(ConfigError) {
        guard declaration.defaultPorts.count <= 4 else {
            throw ConfigError("\(title): \(declaration.defaultPorts.count) ports, and there can be no more than 4")
        }
        for port in declaration.defaultPorts {
            guard port != 0 else { throw ConfigError("\(title): 0 is no port") }
            if let owner = owners.updateValue(declaration.name, forKey: port) {
                throw ConfigError("\(title): port \(port) belongs to protocol \"\(owner)\" already")
            }
        }
    }

    private static func claim(
        _ claimed: [AnyDirective], for title: String, _ owners: inout [String: String]
    ) throws(ConfigError) {
        for directive in claimed {
            guard isName(directive.name) else {
                throw ConfigError(
                    "\(title): \"\(directive.name)\" is no name for a directive: lower-case letters, digits, \"_\", \"-\""
                )
            }
            guard !directive.contexts.isEmpty else {
                throw ConfigError("\(title): directive \"\(directive.name)\" may stand nowhere")
            }
            guard directive.arguments.isPossible else {
                throw ConfigError("\(title): directive \"\(directive.name)\" takes no number of arguments")
            }
            if let owner = owners.updateValue(title, forKey: directive.name) {
                throw ConfigError("\(title): directive \"\(directive.name)\" belongs to \(owner) already")
            }
        }
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                $0.isASCIIDigit || $0 == 0x5F || $0 == 0x2D || $0.isASCIILetter && $0 == $0.asciiLowercased
            }
    }
}
