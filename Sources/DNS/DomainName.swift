import Platform

/// Names as text: labels with dots between.
enum DomainName {
    /// The longest name (RFC 1035 section 2.3.4), without a dot at its end.
    static var longest: Int { 253 }

    static func lowercased(_ name: [UInt8]) -> [UInt8] {
        name.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    }

    /// In lower case and without a dot at its end; nil for what cannot be asked for: nothing, an empty label, or a byte
    /// that would mean something else to c-ares or to C.
    static func normalized(_ name: some Collection<UInt8>) -> [UInt8]? {
        var name = lowercased(Array(name))
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        guard !name.isEmpty, name.count <= longest, !name.contains(where: { $0 <= 0x20 || $0 == 0x5C || $0 >= 0x7F })
        else { return nil }
        let labels = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.allSatisfy { !$0.isEmpty && $0.count < 64 } ? name : nil
    }

    /// Where the name of an address is written down: `d.c.b.a.in-addr.arpa` (RFC 1035 section 3.5), or nibbles under
    /// `ip6.arpa` (RFC 3596 section 2.5); nil for an address that is none of the Internet.
    static func reverse(_ host: SocketAddress.Host) -> [UInt8]? {
        switch host {
        case .ipv4(let bytes):
            return Array((bytes.reversed().map { "\($0)." }.joined() + "in-addr.arpa").utf8)
        case .ipv6(let bytes):
            let nibbles = bytes.reversed().flatMap { [$0 & 15, $0 >> 4] }
            return Array((nibbles.map { String($0, radix: 16) + "." }.joined() + "ip6.arpa").utf8)
        case .unix: return nil
        }
    }
}
