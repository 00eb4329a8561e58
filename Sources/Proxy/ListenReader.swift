import Config
import Observability
import Platform

/// Reads one `listen` directive.
struct ListenReader {
    struct Listed {
        var addresses: [ListenAddress]
        var firstPort: UInt16?
        var isTLS: Bool
        var position: Position
    }

    private let name: String
    private let words: [Word]
    private let position: Position
    private let environment: LoadingEnvironment
    private var template = ListenAddress(address: SocketAddress(.unix([])))

    init(_ use: borrowing DirectiveUse) {
        (name, words, position, environment) = (use.name, use.arguments, use.position, use.environment)
    }

    mutating func read() throws(ConfigError) -> Listed {
        let (addresses, firstPort) = try self.addresses()
        for word in words.dropFirst() { try parameter(word.text) }
        var listed: [ListenAddress] = []
        for address in addresses {
            var entry = template
            entry.address = address
            try noteAddress(address)
            listed.append(entry)
        }
        return Listed(addresses: listed, firstPort: firstPort, isTLS: template.isTLS, position: position)
    }

    // MARK: Addresses

    private func addresses() throws(ConfigError) -> ([SocketAddress], UInt16?) {
        let word = words[0]
        // The port of a socket that somebody else has opened says nothing of what it is for.
        if word.text.hasPrefix("fd:") { return (try namedSockets(String(word.text.dropFirst(3))), nil) }
        do throws(AddressSyntax.Failure) {
            return try addresses(of: word.bytes)
        } catch {
            throw invalidAddress(error.rawValue)
        }
    }

    private func addresses(of text: [UInt8]) throws(AddressSyntax.Failure) -> ([SocketAddress], UInt16?) {
        let written = try AddressSyntax(text, in: .listen)
        return (try SocketAddress.resolve(written, defaultPort: 0, environment.names), written.ports?.lowerBound)
    }

    private func invalidAddress(_ problem: String) -> ConfigError {
        ConfigError("\(problem) in \"\(words[0].text)\" of the \"listen\" directive", at: position)
    }

    /// The sockets that the service manager has passed on under this name; none where nobody can know.
    private func namedSockets(_ name: String) throws(ConfigError) -> [SocketAddress] {
        guard !name.isEmpty else { throw invalidAddress("no name") }
        guard let known = environment.names.sockets else { return [] }
        guard let texts = known[name] else {
            throw ConfigError(
                "no socket named \"\(name)\" was passed by the service manager", at: position,
                hint: known.isEmpty
                    ? "none with a name was" : "those passed are named \(known.keys.sorted().joined(separator: ", "))")
        }
        do throws(AddressSyntax.Failure) {
            var found: [SocketAddress] = []
            for text in texts { found += try addresses(of: Array(text.utf8)).0 }
            return found
        } catch {
            throw invalidAddress(error.rawValue)
        }
    }

    /// No address may be listened on twice in the whole `mail` block.
    private func noteAddress(_ address: SocketAddress) throws(ConfigError) {
        var seen = environment.notes["listen"] as? Set<SocketAddress> ?? []
        // Port 0 is a new port each time.
        if address.port != 0 || address.family == 1, !seen.insert(address).inserted {
            throw ConfigError("duplicate \"\(address.text)\" address and port pair", at: position)
        }
        environment.notes["listen"] = seen
    }

    // MARK: Parameters

    private mutating func parameter(_ text: String) throws(ConfigError) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count == 2 ? String(parts[1]) : nil
        switch (String(parts[0]), value) {
        case ("ssl", nil): template.isTLS = true
        case ("proxy_protocol", nil): template.expectsProxyHeader = true
        case ("bind", nil): template.bindsItself = true
        case ("multipath", nil):
            template.socket.isMultipath = true
            template.bindsItself = true
        case ("backlog", let value?):
            guard let number = ConfigValue.number(value.utf8), number > 0 else { throw invalid("backlog", text) }
            template.socket.backlog = number
            template.bindsItself = true
        case ("rcvbuf", let value?): template.socket.receiveBuffer = try size(value, "rcvbuf", text)
        case ("sndbuf", let value?): template.socket.sendBuffer = try size(value, "sndbuf", text)
        case ("ipv6only", let value?) where value.hasPrefix("o"): try ipv6Only(value)
        case ("so_keepalive", let value?): try keepAlive(value)
        default: throw ConfigError("invalid parameter \"\(text)\"", at: position)
        }
    }

    private func invalid(_ what: String, _ text: String) -> ConfigError {
        ConfigError("invalid \(what) \"\(text)\"", at: position)
    }

    private mutating func size(_ value: String, _ what: String, _ text: String) throws(ConfigError) -> Int {
        guard let size = ConfigValue.size(value.utf8) else { throw invalid(what, text) }
        template.bindsItself = true
        return size
    }

    private mutating func ipv6Only(_ value: String) throws(ConfigError) {
        guard value == "on" || value == "off" else {
            throw ConfigError("invalid ipv6only flags \"\(value)\"", at: position)
        }
        template.socket.isIPv6Only = value == "on"
        template.bindsItself = true
    }

    private mutating func keepAlive(_ value: String) throws(ConfigError) {
        template.bindsItself = true
        if value == "on" {
            template.socket.keepAlive = .on(idle: nil, interval: nil, count: nil)
            return
        }
        if value == "off" {
            template.socket.keepAlive = .off
            return
        }
        let error = ConfigError("invalid so_keepalive value: \"\(value)\"", at: position)
        let parts = value.split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count) else { throw error }
        var numbers: [Int] = []
        for (index, part) in parts.enumerated() {
            guard let number = part.isEmpty ? 0 : Self.part(part, isTime: index < 2) else { throw error }
            numbers.append(number)
        }
        if numbers.count == 2 { numbers.append(0) }
        guard numbers.contains(where: { $0 != 0 }) else { throw error }
        let given = numbers.map { $0 == 0 ? nil : $0 }
        template.socket.keepAlive = .on(idle: given[0], interval: given[1], count: given[2])
    }

    private static func part(_ text: Substring, isTime: Bool) -> Int? {
        guard isTime else { return ConfigValue.number(text.utf8).flatMap { $0 <= 127 ? $0 : nil } }
        return ConfigValue.seconds(text.utf8).map { Int($0.components.seconds) }.flatMap { $0 <= 32_767 ? $0 : nil }
    }
}
