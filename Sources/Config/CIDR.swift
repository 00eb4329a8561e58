/// A network of addresses, `192.0.2.0/24`, as `debug_connection` and `set_real_ip_from` name them.
package struct CIDR: Equatable, Sendable {
    /// 4 or 16 bytes in network order; the bits beyond ``bits`` are zero.
    package let address: [UInt8]
    package let bits: Int
    /// Was any bit beyond ``bits`` set as it was written? Worth a warning:
    /// `low address bits of A/B are meaningless`.
    package let hadLowBits: Bool

    /// One address alone: 4 or 16 bytes in network order.
    package init(address: [UInt8]) {
        (self.address, bits, hadLowBits) = (address, address.count * 8, false)
    }

    /// Reads `ADDRESS` or `ADDRESS/BITS`; nil for all else, which callers take for a host name.
    package init?(_ text: [UInt8]) {
        let slash = text.firstIndex(of: UInt8(ascii: "/"))
        let host = text[..<(slash ?? text.endIndex)]
        guard let written = IPAddressText.ipv4(host) ?? IPAddressText.ipv6(host) else { return nil }
        let width = written.count * 8
        let bits = slash.map { ConfigValue.number(text[($0 + 1)...]) } ?? width
        guard let bits, bits <= width else { return nil }
        let masked = Self.masked(written, to: bits)
        (self.address, self.bits, self.hadLowBits) = (masked, bits, masked != written)
    }

    /// Is `other` in this network? IPv4 addresses that come as IPv6 (`::ffff:192.0.2.1`) match IPv4 networks.
    ///
    /// - Parameter other: 4 or 16 bytes in network order.
    package func contains(_ other: [UInt8]) -> Bool {
        let plain = address.count == 4 ? Self.withoutMapping(other) : other
        return plain.count == address.count && Self.masked(plain, to: bits) == address
    }

    private static func masked(_ address: [UInt8], to bits: Int) -> [UInt8] {
        address.enumerated().map { index, byte in
            let kept = min(max(bits - index * 8, 0), 8)
            return byte & ~(UInt8(truncatingIfNeeded: 0xFF >> kept))
        }
    }

    private static func withoutMapping(_ address: [UInt8]) -> [UInt8] {
        let mapping: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        return address.count == 16 && address.starts(with: mapping) ? Array(address[12...]) : address
    }
}
