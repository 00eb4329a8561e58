import Bytes

/// Bytes received and not used up yet. Memory is attached when the first byte comes and wiped before it goes: what is
/// read before login holds passwords.
struct InputBuffer: ~Copyable {
    private var space = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var start = 0
    private var end = 0

    /// Room for any usual command and greeting. Blocks of this size are those that malloc keeps at hand (glibc's tcache
    /// ends at 1,032 bytes); larger ones cost hundreds of instructions each.
    private static var firstStep: Int { 1_024 }

    init() {}

    deinit {
        // Whatever was held elsewhere in the space was wiped when it was used up or moved.
        wipe(UnsafeMutableRawBufferPointer(rebasing: space[start..<end]))
        space.deallocate()
    }

    var count: Int { end - start }
    var isEmpty: Bool { start == end }

    /// Calls `body` with the bytes.
    borrowing func withBytes<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(rebasing: space[start..<end]).bindMemory(to: UInt8.self).span)
    }

    /// Room for more, so that at most `limit` bytes are held; empty when there are as many already.
    mutating func room(limit: Int) -> UnsafeMutableRawBufferPointer {
        guard count < limit else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        if start > 0 { compact() }
        // In steps: the limit may be any number of the configuration, more than there is memory for.
        if end == space.count { grow(to: min(limit, max(Self.firstStep, space.count * 2))) }
        return UnsafeMutableRawBufferPointer(rebasing: space[end..<min(limit, space.count)])
    }

    /// Bytes were read into ``room(limit:)``.
    mutating func filled(_ count: Int) { end = min(end + count, space.count) }

    /// Drops bytes from the front.
    mutating func consume(_ count: Int) {
        let used = min(count, self.count)
        wipe(UnsafeMutableRawBufferPointer(rebasing: space[start..<start + used]))
        start += used
        if start == end { (start, end) = (0, 0) }
    }

    mutating func consumeAll() { consume(count) }

    private mutating func grow(to capacity: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: space[start..<end]))
        wipe(UnsafeMutableRawBufferPointer(rebasing: space[start..<end]))
        space.deallocate()
        (space, start, end) = (larger, 0, count)
    }

    private mutating func compact() {
        let held = count
        if held > 0 {
            UnsafeMutableRawBufferPointer(rebasing: space[0..<held])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: space[start..<end]))
        }
        wipe(UnsafeMutableRawBufferPointer(rebasing: space[held..<end]))
        (start, end) = (0, held)
    }
}
