/// The checksum of RFC 3720 appendix B.4, bit by bit: for headers, not for streams.
package enum CRC32C {
    package static func checksum(of bytes: Span<UInt8>) -> UInt32 {
        var remainder = UInt32.max
        for index in 0..<bytes.count {
            remainder ^= UInt32(bytes[index])
            for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1 == 1 ? 0x82F6_3B78 : 0) }
        }
        return ~remainder
    }
}
