import ApusMail

/// The commands known before login.
enum CommandWord: CaseIterable {
    case noop, login, logout, startTLS, capability, authenticate

    private var spelling: StaticString {
        switch self {
        case .noop: "NOOP"
        case .login: "LOGIN"
        case .logout: "LOGOUT"
        case .startTLS: "STARTTLS"
        case .capability: "CAPABILITY"
        case .authenticate: "AUTHENTICATE"
        }
    }

    init?(_ word: Span<UInt8>) {
        for command in Self.allCases where word.spells(command.spelling) {
            self = command
            return
        }
        return nil
    }
}
