/// An address as a directive names it: `127.0.0.1:143`, `[::1]:143`, `mail.example:143`, `unix:/path`.
///
/// Names are not resolved here: who reads the directive does that and says `host not found`.
package struct AddressSyntax: Equatable, Sendable {
    package enum Host: Equatable, Sendable {
        /// All addresses of IPv4: `*` or a bare port, in `listen` only.
        case any
        /// 4 bytes in network order.
        case ipv4([UInt8])
        /// 16 bytes in network order.
        case ipv6([UInt8])
        /// To be resolved.
        case name(String)
        /// A path of at most 107 bytes without NUL.
        case unix([UInt8])
    }

    /// What is wrong, in the words of messages: `ERR in "ARG" of the "listen" directive`.
    package enum Failure: String, Error, Equatable, Sendable {
        case noHost = "no host"
        case invalidHost = "invalid host"
        case invalidPort = "invalid port"
        case invalidPortRange = "invalid port range"
        case invalidIPv6Address = "invalid IPv6 address"
        case noPath = "no path in the unix domain socket"
        case tooLongPath = "too long path in the unix domain socket"
        /// What who resolves a name says.
        case hostNotFound = "host not found"
    }

    /// Where an address stands decides what it may have.
    package enum Place: Equatable, Sendable {
        /// `resolver`, `syslog:`: a host and a port.
        case server
        /// A host, a port and a URI behind them: `auth_http`.
        case url
        /// Bare ports, ranges of ports and `*` too.
        case listen
    }

    package let host: Host
    /// One port or a range of them; nil where none was written, and for UNIX sockets.
    package let ports: ClosedRange<UInt16>?
    /// What follows the address, from its `/` or `?` on (after `unix:PATH:` without that colon); empty if nothing does.
    package let uri: [UInt8]

    package init(_ text: [UInt8], in place: Place) throws(Failure) {
        if Word(Array(text.prefix(5))).spells("unix:") {
            self = try Self.unix(text.dropFirst(5), in: place)
        } else if text.first == UInt8(ascii: "[") {
            self = try Self.bracketed(text.dropFirst(), in: place)
        } else {
            self = try Self.plain(text[...], in: place)
        }
    }

    private init(host: Host, ports: ClosedRange<UInt16>?, uri: some Collection<UInt8> = EmptyCollection()) {
        (self.host, self.ports, self.uri) = (host, ports, Array(uri))
    }

    /// The longest path that fits `sockaddr_un` with its NUL.
    private static var longestPath: Int { 107 }

    private static func unix(_ text: ArraySlice<UInt8>, in place: Place) throws(Failure) -> AddressSyntax {
        let colon = place == .url ? text.firstIndex(of: UInt8(ascii: ":")) : nil
        let path = text[..<(colon ?? text.endIndex)].prefix { $0 != 0 }
        guard !path.isEmpty else { throw .noPath }
        guard path.count <= longestPath else { throw .tooLongPath }
        let uri = colon.map { text[($0 + 1)...] } ?? []
        return AddressSyntax(host: .unix(Array(path)), ports: nil, uri: uri)
    }

    /// An IPv6 address, behind its `[`.
    private static func bracketed(_ text: ArraySlice<UInt8>, in place: Place) throws(Failure) -> AddressSyntax {
        guard let bracket = text.firstIndex(of: UInt8(ascii: "]")) else { throw .invalidHost }
        let (tail, uri) = try splitURI(text[(bracket + 1)...], at: ["/"], in: place)
        guard tail.isEmpty || tail.first == UInt8(ascii: ":") else { throw .invalidHost }
        let ports = tail.isEmpty ? nil : try Self.ports(tail.dropFirst(), in: place)
        let written = text[..<bracket]
        guard !written.isEmpty else { throw .noHost }
        guard let address = IPAddressText.ipv6(written) else { throw .invalidIPv6Address }
        return AddressSyntax(host: .ipv6(address), ports: ports, uri: uri)
    }

    private static func plain(_ text: ArraySlice<UInt8>, in place: Place) throws(Failure) -> AddressSyntax {
        let (address, uri) = try splitURI(text, at: ["/", "?"], in: place)
        let colon = address.firstIndex(of: UInt8(ascii: ":"))
        if colon == nil, place == .listen, let ports = try barePorts(address) {
            return AddressSyntax(host: .any, ports: ports)
        }
        let ports = try colon.map { colon throws(Failure) in try Self.ports(address[(colon + 1)...], in: place) }
        return AddressSyntax(host: try host(address[..<(colon ?? address.endIndex)], in: place), ports: ports, uri: uri)
    }

    private static func host(_ text: ArraySlice<UInt8>, in place: Place) throws(Failure) -> Host {
        if text.isEmpty { throw .noHost }
        if place == .listen && text.elementsEqual("*".utf8) { return .any }
        if let address = IPAddressText.ipv4(text) { return .ipv4(address) }
        return .name(String(decoding: text, as: UTF8.self))
    }

    /// Cuts off what starts with one of `starts`; only URL-like addresses may have it.
    private static func splitURI(
        _ text: ArraySlice<UInt8>, at starts: Set<Unicode.Scalar>, in place: Place
    ) throws(Failure) -> (ArraySlice<UInt8>, ArraySlice<UInt8>) {
        guard let start = text.firstIndex(where: { starts.contains(Unicode.Scalar($0)) }) else { return (text, []) }
        guard place == .url else { throw .invalidHost }
        return (text[..<start], text[start...])
    }
}

// MARK: Ports

extension AddressSyntax {
    /// What follows a colon: a port, in `listen` perhaps a range.
    private static func ports(_ text: ArraySlice<UInt8>, in place: Place) throws(Failure) -> ClosedRange<UInt16> {
        guard place == .listen, let dash = text.firstIndex(of: UInt8(ascii: "-")) else {
            let port = try port(ConfigValue.number(text))
            return port...port
        }
        let last = try port(ConfigValue.number(text[(dash + 1)...]))
        return try range(from: try port(ConfigValue.number(text[..<dash])), to: last)
    }

    /// The whole argument of `listen` as `PORT` or `PORT-PORT`; nil if it has to be a host (`110-` is one).
    private static func barePorts(_ text: ArraySlice<UInt8>) throws(Failure) -> ClosedRange<UInt16>? {
        let parts = text.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = parts.map { ConfigValue.number($0) }
        // A host such as `mail-70000` is refused too, as nginx looks at the last number first.
        guard let last = numbers.last ?? nil else { return nil }
        let lastPort = numbers.count == 2 ? try port(last) : nil
        guard let first = numbers.first ?? nil else { return nil }
        let firstPort = try port(first)
        return try range(from: firstPort, to: lastPort ?? firstPort)
    }

    private static func port(_ number: Int?) throws(Failure) -> UInt16 {
        guard let number, let port = UInt16(exactly: number), port > 0 else { throw .invalidPort }
        return port
    }

    private static func range(from first: UInt16, to last: UInt16) throws(Failure) -> ClosedRange<UInt16> {
        guard first <= last else { throw .invalidPortRange }
        return first...last
    }
}
