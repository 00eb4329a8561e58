import ApusMail

/// Declarations that no program can be made of.
enum Misdeclared {
    static func protocols(_ fault: String?) -> [ProtocolDeclaration] {
        var one = Misbehaving.declaration
        switch fault {
        case "none": return []
        case "five ports": one.defaultPorts = [1, 2, 3, 4, 5]
        case "port 0": one.defaultPorts = [1, 0]
        case "twice a port": one.defaultPorts = [9, 9]
        case "capitals": one.name = "Misbehaving"
        case "no name": one.name = ""
        case "long name": one.applicationProtocol = String(repeating: "x", count: 256)
        case "taken directive": one.directives.append(directive("timeout"))
        case "taken block": one.directives.append(directive("server"))
        case "directive of the loader": one.directives.append(directive("include"))
        case "directive of its own": one.directives.append(directive("misbehaviour"))
        case "directive without a name": one.directives.append(directive("two words"))
        case "directive for nowhere": one.directives.append(directive("nowhere", in: []))
        case "directive without arguments":
            one.directives.append(directive("impossible", arguments: .between(3, 2)))
        case "check":
            one.check = { context throws(ConfigError) in
                throw ConfigError("\(context.serverName.count) letters are no name", hint: "take another")
            }
        case "name of another":
            var other = one
            other.defaultPorts = []
            other.directives = []
            return [one, other]
        case "port of another":
            var other = one
            other.name = "other"
            other.directives = []
            return [one, other]
        default: break
        }
        return [one]
    }

    static func providers(_ fault: String?) -> [AuthProviderDeclaration] {
        var one = Unreliable.declaration
        switch fault {
        case "provider without its directive": one.directive = "auth_other"
        case "provider with a directive of a protocol": one.directives.append(directive("misbehaviour"))
        case "provider with a directive of Apus":
            one.directive = "auth_http"
            one.directives.append(directive("auth_http"))
        case "provider in main":
            one.directive = "auth_main"
            one.directives.append(directive("auth_main", in: .main))
        case "provider's check":
            one.check = { context throws(ConfigError) in
                throw ConfigError("nobody is known to \(context.serverName.count) letters")
            }
        default: break
        }
        return [one]
    }

    private struct Nothing: SettingsBlock {
        static var title: String { "Nothing" }
        static var directives: [Directive<Nothing>] { [] }
    }

    private static func directive(
        _ name: String, in contexts: Contexts = [.mail, .server], arguments: ArgumentCount = .exactly(1)
    ) -> AnyDirective {
        AnyDirective(
            Directive<Nothing>(
                name, in: contexts, arguments: arguments, placeholder: "x", default: nil, "Nothing.",
                read: { (_) throws(ConfigError) in { _ in } }))
    }
}
