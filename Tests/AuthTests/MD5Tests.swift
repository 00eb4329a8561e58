import ApusMail
import Auth
import Testing

@Suite struct `MD5 and HMAC-MD5` {
    /// RFC 1321 A.5, and the lengths around a block's end.
    @Test(
        arguments: [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a"
            ),
            (String(repeating: "x", count: 55), "04364420e25c512fd958a70738aa8f72"),
            (String(repeating: "x", count: 56), "668a72d5ba17f08e62dabcafad6db14b"),
            (String(repeating: "x", count: 57), "693037871c4a9d3d8685018905cb530a"),
            (String(repeating: "x", count: 63), "7dc2ca208106a2f703567bdff99d8981"),
            (String(repeating: "x", count: 64), "c1bb4f81d892b2d57947682aeb252456"),
            (String(repeating: "x", count: 65), "1bc932052302d074bdec39795fe00cf6"),
            (String(repeating: "x", count: 119), "ab347a5f68c8a443cfcddc633f12c24f"),
            (String(repeating: "x", count: 120), "fb98667f98096de92620b64f46e1c5b5"),
        ])
    func digest(text: String, expected: String) {
        let digest = MD5.digest([.bytes(Array(text.utf8))])
        #expect(String(decoding: MD5.hexadecimal(digest), as: UTF8.self) == expected)
    }

    /// RFC 2202 2, and the example of RFC 2195 2.
    @Test(
        arguments: [
            ([UInt8](repeating: 0x0B, count: 16), "Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
            (Array("Jefe".utf8), "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
            (
                [UInt8](repeating: 0xAA, count: 80), "Test Using Larger Than Block-Size Key - Hash Key First",
                "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"
            ),
            (
                Array("tanstaaftanstaaf".utf8), "<1896.697170952@postoffice.reston.mci.net>",
                "b913a602c7eda7a495b4e6e7334d3890"
            ),
        ] as [([UInt8], String, String)])
    func hmac(key: [UInt8], text: String, expected: String) {
        let digest = MD5.hmac(key: Secret(key), Array(text.utf8))
        #expect(String(decoding: MD5.hexadecimal(digest), as: UTF8.self) == expected)
    }
}
