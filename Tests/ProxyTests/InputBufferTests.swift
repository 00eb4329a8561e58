import Testing

@testable import Proxy

@Suite struct `Input buffer` {
    private func fill(_ buffer: inout InputBuffer, _ text: String, limit: Int) -> Int {
        let room = buffer.room(limit: limit)
        let bytes = Array(text.utf8.prefix(room.count))
        room.copyBytes(from: bytes)
        buffer.filled(bytes.count)
        return bytes.count
    }

    private func text(_ buffer: borrowing InputBuffer) -> String {
        buffer.withBytes { String(decoding: $0.bytes, as: UTF8.self) }
    }

    @Test func `what is consumed goes, what is left stays in order`() {
        var buffer = InputBuffer()
        #expect(fill(&buffer, "a1 NOOP\r\na2 LOG", limit: 64) == 15)
        buffer.consume(9)
        #expect(text(buffer) == "a2 LOG")
        #expect(fill(&buffer, "OUT\r\n", limit: 64) == 5)
        #expect(text(buffer) == "a2 LOGOUT\r\n")
    }

    @Test func `never more than the limit is held`() {
        var buffer = InputBuffer()
        #expect(fill(&buffer, "0123456789", limit: 8) == 8)
        #expect(buffer.room(limit: 8).count == 0)
        buffer.consume(3)
        #expect(fill(&buffer, "abcdef", limit: 8) == 3)
        #expect(text(buffer) == "34567abc")
    }

    @Test func `a larger limit keeps what is there`() {
        var buffer = InputBuffer()
        #expect(fill(&buffer, "0123456789", limit: 8) == 8)
        #expect(fill(&buffer, "89abcdef", limit: 16) == 8)
        #expect(text(buffer) == "0123456789abcdef")
    }

    @Test func `a limit beyond all memory is as good as none`() {
        var buffer = InputBuffer()
        #expect(fill(&buffer, "0123456789", limit: .max) == 10)
        let long = String(repeating: "x", count: 40_000)
        var taken = 0
        while taken < long.count { taken += fill(&buffer, String(long.dropFirst(taken)), limit: .max) }
        #expect(text(buffer) == "0123456789" + long)
    }

    @Test func `consuming more than there is empties it`() {
        var buffer = InputBuffer()
        #expect(fill(&buffer, "abc", limit: 8) == 3)
        buffer.consume(100)
        let isEmpty = buffer.isEmpty
        #expect(isEmpty)
    }
}
