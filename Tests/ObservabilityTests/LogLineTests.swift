import Observability
import Testing

@Suite struct `Log lines` {
    private func line(_ compose: (inout LogLine) -> Void) -> String {
        var line = LogLine()
        compose(&line)
        return String(decoding: line.bytes, as: UTF8.self)
    }

    @Test func `texts and numbers are put one after the other`() {
        let text = line {
            $0.append("a ")
            $0.append(String("b "))
            $0.append(-42)
            $0.append(" ")
            $0.append(UInt64.max)
            $0.append(" ")
            $0.append(0)
        }
        #expect(text == "a b -42 18446744073709551615 0")
    }

    @Test(
        arguments: [
            ("plain", "plain"), ("a\r\nb", "a\\r\\nb"), ("\t", "\\t"), ("\0\u{1B}\u{7F}", "\\x00\\x1b\\x7f"),
            ("ü", "ü"), ("\"\\", "\"\\"),
        ])
    func `control bytes are escaped`(bytes: String, expected: String) {
        #expect(line { $0.append(escaped: Array(bytes.utf8)) } == expected)
        #expect(line { $0.append(bytes + "") } == expected)
    }

    @Test func `what does not fit is cut in silence`() {
        var line = LogLine()
        for _ in 0..<3000 { line.append("x") }
        line.append(escaped: [0x0A])
        line.append(12345)
        #expect(line.count == LogLine.limit)
    }

    @Test func `an error number stands behind the message`() {
        #expect(line { $0.append(errno: 2) } == " (2: No such file or directory)")
    }

    @Test func `a long message makes room for the error number`() {
        let text = line {
            for _ in 0..<3000 { $0.append("x") }
            $0.append(errno: 2)
        }
        #expect(text.hasSuffix("x... (2: No such file or directory)"))
        #expect(text.utf8.count == 1998 + "... (2: No such file or directory)".utf8.count)
    }
}
