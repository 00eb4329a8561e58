/// Base64 as SASL exchanges use it (RFC 4648 §4).
public enum Base64 {
    /// Decodes up to the first `=`; padding is optional.
    ///
    /// - Returns: nil when a character outside the alphabet stands before the first `=`, or when the number of
    ///   characters before it is 1 modulo 4.
    public static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        let length = text.firstIndex(of: 0x3D) ?? text.count
        guard length % 4 != 1 else { return nil }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(length / 4 * 3 + 2)
        var bits: UInt32 = 0
        var held = 0
        for index in 0..<length {
            guard let value = sextet(of: text[index]) else {
                // It may have been the beginning of a password.
                decoded.withUnsafeMutableBytes { wipe($0) }
                return nil
            }
            bits = (bits &<< 6 | UInt32(value)) & 0xFFFF
            held += 6
            if held >= 8 {
                held -= 8
                decoded.append(UInt8(truncatingIfNeeded: bits &>> UInt32(held)))
            }
        }
        return decoded
    }

    /// Encodes with padding, without line ends.
    public static func encode(_ bytes: Span<UInt8>) -> [UInt8] {
        var encoded: [UInt8] = []
        encoded.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let first = bytes[index]
            let second = index + 1 < bytes.count ? bytes[index + 1] : 0
            let third = index + 2 < bytes.count ? bytes[index + 2] : 0
            encoded.append(character(for: first >> 2))
            encoded.append(character(for: (first & 3) << 4 | second >> 4))
            encoded.append(index + 1 < bytes.count ? character(for: (second & 15) << 2 | third >> 6) : 0x3D)
            encoded.append(index + 2 < bytes.count ? character(for: third & 63) : 0x3D)
            index += 3
        }
        return encoded
    }

    private static func sextet(of character: UInt8) -> UInt8? {
        switch character {
        case 0x41...0x5A: character - 0x41
        case 0x61...0x7A: character - 0x61 + 26
        case 0x30...0x39: character - 0x30 + 52
        case 0x2B: 62
        case 0x2F: 63
        default: nil
        }
    }

    private static func character(for sextet: UInt8) -> UInt8 {
        switch sextet & 63 {
        case 0...25: 0x41 + sextet
        case 26...51: 0x61 + sextet - 26
        case 52...61: 0x30 + sextet - 52
        case 62: 0x2B
        default: 0x2F
        }
    }
}
