package import ApusMail
import Config
package import Observability
import Platform

/// One user of a password file: the password and what the extra fields say.
package struct PasswdEntry: Equatable, Sendable {
    package var hash: PasswordHash
    /// The server behind; an address as text.
    package var host: [UInt8]?
    package var port: UInt16?
    /// The login at the server behind.
    package var user: [UInt8]?
    /// The password there.
    package var password: Secret?
    package var isLocked = false
    package var hasDelay = true
    /// The client must come from one of them.
    package var networks: [PeerNetwork]?

    /// Why an entry is not used.
    package struct Problem: Error, Equatable {
        package let text: String
        init(_ text: String) { self.text = text }
    }

    package init(hash: PasswordHash) { self.hash = hash }

    /// Reads what follows the user name: `password:uid:gid:gecos:home:shell:extra fields`.
    package init(parsing rest: Span<UInt8>) throws(Problem) {
        let passwordEnd = rest.firstIndex(of: 0x3A) ?? rest.count
        do throws(PasswordHash.Problem) {
            hash = try PasswordHash(parsing: rest.extracting(0..<passwordEnd))
        } catch {
            throw Problem(Self.text(of: error))
        }
        if case .plain(let stored) = hash, stored.withBytes({ $0.hasControlCharacter }) {
            throw Problem("control character in the password")
        }
        var start = passwordEnd
        for _ in 0..<5 {
            guard start < rest.count else { return }
            start = rest.firstIndex(of: 0x3A, from: start + 1) ?? rest.count
        }
        var destination: [UInt8]?
        let fields: [UInt8] = rest.extracting(min(start + 1, rest.count)...).bytes
        for (index, field) in fields.split(separator: 0x20).enumerated() {
            let parts = field.split(separator: 0x3D, maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? Array(parts[1]) : nil
            // Not by its name: the rest of a password with a space in it would be one.
            guard try read(String(decoding: parts[0], as: UTF8.self), value, &destination) else {
                throw Problem("extra field \(index + 1) is unknown")
            }
        }
        user = destination ?? user
        for value in [user, password.map { $0.withBytes { $0.bytes } }] where value?.span.hasControlCharacter == true {
            throw Problem("control character in a field")
        }
    }

    /// - Returns: There is such a field.
    private mutating func read(
        _ name: String, _ value: [UInt8]?, _ destination: inout [UInt8]?
    ) throws(Problem) -> Bool {
        switch name {
        case "host": host = try Self.address(try Self.needed(value, name))
        case "port": port = try Self.port(try Self.needed(value, name))
        case "user": user = try Self.needed(value, name)
        case "destuser": destination = try Self.needed(value, name)
        case "pass": password = Secret(value ?? [])
        case "nologin": isLocked = try Self.flag(value, name)
        case "nodelay": hasDelay = try !Self.flag(value, name)
        case "allow_nets": networks = try Self.networks(try Self.needed(value, name))
        case "proxy", "proxy_maybe": break
        case "ssl", "starttls":
            guard let value, value.elementsEqual("no".utf8) else {
                throw Problem("\(name) is asked for, and TLS to servers behind is not supported yet")
            }
        case "master": throw Problem("master is not supported yet")
        case _ where name.hasPrefix("userdb_"): break
        default: return false
        }
        return true
    }

    private static func text(of problem: PasswordHash.Problem) -> String {
        switch problem {
        case .empty: "no password"
        case .unknownScheme: "unknown password scheme"
        case .schemeMismatch: "password hash is not of its scheme"
        }
    }

    private static func needed(_ value: [UInt8]?, _ name: String) throws(Problem) -> [UInt8] {
        guard let value, !value.isEmpty else { throw Problem("\(name) has no value") }
        return value
    }

    /// `nologin`, `nologin=y`. Anything unclear counts as an error, not as a no.
    private static func flag(_ value: [UInt8]?, _ name: String) throws(Problem) -> Bool {
        switch value.map({ String(decoding: $0, as: UTF8.self).lowercased() }) {
        case nil, "", "y", "yes", "1": return true
        case "n", "no", "0": return false
        default: throw Problem("invalid \(name)")
        }
    }

    private static func address(_ text: [UInt8]) throws(Problem) -> [UInt8] {
        guard IPAddressText.ipv4(text) != nil || IPAddressText.ipv6(text) != nil else {
            throw Problem("host is not an address")
        }
        return text
    }

    private static func port(_ text: [UInt8]) throws(Problem) -> UInt16 {
        guard let port = text.span.decimal(atMost: 65535), port > 0 else { throw Problem("invalid port") }
        return UInt16(port)
    }

    private static func networks(_ text: [UInt8]) throws(Problem) -> [PeerNetwork] {
        var networks: [PeerNetwork] = []
        for part in text.split(separator: 0x2C) {
            if part.elementsEqual("local".utf8) {
                networks.append(.unix)
            } else if let network = PeerNetwork(Array(part)) {
                networks.append(network)
            } else {
                throw Problem("invalid allow_nets")
            }
        }
        return networks
    }

    /// Whether the entry lets this client in, as far as `nologin` and `allow_nets` are concerned.
    package func admits(clientAt address: [UInt8]) -> Bool {
        guard !isLocked else { return false }
        guard let networks else { return true }
        guard let host = ClientNetwork.host(address) else { return false }
        return networks.contains { $0.contains(host) }
    }
}
