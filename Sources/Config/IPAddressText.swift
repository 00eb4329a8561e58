import Bytes
import Glibc

/// Reads and prints addresses of the Internet as text; they are bytes in network order here.
package enum IPAddressText {
    /// Exactly four decimal numbers up to 255; leading zeros do not make them octal.
    package static func ipv4(_ text: some Collection<UInt8>) -> [UInt8]? { ipv4(Array(text).span) }

    /// As above. Not generic: every login reads an address, and generic code of another target is not specialised.
    package static func ipv4(_ text: Span<UInt8>) -> [UInt8]? {
        ipv4Number(text).map { number in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } }
    }

    package static func isIPv4(_ text: Span<UInt8>) -> Bool { ipv4Number(text) != nil }

    private static func ipv4Number(_ text: Span<UInt8>) -> UInt32? {
        var number: UInt32 = 0
        var (octet, digits, dots): (UInt32, Int, Int) = (0, 0, 0)
        for index in 0..<text.count {
            switch text[index] {
            case 0x30...0x39:
                octet = octet * 10 + UInt32(text[index] - 0x30)
                digits += 1
                guard octet <= 255 else { return nil }
            case 0x2E:
                guard digits > 0, dots < 3 else { return nil }
                number = number << 8 | octet
                (octet, digits, dots) = (0, 0, dots + 1)
            default: return nil
            }
        }
        return digits > 0 && dots == 3 ? number << 8 | octet : nil
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
