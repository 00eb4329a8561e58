import ApusMail

/// The commands known before login: four letters each (RFC 1939 §3).
enum CommandWord: CaseIterable {
    case user, pass, apop, quit, capa, auth, noop, stls

    private var spelling: StaticString {
        switch self {
        case .user: "USER"
        case .pass: "PASS"
        case .apop: "APOP"
        case .quit: "QUIT"
        case .capa: "CAPA"
        case .auth: "AUTH"
        case .noop: "NOOP"
        case .stls: "STLS"
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
