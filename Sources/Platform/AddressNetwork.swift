import Glibc

/// A network of addresses, `192.0.2.0/24`, or all UNIX sockets.
package struct AddressNetwork: Equatable, Sendable {
    /// Four or sixteen bytes with the low bits cleared; nil for UNIX sockets.
    private let prefix: [UInt8]?
    private let bitCount: Int

    package static var unix: AddressNetwork { AddressNetwork(prefix: nil, bitCount: 0) }

    /// The network of one address alone.
    package init(_ host: SocketAddress.Host) {
        switch host {
        case .ipv4(let bytes), .ipv6(let bytes): self.init(prefix: bytes, bitCount: bytes.count * 8)
        case .unix: self = .unix
        }
    }

    private init(prefix: [UInt8]?, bitCount: Int) { (self.prefix, self.bitCount) = (prefix, bitCount) }

    /// Reads `unix:`, `ADDRESS` or `ADDRESS/BITS` (config-grammar.md 9.1).
    ///
    /// - Returns: nil where it is none of these; `hasLowBits` where bits beyond the mask were set, which are cleared.
    package static func parse(_ text: [UInt8]) -> (network: AddressNetwork, hasLowBits: Bool)? {
        if text.elementsEqual("unix:".utf8) { return (.unix, false) }
        let slash = text.firstIndex(of: 0x2F) ?? text.endIndex
        let addressText = Array(text[..<slash])
        let address: [UInt8]
        if let quad = SocketAddress.dottedQuad(addressText) {
            address = quad
        } else if let parsed = SocketAddress(ip: addressText, port: 0), case .ipv6(let bytes) = parsed.host {
            address = bytes
        } else {
            return nil
        }
        guard slash < text.endIndex else {
            return (AddressNetwork(prefix: address, bitCount: address.count * 8), false)
        }
        guard let bits = decimal(text[(slash + 1)...], atMost: address.count * 8) else { return nil }
        let network = AddressNetwork(prefix: masked(address, bits), bitCount: bits)
        return (network, network.prefix != address)
    }

    /// Whether the address lies in the network; an IPv4 network holds IPv4 addresses only.
    package func contains(_ host: SocketAddress.Host) -> Bool {
        switch host {
        case .ipv4(let bytes), .ipv6(let bytes): prefix?.count == bytes.count && Self.masked(bytes, bitCount) == prefix
        case .unix: prefix == nil
        }
    }

    private static func masked(_ address: [UInt8], _ bits: Int) -> [UInt8] {
        address.enumerated().map { index, byte in
            let kept = min(8, max(0, bits - index * 8))
            return byte & ~UInt8(truncatingIfNeeded: 0xFF >> kept)
        }
    }

    private static func decimal(_ text: ArraySlice<UInt8>, atMost limit: Int) -> Int? {
        guard !text.isEmpty else { return nil }
        var value = 0
        for byte in text {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int(byte - 0x30)
            guard value <= limit else { return nil }
        }
        return value
    }
}
