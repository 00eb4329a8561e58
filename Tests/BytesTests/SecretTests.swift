import Bytes
import Testing

@Suite struct `Secrets` {
    @Test func `do not print`() {
        #expect("\(Secret(Array("hush".utf8)))" == "…")
    }

    @Test func `hold what they were given`() {
        for text in ["", "x", "hush\0hush"] {
            let bytes = Array(text.utf8)
            let secret = Secret(bytes)
            #expect(secret.withBytes { $0.bytes } == bytes)
            #expect(secret.count == bytes.count)
            #expect(secret.isEmpty == bytes.isEmpty)
        }
    }

    @Test func `are joined`() {
        let joined = Secret(joining: [.text("a "), .bytes([0x62]), .secret(Secret([])), .secret(Secret([0x63]))])
        #expect(joined == Secret(Array("a bc".utf8)))
        #expect(Secret(joining: []).isEmpty)
    }

    @Test func `compare by content`() {
        #expect(Secret([1, 2]) == Secret([1, 2]))
        #expect(Secret([1, 2]) != Secret([1, 3]))
        #expect(Secret([1, 2]) != Secret([1, 2, 0]))
        #expect(Secret([]) == Secret([]))
    }

    @Test func `are wiped from a space`() {
        var bytes: [UInt8] = [1, 2, 3]
        bytes.withUnsafeMutableBytes { wipe($0) }
        #expect(bytes == [0, 0, 0])
    }
}
