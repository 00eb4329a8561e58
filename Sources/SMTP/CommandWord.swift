import ApusMail

/// The commands known before mail flows. DATA and BDAT are not among them: there is nobody yet to take a message.
enum CommandWord: CaseIterable {
    case helo, ehlo, auth, quit, noop, mail, rset, rcpt, vrfy, expn, help, startTLS

    private var spelling: StaticString {
        switch self {
        case .helo: "HELO"
        case .ehlo: "EHLO"
        case .auth: "AUTH"
        case .quit: "QUIT"
        case .noop: "NOOP"
        case .mail: "MAIL"
        case .rset: "RSET"
        case .rcpt: "RCPT"
        case .vrfy: "VRFY"
        case .expn: "EXPN"
        case .help: "HELP"
        case .startTLS: "STARTTLS"
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
