import ApusMail

/// The commands of RFC 5804 §2.
enum CommandWord: CaseIterable {
    case authenticate, startTLS, logout, capability, noop
    // Those that need a login.
    case haveSpace, putScript, listScripts, setActive, getScript, deleteScript, renameScript, checkScript
    case unauthenticate

    private var spelling: StaticString {
        switch self {
        case .authenticate: "AUTHENTICATE"
        case .startTLS: "STARTTLS"
        case .logout: "LOGOUT"
        case .capability: "CAPABILITY"
        case .noop: "NOOP"
        case .haveSpace: "HAVESPACE"
        case .putScript: "PUTSCRIPT"
        case .listScripts: "LISTSCRIPTS"
        case .setActive: "SETACTIVE"
        case .getScript: "GETSCRIPT"
        case .deleteScript: "DELETESCRIPT"
        case .renameScript: "RENAMESCRIPT"
        case .checkScript: "CHECKSCRIPT"
        case .unauthenticate: "UNAUTHENTICATE"
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
