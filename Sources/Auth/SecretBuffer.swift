package import Bytes

/// Bytes that grow and leave no copy behind: where passwords are escaped, joined and read.
package final class SecretBuffer {
    // Numbers and a pointer, used at once: exclusivity checks would cost more than the bytes.
    @exclusivity(unchecked) private var space: UnsafeMutableBufferPointer<UInt8>
    @exclusivity(unchecked) package private(set) var count = 0

    package init(capacity: Int = 64) {
        space = .allocate(capacity: max(16, capacity))
        space.initialize(repeating: 0)
    }

    deinit {
        wipe(UnsafeMutableRawBufferPointer(space))
        space.deallocate()
    }

    package func append(_ byte: UInt8) {
        if count == space.count { grow(by: 1) }
        space[count] = byte
        count += 1
    }

    package func append(_ bytes: Span<UInt8>) {
        if bytes.count > space.count - count { grow(by: bytes.count) }
        bytes.withUnsafeBufferPointer {
            _ = UnsafeMutableBufferPointer(rebasing: space[count...]).update(fromContentsOf: $0)
        }
        count += bytes.count
    }

    package func append(_ bytes: [UInt8]) { append(bytes.span) }

    package func append(_ text: StaticString) {
        append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount).span)
    }

    /// Wipes what is there; the room stays.
    package func removeAll() {
        wipe(UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(space)[..<count]))
        count = 0
    }

    package func withBytes<Result>(_ body: (Span<UInt8>) throws -> Result) rethrows -> Result {
        try body(UnsafeBufferPointer(rebasing: space[..<count]).span)
    }

    /// A copy as a secret of its own.
    package var secret: Secret { withBytes { Secret($0) } }

    private func grow(by added: Int) {
        let larger = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(space.count * 2, count + added))
        larger.initialize(repeating: 0)
        _ = larger.update(fromContentsOf: space[..<count])
        wipe(UnsafeMutableRawBufferPointer(space))
        space.deallocate()
        space = larger
    }
}
