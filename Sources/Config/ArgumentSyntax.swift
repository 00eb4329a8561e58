// The value grammars of the configuration language, for directives of one argument.

extension ArgumentSyntax where Value == Bool {
    /// `on` or `off`, any letter case.
    public static var flag: ArgumentSyntax<Bool> {
        ArgumentSyntax(placeholder: "on | off") { use, word throws(ConfigError) in
            switch word.text.lowercased() {
            case "on": return true
            case "off": return false
            default:
                throw use.error(
                    "invalid value \"\(word.text)\" in \"\(use.name)\" directive, it must be \"on\" or \"off\"")
            }
        } print: {
            $0 ? "on" : "off"
        }
    }
}
