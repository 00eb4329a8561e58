import Glibc

/// Reads and prints addresses of the Internet as text; they are bytes in network order here.
public enum IPAddressText {
    /// Exactly four decimal numbers up to 255; leading zeros do not make them octal.
    public static func ipv4(_ text: some Collection<UInt8>) -> [UInt8]? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let octets = parts.compactMap { ConfigValue.number($0).flatMap { UInt8(exactly: $0) } }
        return parts.count == 4 && octets.count == 4 ? octets : nil
    }

    /// An IPv6 address without brackets, the dotted quad at its end included.
    public static func ipv6(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard !text.contains(0) else { return nil }
        var address = in6_addr()
        let isAddress = inet_pton(AF_INET6, text.map { CChar(bitPattern: $0) } + [0], &address) == 1
        return isAddress ? withUnsafeBytes(of: &address) { Array($0) } : nil
    }

    /// The address in lower case, its longest run of zeros left out; `4` or `16` bytes, anything else is empty.
    public static func text(of address: [UInt8]) -> String {
        switch address.count {
        case 4: address.map { String($0) }.joined(separator: ".")
        case 16: ipv6Text(of: address)
        default: ""
        }
    }

    private static func ipv6Text(of address: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        _ = inet_ntop(AF_INET6, address, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
