import Bytes
import Glibc

/// Reads and prints addresses of the Internet as text; they are bytes in network order here.
package enum IPAddressText {
    /// Exactly four decimal numbers up to 255; leading zeros do not make them octal.
    package static func ipv4(_ text: some Collection<UInt8>) -> [UInt8]? { ipv4(Array(text).span) }

    /// As above. Not generic: every login reads an address, and generic code of another target is not specialised.
    package static func ipv4(_ text: Span<UInt8>) -> [UInt8]? {
        var octets: [UInt8] = []
        octets.reserveCapacity(4)
        var start = 0
        while octets.count < 4 {
            let end = text.firstIndex(of: UInt8(ascii: "."), from: start) ?? text.count
            guard let number = text.extracting(start..<end).decimal(atMost: 255) else { return nil }
            octets.append(UInt8(number))
            guard end < text.count else { break }
            start = end + 1
            // A dot behind the last number begins a fifth.
            if octets.count == 4 { return nil }
        }
        return octets.count == 4 ? octets : nil
    }

    /// An IPv6 address without brackets, the dotted quad at its end included.
    package static func ipv6(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard !text.contains(0) else { return nil }
        var address = in6_addr()
        let isAddress = inet_pton(AF_INET6, text.map { CChar(bitPattern: $0) } + [0], &address) == 1
        return isAddress ? withUnsafeBytes(of: &address) { Array($0) } : nil
    }

    /// The address in lower case, its longest run of zeros left out; `4` or `16` bytes, anything else is empty.
    package static func text(of address: [UInt8]) -> String {
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
