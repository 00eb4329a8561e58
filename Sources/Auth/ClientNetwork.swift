import Observability
package import Platform

/// Where a client comes from, for limits and `allow_nets`.
package enum ClientNetwork {
    /// The address of a client from its text; an IPv4 address inside IPv6 counts as IPv4. nil for none.
    package static func host(_ text: [UInt8]) -> SocketAddress.Host? {
        if text.starts(with: "unix:".utf8) { return .unix([]) }
        return SocketAddress(ip: text, port: 0)?.host.unmapped
    }

    /// The network that shares one portion of a limit: /24 or /64, all UNIX sockets, or all that is unknown.
    package static func portion(_ text: [UInt8]) -> [UInt8] {
        switch host(text) {
        case .ipv4(let bytes): Array(bytes.prefix(3))
        case .ipv6(let bytes): Array(bytes.prefix(8))
        case .unix: [0]
        case nil: []
        }
    }
}
