import Glibc

/// What is wrong with an address, as messages quote it: `no host`, `invalid port`, ...
package struct AddressSyntaxError: Error, Equatable, Sendable {
    package let text: String
    package init(_ text: String) { self.text = text }
}

extension SocketAddress {
    /// Reads `unix:PATH`, `[IPV6]`, `[IPV6]:PORT`, `HOST` or `HOST:PORT` (config-grammar.md 9). A host name is resolved
    /// by the system resolver, which blocks.
    ///
    /// - Returns: At least one address.
    package static func parse(_ text: [UInt8], defaultPort: UInt16) throws(AddressSyntaxError) -> [SocketAddress] {
        if text.count >= 5, String(decoding: text.prefix(5), as: UTF8.self).lowercased() == "unix:" {
            return [try parse(unixPath: Array(text.dropFirst(5)))]
        }
        guard text.first == 0x5B else { return try parse(inet: text, defaultPort: defaultPort) }
        return [try parse(bracketed: text, defaultPort: defaultPort)]
    }

    private static func parse(unixPath path: [UInt8]) throws(AddressSyntaxError) -> SocketAddress {
        guard !path.isEmpty else { throw AddressSyntaxError("no path in the unix domain socket") }
        guard path.count <= longestUnixPath else {
            throw AddressSyntaxError("too long path in the unix domain socket")
        }
        return SocketAddress(.unix(path))
    }

    private static func parse(bracketed text: [UInt8], defaultPort: UInt16) throws(AddressSyntaxError) -> SocketAddress
    {
        guard let end = text.firstIndex(of: 0x5D) else { throw AddressSyntaxError("invalid host") }
        var port = defaultPort
        if end + 1 < text.count {
            guard text[end + 1] == 0x3A else { throw AddressSyntaxError("invalid host") }
            port = try parse(port: text[(end + 2)...])
        }
        guard end > 1 else { throw AddressSyntaxError("no host") }
        guard let address = SocketAddress(ip: Array(text[1..<end]), port: port), case .ipv6 = address.host else {
            throw AddressSyntaxError("invalid IPv6 address")
        }
        return address
    }

    private static func parse(inet text: [UInt8], defaultPort: UInt16) throws(AddressSyntaxError) -> [SocketAddress] {
        guard !text.contains(0x2F), !text.contains(0x3F) else { throw AddressSyntaxError("invalid host") }
        let colon = text.firstIndex(of: 0x3A)
        let host = Array(text[..<(colon ?? text.endIndex)])
        guard !host.isEmpty else { throw AddressSyntaxError("no host") }
        let port = try colon.map { (position) throws(AddressSyntaxError) in
            try parse(port: text[(position + 1)...])
        }
        return try resolve(host, port: port ?? defaultPort)
    }

    /// The addresses of a dotted quad or a host name.
    package static func resolve(_ host: [UInt8], port: UInt16) throws(AddressSyntaxError) -> [SocketAddress] {
        if let quad = dottedQuad(host) { return [SocketAddress(.ipv4(quad), port: port)] }
        let found = resolve(String(decoding: host, as: UTF8.self), port: port)
        guard !found.isEmpty else { throw AddressSyntaxError("host not found") }
        return found
    }

    /// 1...65535, leading zeros allowed.
    package static func parse(port text: ArraySlice<UInt8>) throws(AddressSyntaxError) -> UInt16 {
        var value = 0
        for byte in text {
            guard (0x30...0x39).contains(byte) else { throw AddressSyntaxError("invalid port") }
            value = value * 10 + Int(byte - 0x30)
            guard value <= 65535 else { throw AddressSyntaxError("invalid port") }
        }
        guard value > 0 else { throw AddressSyntaxError("invalid port") }
        return UInt16(value)
    }

    /// Exactly four decimal numbers up to 255, leading zeros allowed (config-grammar.md 9).
    package static func dottedQuad(_ text: [UInt8]) -> [UInt8]? {
        let parts = text.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: [UInt8] = []
        for part in parts {
            var value = 0
            guard !part.isEmpty else { return nil }
            for byte in part {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte - 0x30)
                guard value <= 255 else { return nil }
            }
            address.append(UInt8(value))
        }
        return address
    }
}
