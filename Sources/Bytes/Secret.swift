/// Bytes that nobody else may see: a password, a token, what is sent with one inside.
///
/// They are wiped when the last owner goes away and print as `…`. Copies made inside ``withBytes(_:)`` are the copier's
/// concern.
public final class Secret: @unchecked Sendable, Equatable, CustomStringConvertible {
    // Unchecked: the bytes never change between init and deinit.
    @usableFromInline let space: UnsafeMutableBufferPointer<UInt8>

    /// Where the secret parts of a joined one are; nil: all of it is secret.
    private let secretParts: [Range<Int>]?

    /// A secret of these bytes. The original is the caller's to wipe.
    public init(_ bytes: Span<UInt8>) {
        space = .allocate(capacity: max(bytes.count, 1))
        space.initialize(repeating: 0)
        Self.copy(bytes, to: space[...])
        count = bytes.count
        secretParts = nil
    }

    /// A secret of these bytes. The original is the caller's to wipe.
    public convenience init(_ bytes: [UInt8]) { self.init(bytes.span) }

    /// Joins parts, without a copy that stays behind. What is a ``Part/secret(_:)`` is never shown by a log when a server
    /// repeats it.
    public init(joining parts: [Part]) {
        count = parts.reduce(0) { $0 + $1.count }
        space = .allocate(capacity: max(count, 1))
        space.initialize(repeating: 0)
        secretParts = Self.secretRanges(of: parts)
        var end = 0
        for part in parts {
            part.withBytes { bytes in
                Self.copy(bytes, to: space[end...])
                end += bytes.count
            }
        }
    }

    private static func secretRanges(of parts: [Part]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start = 0
        for part in parts {
            if case .secret = part { ranges.append(start..<start + part.count) }
            start += part.count
        }
        return ranges
    }

    /// Lends what is secret in it: the secret parts of a joined one, else all.
    package func forEachSecretPart(_ body: (Span<UInt8>) -> Void) {
        withBytes { bytes in
            guard let secretParts else { return body(bytes) }
            for part in secretParts { body(bytes.extracting(part)) }
        }
    }

    private static func copy(_ bytes: Span<UInt8>, to space: Slice<UnsafeMutableBufferPointer<UInt8>>) {
        bytes.withUnsafeBufferPointer { source in
            _ = UnsafeMutableBufferPointer(rebasing: space).update(fromContentsOf: source)
        }
    }

    deinit {
        let start = UnsafeMutableRawBufferPointer(space)
        wipe(start)
        space.deallocate()
    }

    /// The number of bytes.
    public let count: Int
    /// There are none. An empty password is one.
    public var isEmpty: Bool { count == 0 }
    /// `…`, whatever the bytes are.
    public var description: String { "…" }

    /// Lends the bytes to `body`, without a copy.
    ///
    /// - Throws: What `body` throws.
    @inlinable public func withBytes<Result>(_ body: (Span<UInt8>) throws -> Result) rethrows -> Result {
        try body(UnsafeBufferPointer(rebasing: space.prefix(count)).span)
    }

    /// Compares in time that depends on the lengths alone.
    public static func == (left: Secret, right: Secret) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in 0..<left.count { difference |= left.space[index] ^ right.space[index] }
        return difference == 0
    }

    /// A part of a secret to be joined.
    public enum Part {
        /// A text of the program.
        case text(StaticString)
        /// Bytes that are no secret.
        case bytes([UInt8])
        /// Another secret.
        case secret(Secret)

        var count: Int {
            switch self {
            case .text(let text): text.utf8CodeUnitCount
            case .bytes(let bytes): bytes.count
            case .secret(let secret): secret.count
            }
        }

        func withBytes(_ body: (Span<UInt8>) -> Void) {
            switch self {
            case .text(let text): body(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount).span)
            case .bytes(let bytes): body(bytes.span)
            case .secret(let secret): secret.withBytes(body)
            }
        }
    }
}

/// Overwrites memory with zeros in a way the optimiser keeps.
@inline(never)
public func wipe(_ space: UnsafeMutableRawBufferPointer) {
    guard let start = space.baseAddress else { return }
    for offset in 0..<space.count { start.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self) }
    withExtendedLifetime(start) {}
    wipeBarrier(start)
}

// Not inlinable, so that the stores above cannot be seen as dead.
@inline(never)
@_optimize(none)
private func wipeBarrier(_ start: UnsafeMutableRawPointer) { _ = start }
