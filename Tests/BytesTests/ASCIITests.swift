import Bytes
import Testing

@Suite struct `ASCII` {
    @Test(
        arguments: [
            ("0", 0), ("7", 7), ("007", 7), ("9223372036854775807", Int.max), ("9223372036854775808", nil),
            ("18446744073709551616", nil), ("99999999999999999999999", nil), ("", nil), ("-1", nil), ("+1", nil),
            (" 1", nil), ("1 ", nil), ("1\0", nil), ("0x1", nil), ("１", nil),
        ] as [(String, Int?)])
    func `decimal numbers are checked`(text: String, expected: Int?) {
        let bytes = Array(text.utf8)
        let number = bytes.span.decimal()
        #expect(number == expected)
    }

    @Test func `decimal numbers have a limit`() {
        let bytes = Array("4096".utf8)
        let (fitting, beyond) = (bytes.span.decimal(atMost: 4096), bytes.span.decimal(atMost: 4095))
        #expect(fitting == 4096)
        #expect(beyond == nil)
    }

    @Test(
        arguments: [
            ("LOGIN", true), ("login", true), ("LoGiN", true), ("LOGI", false), ("LOGINS", false), ("", false),
            ("l\u{EF}gin", false), ("\u{0C}OGIN", false),
        ])
    func `words are compared without their case`(word: String, expected: Bool) {
        let bytes = Array(word.utf8)
        for text in ["LOGIN", "login"] as [StaticString] {
            let spells = bytes.span.spells(text)
            #expect(spells == expected)
        }
    }

    @Test func `letters alone have a case`() {
        for byte in UInt8.min...UInt8.max {
            let isLower = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            #expect(byte.asciiUppercased == (isLower ? byte - 32 : byte))
            #expect(byte.asciiLowercased == (isUpper ? byte + 32 : byte))
            #expect(byte.isASCIILetter == (isLower || isUpper))
            #expect(byte.isASCIIControl == (byte < 32 || byte == 127))
            #expect(byte.isASCIIDigit == (48...57).contains(byte))
        }
    }

    @Test func `beginnings, places and copies`() {
        let bytes = Array("* OK\0".utf8)
        func look<Result>(_ at: (Span<UInt8>) -> Result) -> Result { at(bytes.span) }
        #expect(look { $0.starts(with: "* OK") })
        #expect(look { $0.starts(with: "") })
        #expect(look { !$0.starts(with: "* OK\0more") })
        #expect(look { !$0.equals("* OK") })
        #expect(look { $0.equals("* OK\0") })
        #expect(look { $0.firstIndex(of: 0x4B) } == 3)
        #expect(look { $0.firstIndex(of: 0x4B, from: 4) } == nil)
        #expect(look { $0.firstIndex(of: 0x4B, from: 99) } == nil)
        #expect(look { $0.firstIndex(of: 0x4B, from: -99) } == 3)
        #expect(look { $0.bytes } == bytes)
        #expect(look { [UInt8]($0) } == bytes)
        #expect(look { $0.hasControlCharacter })
        #expect(look { !$0.extracting(0..<4).hasControlCharacter })
    }
}
