// Reading ASCII from bytes: words, numbers, letters without their case. All of it is small and called for each byte or
// word, so that it is inlinable: other modules, and other packages, are compiled with it.

extension Span where Element == UInt8 {
    /// Whether the bytes are exactly `text`.
    @inlinable public func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }

    /// Whether the bytes begin with `text`.
    @inlinable public func starts(with text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        return count >= length && extracting(0..<length).equals(text)
    }

    /// Whether the bytes are `text`, letters compared without their case.
    @inlinable public func spells(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count {
            guard self[index].asciiUppercased == text.utf8Start[index].asciiUppercased else { return false }
        }
        return true
    }

    /// The first position of `byte` at or after `start`, or nil; a `start` outside of the bytes is no error.
    @inlinable public func firstIndex(of byte: UInt8, from start: Int = 0) -> Int? {
        var index = max(start, 0)
        while index < count {
            if self[index] == byte { return index }
            index += 1
        }
        return nil
    }

    /// A copy of the bytes, where an array is expected: the standard library has a view of this name as well. Elsewhere
    /// `[UInt8](span)`.
    @inlinable public var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { space, written in
            for index in 0..<count { space.initializeElement(at: index, to: self[index]) }
            written = count
        }
    }

    /// The bytes as a decimal number without sign, at most `limit`; nil for anything else, an empty one included.
    @inlinable public func decimal(atMost limit: Int = .max) -> Int? {
        guard count > 0 else { return nil }
        var value = 0
        for index in 0..<count {
            guard case 0x30...0x39 = self[index] else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(Int(self[index] - 0x30))
            if overflow || carry || sum > limit { return nil }
            value = sum
        }
        return value
    }

    /// Whether a control character (0x00-0x1F, 0x7F) is among the bytes.
    @inlinable public var hasControlCharacter: Bool {
        for index in 0..<count where self[index].isASCIIControl { return true }
        return false
    }
}

extension Array where Element == UInt8 {
    /// A copy of the bytes.
    @inlinable public init(_ bytes: Span<UInt8>) { self = bytes.bytes }
}

extension UInt8 {
    /// The capital of a small letter of ASCII; any other byte as it is.
    @inlinable public var asciiUppercased: UInt8 { (0x61...0x7A).contains(self) ? self &- 0x20 : self }
    /// The small letter of a capital of ASCII; any other byte as it is.
    @inlinable public var asciiLowercased: UInt8 { (0x41...0x5A).contains(self) ? self &+ 0x20 : self }
    /// 0x00 to 0x1F, and 0x7F.
    @inlinable public var isASCIIControl: Bool { self < 0x20 || self == 0x7F }
    /// A to Z, a to z.
    @inlinable public var isASCIILetter: Bool { (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self) }
    /// 0 to 9.
    @inlinable public var isASCIIDigit: Bool { (0x30...0x39).contains(self) }
}
