package import Config
package import Platform

/// Whom `debug_connection` and `allow_nets` mean: a network of addresses, or all who come through UNIX sockets.
package enum PeerNetwork: Equatable, Sendable {
    case addresses(CIDR)
    case unix

    /// One host alone.
    package init(_ host: SocketAddress.Host) {
        switch host {
        case .ipv4(let bytes), .ipv6(let bytes): self = .addresses(CIDR(address: bytes))
        case .unix: self = .unix
        }
    }

    /// Reads `unix:`, `ADDRESS` or `ADDRESS/BITS` (config-grammar.md 9.1); nil for all else.
    package init?(_ text: [UInt8]) {
        if text.elementsEqual("unix:".utf8) {
            self = .unix
        } else if let network = CIDR(text) {
            self = .addresses(network)
        } else {
            return nil
        }
    }

    /// Does a peer with this address belong to it? IPv4 networks hold IPv4 addresses only, not those inside IPv6.
    package func contains(_ host: SocketAddress.Host) -> Bool {
        switch (self, host) {
        case (.unix, .unix): true
        case (.addresses(let network), .ipv4(let bytes)), (.addresses(let network), .ipv6(let bytes)):
            bytes.count == network.address.count && network.contains(bytes)
        case (.unix, .ipv4), (.unix, .ipv6), (.addresses, .unix): false
        }
    }
}
