import Bytes
import Glibc
import Platform

/// A line being composed, of at most 2048 bytes with its line feed. What does not fit is cut in silence.
package struct LogLine: ~Copyable {
    /// The longest line without its line feed.
    package static var limit: Int { 2047 }
    /// An error number leaves this much room for itself (logging.md 1).
    private static var roomForErrno: Int { 50 }

    private var storage: [2048 of UInt8]
    package private(set) var count = 0

    package init() { storage = .init(repeating: 0) }

    /// Calls `body` with the bytes so far.
    package borrowing func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let count = self.count
        return storage.span.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0.prefix(count))) }
    }

    /// The bytes so far.
    package var bytes: [UInt8] { withBytes { Array($0) } }

    package mutating func append(byte: UInt8) {
        guard count < Self.limit else { return }
        storage[count] = byte
        count += 1
    }

    package mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        let length = min(bytes.count, Self.limit - count)
        guard length > 0 else { return }
        var space = storage.mutableSpan
        space.withUnsafeMutableBytes { space in
            UnsafeMutableRawBufferPointer(rebasing: space[count...]).copyMemory(
                from: UnsafeRawBufferPointer(start: bytes.baseAddress, count: length))
        }
        count += length
    }

    /// Text that is made while running; its control bytes are escaped, since parts of it may come from anywhere.
    @_disfavoredOverload
    package mutating func append(_ text: String) {
        append(escaped: text.utf8Span.span)
    }

    package mutating func append(_ number: Int) {
        if number < 0 { append(byte: 0x2D) }
        append(UInt64(number.magnitude))
    }

    package mutating func append(_ number: CInt) { append(Int(number)) }
    package mutating func append(_ number: UInt16) { append(UInt64(number)) }
    package mutating func append(_ number: UInt32) { append(UInt64(number)) }

    package mutating func append(_ number: UInt64) {
        // From the last digit to the first; there are 20 at most.
        var digits: [20 of UInt8] = .init(repeating: 0x30)
        var first = digits.count
        var rest = number
        repeat {
            first -= 1
            digits[first] = 0x30 + UInt8(rest % 10)
            rest /= 10
        } while rest > 0
        digits.span.extracting(first...).withUnsafeBytes { append($0) }
    }

    /// Bytes of a peer: control bytes appear as `\n`, `\r`, `\t`, `\xHH`, so that one event stays one line.
    package mutating func append(escaped bytes: Span<UInt8>) {
        guard bytes.hasControlCharacter else { return bytes.withUnsafeBytes { append($0) } }
        for index in 0..<bytes.count { append(escaped: bytes[index]) }
    }

    package mutating func append(escaped bytes: [UInt8]) { append(escaped: bytes.span) }

    private mutating func append(escaped byte: UInt8) {
        switch byte {
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case 0x00...0x1F, 0x7F:
            append("\\x")
            append(byte: Self.hexadecimalDigit(byte >> 4))
            append(byte: Self.hexadecimalDigit(byte & 15))
        default: append(byte: byte)
        }
    }

    private static func hexadecimalDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

    /// ` (NUMBER: TEXT)`; a message that comes too near to the limit is cut for it, with `...`.
    package mutating func append(errno number: CInt) {
        if count > Self.limit + 1 - Self.roomForErrno {
            count = Self.limit + 1 - Self.roomForErrno
            append("...")
        }
        append(" (")
        append(number)
        append(": ")
        append(SystemError.text(number))
        append(")")
    }

    /// The line feed always has its place: ``append(byte:)`` keeps the last one free.
    mutating func end() {
        storage[count] = 0x0A
        count += 1
    }
}
