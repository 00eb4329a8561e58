import Config
import Platform

extension SyslogParameters {
    /// Reads `NAME=VALUE,NAME=VALUE,...` (logging.md 7).
    init(parsing text: String, _ use: borrowing DirectiveUse) throws(ConfigError) {
        self.init()
        var seen: Set<String> = []
        for parameter in text.split(separator: ",", omittingEmptySubsequences: false) {
            if parameter == "nohostname" {
                namesHost = false
                continue
            }
            let name = parameter.prefix { $0 != "=" }
            guard ["server", "facility", "severity", "tag"].contains(name), name.endIndex != parameter.endIndex else {
                throw use.error("unknown syslog parameter \"\(parameter)\"")
            }
            guard seen.insert(String(name)).inserted else { throw use.error("duplicate syslog \"\(name)\"") }
            try set(String(name), String(parameter.dropFirst(name.count + 1)), use)
        }
        guard seen.contains("server") else { throw use.error("no syslog server specified") }
    }

    private mutating func set(_ name: String, _ value: String, _ use: borrowing DirectiveUse) throws(ConfigError) {
        switch name {
        case "server": try setServer(value, use)
        case "facility":
            guard let number = Self.facilities.firstIndex(of: value) else {
                throw use.error("unknown syslog facility \"\(value)\"")
            }
            facility = number
        case "severity":
            // Checked, but the severity sent is always the message's.
            guard LogLevel(name: value) != nil else { throw use.error("unknown syslog severity \"\(value)\"") }
        default: try setTag(value, use)
        }
    }

    private mutating func setServer(_ value: String, _ use: borrowing DirectiveUse) throws(ConfigError) {
        do throws(AddressSyntax.Failure) {
            let written = try AddressSyntax(Array(value.utf8), in: .server)
            server = try SocketAddress.resolve(written, defaultPort: 514, use.environment.names)[0]
            serverText = server.text
        } catch {
            throw use.error("\(error.rawValue) in syslog server \"\(value)\"")
        }
    }

    private mutating func setTag(_ value: String, _ use: borrowing DirectiveUse) throws(ConfigError) {
        guard value.utf8.count <= 32 else { throw use.error("syslog tag length exceeds 32") }
        let isPlain = value.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: true
            default: false
            }
        }
        guard isPlain else { throw use.error("syslog \"tag\" only allows alphanumeric characters and underscore") }
        tag = value
    }
}
