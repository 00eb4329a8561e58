package import Config
package import Platform

/// Whom `debug_connection`, `set_real_ip_from` and `allow_nets` mean: a network of addresses, or all who come through UNIX sockets.
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

    /// The only argument of a directive: one of these, or a host name, which means all its addresses.
    package static func read(_ use: borrowing DirectiveUse) throws(ConfigError) -> [PeerNetwork] {
        let word = use.arguments[0]
        if let network = PeerNetwork(word.bytes) {
            if case .addresses(let addresses) = network, addresses.hadLowBits {
                use.warn("low address bits of \(word.text) are meaningless")
            }
            return [network]
        }
        let hosts = SocketAddress.resolve(word.text, use.environment.names)
        guard !hosts.isEmpty else { throw use.error("host not found in \(use.name) \"\(word.text)\"") }
        return hosts.map { PeerNetwork($0) }
    }
}
