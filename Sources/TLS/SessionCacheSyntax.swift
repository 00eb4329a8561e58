package import Config
import Glibc
import Zones

/// `ssl_session_cache off | none | [builtin[:n]] [shared:name:size]`: `tls.md` section 3.
///
/// The process's part and the shared zone are inherited separately; `shared` alone turns an inherited built-in cache
/// off. The words are compared as they are, letter case included.
enum SessionCacheSyntax {
    static var directive: Directive<TLSSettings> {
        Directive(
            "ssl_session_cache", in: [.mail, .server], arguments: .between(1, 2),
            placeholder: "off | none | [builtin[:size]] [shared:name:size]", default: "none", repetition: .lastWins,
            """
            Where sessions are kept for resumption: not at all, and the client is told so (`off`) or not (`none`); in \
            each worker (`builtin`), for the given number of sessions; in a zone that all workers share (`shared`), \
            which holds about 4000 sessions a megabyte. Tickets do not depend on it.
            """
        ) { use throws(ConfigError) in
            var kind: SessionCacheKind?
            var shared: SharedCacheDeclaration?
            for word in use.arguments {
                switch try parse(word, use) {
                case .process(let part): kind = part
                case .zone(let zone): shared = zone
                }
            }
            // A second use in the block leaves the part it does not name as the first has set it.
            if kind == nil && use.isFirst { kind = .sharedOnly }
            return { [kind, shared] settings in
                if let kind { settings.sessionCache = kind }
                if let shared { settings.sharedCache = shared }
            }
        }
    }

    private enum Part { case process(SessionCacheKind), zone(SharedCacheDeclaration) }

    private static func parse(_ word: Word, _ use: borrowing DirectiveUse) throws(ConfigError) -> Part {
        let invalid = use.error("invalid session cache \"\(word.text)\"")
        switch word.text {
        case "off": return .process(.off)
        case "none": return .process(.none)
        case "builtin": return .process(.builtin(nil))
        default: break
        }
        if let rest = rest(of: word, after: "builtin:") {
            guard let count = ConfigValue.number(rest) else { throw invalid }
            return .process(.builtin(count))
        }
        guard let rest = rest(of: word, after: "shared:"), let colon = rest.firstIndex(of: UInt8(ascii: ":")),
            colon > rest.startIndex, let size = ConfigValue.size(rest[(colon + 1)...])
        else { throw invalid }
        guard size >= 8 * Int(sysconf(CInt(_SC_PAGESIZE))) else {
            throw use.error("session cache \"\(word.text)\" is too small")
        }
        let declaration = SharedCacheDeclaration(name: String(decoding: rest[..<colon], as: UTF8.self), size: size)
        try ZoneDeclarations.declare(declaration.name, size: size, use: TLSSessionTable.layout.use, by: use)
        return .zone(declaration)
    }

    private static func rest(of word: Word, after prefix: String) -> ArraySlice<UInt8>? {
        guard word.bytes.count > prefix.utf8.count, word.bytes.starts(with: prefix.utf8) else { return nil }
        return word.bytes[prefix.utf8.count...]
    }
}

/// The zones named so far in a configuration. One name means one zone, whoever names it.
package enum ZoneDeclarations {
    /// - Throws: The texts of `tls.md` section 2 where a name was declared before with another use or size.
    package static func declare(
        _ name: String, size: Int, use word: String, by use: borrowing DirectiveUse
    ) throws(ConfigError) {
        let key = "zone:\(name)"
        guard let known = use.environment.notes[key] as? (use: String, size: Int) else {
            use.environment.notes[key] = (use: word, size: size)
            return
        }
        if known.use != word { throw use.error(ZoneError.differentUse(of: name).message) }
        if known.size != size {
            throw use.error(ZoneError.conflict(over: name, size: size, declared: known.size).message)
        }
    }
}
