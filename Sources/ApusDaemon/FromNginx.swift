import Config
import Glibc
import Observability

/// `--from-nginx`: prints a configuration of nginx as one of Apus.
enum FromNginx {
    /// - Parameter prefix: nginx's; a relative `file` starts there, as it does for nginx.
    /// - Returns: The exit status.
    static func run(_ file: String, prefix: String?, _ wiring: Wiring) -> CInt {
        do throws(ConfigError) {
            Information.print(try text(file, prefix: prefix, wiring))
            return 0
        } catch {
            Console.write("[\(error.level == .critical ? "crit" : "emerg")] \(error.message)")
            if let hint = error.hint { Console.write("[notice] \(hint)") }
            return 1
        }
    }

    private static func text(_ file: String, prefix: String?, _ wiring: Wiring) throws(ConfigError) -> [UInt8] {
        let directory = try currentDirectory()
        let prefix = prefix.map { joined(directory, $0.hasSuffix("/") ? $0 : $0 + "/") }
        let file = joined(prefix ?? directory, file)
        let slash = file.utf8.lastIndex(of: UInt8(ascii: "/")) ?? file.startIndex
        let environment = LoadingEnvironment(
            prefix: prefix ?? directory, configurationPrefix: String(file[...slash]), isPrivileged: true,
            warn: { _ in })
        let written = try WrittenConfiguration(
            reading: file, directives: wiring.manualDirectives, blocks: wiring.manualBlocks, environment: environment)
        var translation = try Translation(
            written, environment: environment, isPrefixKnown: prefix != nil, differences: Differences.table,
            formerFlags: [FormerFlag("ssl", now: "listen", "ssl")], protocolOf: { protocolName(of: $0, wiring) })
        return translation.text()
    }

    /// What the file names has to be found from anywhere.
    private static func currentDirectory() throws(ConfigError) -> String {
        guard let path = getcwd(nil, 0) else { throw ConfigError("getcwd() failed (\(errno))") }
        defer { free(path) }
        return String(cString: path) + "/"
    }

    private static func joined(_ directory: String, _ name: String) -> String {
        name.hasPrefix("/") ? name : directory + name
    }

    /// Of a `server` block, as far as it is said there: by `protocol`, or by a port.
    private static func protocolName(of statements: [WrittenConfiguration.Statement], _ wiring: Wiring) -> String? {
        if let named = statements.last(where: { $0.name == "protocol" }) { return named.arguments.first?.text }
        for statement in statements where statement.name == "listen" {
            guard let port = statement.arguments.first?.text.split(separator: ":").last.flatMap({ UInt16($0) }) else {
                continue
            }
            if let found = wiring.protocols.first(where: { $0.defaultPorts.contains(port) }) { return found.name }
        }
        return nil
    }
}
