package import Bytes

/// MD5 (RFC 1321) and HMAC-MD5 (RFC 2104), for APOP (RFC 1939 §7) and CRAM-MD5 (RFC 2195) and nothing else.
package enum MD5 {
    /// The digest of all parts, one after the other.
    package static func digest(_ parts: [Secret.Part]) -> [UInt8] { digest(Secret(joining: parts)) }

    package static func digest(_ message: Secret) -> [UInt8] {
        var state: [4 of UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476]
        let padding = [0x80] + [UInt8](repeating: 0, count: (119 &- message.count % 64) % 64)
        let length = UInt64(message.count) &* 8
        let tail = padding + (0..<8).map { UInt8(truncatingIfNeeded: length &>> (8 * UInt64($0))) }
        Secret(joining: [.secret(message), .bytes(tail)]).withBytes { bytes in
            var offset = 0
            while offset + 64 <= bytes.count {
                mix(bytes.extracting(offset..<(offset + 64)), into: &state)
                offset += 64
            }
        }
        var digest: [UInt8] = []
        for word in 0..<4 {
            for byte in 0..<4 { digest.append(UInt8(truncatingIfNeeded: state[word] &>> UInt32(8 * byte))) }
        }
        return digest
    }

    package static func hmac(key: Secret, _ text: [UInt8]) -> [UInt8] {
        let key = key.count > 64 ? Secret(digest(key)) : key
        func padded(with pad: UInt8) -> Secret {
            key.withBytes { bytes in
                let block = SecretBuffer(capacity: 64)
                for index in 0..<64 { block.append((index < bytes.count ? bytes[index] : 0) ^ pad) }
                return block.secret
            }
        }
        let inner = digest([.secret(padded(with: 0x36)), .bytes(text)])
        return digest([.secret(padded(with: 0x5C)), .bytes(inner)])
    }

    /// Lower-case hexadecimal digits.
    package static func hexadecimal(_ digest: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        for byte in digest {
            for digit in [byte >> 4, byte & 15] { text.append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
        }
        return text
    }

    /// One block of 64 bytes (RFC 1321 3.4).
    private static func mix(_ block: Span<UInt8>, into state: inout [4 of UInt32]) {
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        for step in 0..<64 {
            let mixed: UInt32
            let word: Int
            switch step / 16 {
            case 0: (mixed, word) = ((b & c) | (~b & d), step)
            case 1: (mixed, word) = ((d & b) | (~d & c), (5 * step + 1) % 16)
            case 2: (mixed, word) = (b ^ c ^ d, (3 * step + 5) % 16)
            default: (mixed, word) = (c ^ (b | ~d), 7 * step % 16)
            }
            let sum: UInt32 = a &+ mixed &+ sines[step] &+ littleEndian(block, at: 4 * word)
            let turn = UInt32(shifts[step / 16 * 4 + step % 4])
            let turned: UInt32 = sum &<< turn | sum &>> (32 - turn)
            (a, d, c, b) = (d, c, b, b &+ turned)
        }
        state[0] &+= a
        state[1] &+= b
        state[2] &+= c
        state[3] &+= d
    }

    private static func littleEndian(_ bytes: Span<UInt8>, at offset: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in 0..<4 { value |= UInt32(bytes[offset + index]) &<< UInt32(8 * index) }
        return value
    }

    private static let shifts: [16 of UInt8] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]

    /// The table T: 4294967296 times |sin(i)|.
    private static let sines: [64 of UInt32] = [
        0xD76A_A478, 0xE8C7_B756, 0x2420_70DB, 0xC1BD_CEEE, 0xF57C_0FAF, 0x4787_C62A, 0xA830_4613, 0xFD46_9501,
        0x6980_98D8, 0x8B44_F7AF, 0xFFFF_5BB1, 0x895C_D7BE, 0x6B90_1122, 0xFD98_7193, 0xA679_438E, 0x49B4_0821,
        0xF61E_2562, 0xC040_B340, 0x265E_5A51, 0xE9B6_C7AA, 0xD62F_105D, 0x0244_1453, 0xD8A1_E681, 0xE7D3_FBC8,
        0x21E1_CDE6, 0xC337_07D6, 0xF4D5_0D87, 0x455A_14ED, 0xA9E3_E905, 0xFCEF_A3F8, 0x676F_02D9, 0x8D2A_4C8A,
        0xFFFA_3942, 0x8771_F681, 0x6D9D_6122, 0xFDE5_380C, 0xA4BE_EA44, 0x4BDE_CFA9, 0xF6BB_4B60, 0xBEBF_BC70,
        0x289B_7EC6, 0xEAA1_27FA, 0xD4EF_3085, 0x0488_1D05, 0xD9D4_D039, 0xE6DB_99E5, 0x1FA2_7CF8, 0xC4AC_5665,
        0xF429_2244, 0x432A_FF97, 0xAB94_23A7, 0xFC93_A039, 0x655B_59C3, 0x8F0C_CC92, 0xFFEF_F47D, 0x8584_5DD1,
        0x6FA8_7E4F, 0xFE2C_E6E0, 0xA301_4314, 0x4E08_11A1, 0xF753_7E82, 0xBD3A_F235, 0x2AD7_D2BB, 0xEB86_D391,
    ]
}
