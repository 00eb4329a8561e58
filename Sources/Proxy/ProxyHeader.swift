package import ApusMail
import Bytes
import Platform

/// The header of the PROXY protocol that a load balancer sends before the client's first byte, version 1 or 2
/// (haproxy's `proxy-protocol.txt` 2.1 and 2.2; what is taken beyond it: nginx).
package struct ProxyHeader: Equatable, Sendable {
    /// How many bytes it takes.
    package let length: Int
    /// What it says of the client; nil where it says nothing (`UNKNOWN`, `LOCAL`, other families and transports).
    package let facts: ProxyHeaderFacts?

    /// A header ends within so many bytes.
    package static var longest: Int { 4096 }

    package enum Refusal: Error, Equatable, Sendable {
        /// Neither version. So many bytes, up to the first line end, are worth showing.
        case broken(shown: Int)
        /// Version 2 by its signature, but not by its number.
        case unknownVersion(UInt8)
        /// Its end is out of reach.
        case tooLarge
        /// It has no room for the addresses of its family.
        case tooShort
    }

    package enum Outcome: Equatable, Sendable { case complete(ProxyHeader), incomplete, refused(Refusal) }

    /// Reads the header that `bytes` begin with.
    ///
    /// A beginning of `bytes` has the same outcome or is incomplete; only what a broken header shows may differ.
    ///
    /// - Parameter isAll: Nothing will follow: what is incomplete is refused.
    package static func read(_ bytes: Span<UInt8>, isAll: Bool) -> Outcome {
        let window = bytes.extracting(first: longest)
        let outcome =
            Signature.match(window, at: 0, Signature.version2) == .different ? version1(window) : version2(window)
        guard outcome == .incomplete, isAll || window.count == longest else { return outcome }
        let isVersion2 = window.count >= Signature.fixedLength && window.starts(with: Signature.version2)
        return .refused(isVersion2 ? .tooLarge : broken(window))
    }

    private static func broken(_ bytes: Span<UInt8>) -> Refusal {
        var shown = 0
        while shown < bytes.count, bytes[shown] != 0x0D, bytes[shown] != 0x0A { shown += 1 }
        return .broken(shown: shown)
    }

    // MARK: Version 1

    private static func version1(_ bytes: Span<UInt8>) -> Outcome {
        do throws(LineReader.Stop) {
            return .complete(try LineReader.header(bytes))
        } catch {
            return error == .endOfBytes ? .incomplete : .refused(broken(bytes))
        }
    }

    // MARK: Version 2

    private static func version2(_ bytes: Span<UInt8>) -> Outcome {
        guard bytes.count >= Signature.fixedLength else { return .incomplete }
        let (version, command) = (bytes[12] >> 4, bytes[12] & 0x0F)
        guard version == 2 else { return .refused(.unknownVersion(version)) }
        let length = Signature.fixedLength + Int(number(bytes, at: 14))
        guard length <= longest else { return .refused(.tooLarge) }
        guard bytes.count >= length else { return .incomplete }
        let (family, transport) = (bytes[13] >> 4, bytes[13] & 0x0F)
        guard command == 1, transport == 1 else { return .complete(ProxyHeader(length: length, facts: nil)) }
        let addresses = bytes.extracting(Signature.fixedLength..<length)
        switch family {
        case 1: return binary(addresses, width: 4, length: length) { .ipv4($0) }
        case 2: return binary(addresses, width: 16, length: length) { .ipv6($0) }
        default: return .complete(ProxyHeader(length: length, facts: nil))
        }
    }

    private static func binary(
        _ bytes: Span<UInt8>, width: Int, length: Int, _ host: ([UInt8]) -> SocketAddress.Host
    ) -> Outcome {
        guard bytes.count >= 2 * width + 4 else { return .refused(.tooShort) }
        func text(at start: Int) -> [UInt8] {
            Array(SocketAddress(host(bytes.extracting(start..<start + width).bytes)).hostText.utf8)
        }
        return .complete(
            ProxyHeader(
                length: length,
                facts: ProxyHeaderFacts(
                    sourceAddress: text(at: 0), sourcePort: number(bytes, at: 2 * width),
                    destinationAddress: text(at: width), destinationPort: number(bytes, at: 2 * width + 2))))
    }

    private static func number(_ bytes: Span<UInt8>, at start: Int) -> UInt16 {
        UInt16(bytes[start]) << 8 | UInt16(bytes[start + 1])
    }
}

/// What the versions begin with.
private enum Signature {
    static var version1: StaticString { "PROXY " }
    static var version2: StaticString { "\r\n\r\n\0\r\nQUIT\n" }
    /// Signature, version and command, family and transport, length.
    static var fixedLength: Int { 16 }

    enum Match { case whole, soFar, different }

    /// Whether `text` stands at `start`, as far as the bytes go.
    static func match(_ bytes: Span<UInt8>, at start: Int, _ text: StaticString) -> Match {
        for offset in 0..<text.utf8CodeUnitCount {
            guard start + offset < bytes.count else { return .soFar }
            guard bytes[start + offset] == text.utf8Start[offset] else { return .different }
        }
        return .whole
    }
}

/// Reads version 1, field by field: `PROXY TCP4 SOURCE DESTINATION PORT PORT CRLF`.
private enum LineReader {
    enum Stop: Error { case endOfBytes, malformed }

    static func header(_ bytes: Span<UInt8>) throws(Stop) -> ProxyHeader {
        var position = 0
        try expect(Signature.version1, bytes, &position)
        if bytes.count > position, bytes[position] == UInt8(ascii: "U") {
            try expect("UNKNOWN", bytes, &position)
            return ProxyHeader(length: try endOfLine(bytes, from: position), facts: nil)
        }
        try expect("TCP", bytes, &position)
        // The family is not held against the addresses, whose text is passed on as it is.
        guard try next(bytes, &position, isOneOf: { $0 == 0x34 || $0 == 0x36 }) else { throw .malformed }
        try expect(" ", bytes, &position)
        let source = try address(bytes, &position)
        let destination = try address(bytes, &position)
        let sourcePort = try port(bytes, &position, endingWith: 0x20)
        let destinationPort = try port(bytes, &position, endingWith: 0x0D)
        try expect("\n", bytes, &position)
        return ProxyHeader(
            length: position,
            facts: ProxyHeaderFacts(
                sourceAddress: source, sourcePort: sourcePort, destinationAddress: destination,
                destinationPort: destinationPort))
    }

    private static func expect(_ text: StaticString, _ bytes: Span<UInt8>, _ position: inout Int) throws(Stop) {
        switch Signature.match(bytes, at: position, text) {
        case .whole: position += text.utf8CodeUnitCount
        case .soFar: throw .endOfBytes
        case .different: throw .malformed
        }
    }

    /// Takes the next byte if it is of a kind.
    private static func next(
        _ bytes: Span<UInt8>, _ position: inout Int, isOneOf kind: (UInt8) -> Bool
    ) throws(Stop) -> Bool {
        guard position < bytes.count else { throw .endOfBytes }
        guard kind(bytes[position]) else { return false }
        position += 1
        return true
    }

    /// Hexadecimal digits, colons and dots, even none, and the space behind them.
    private static func address(_ bytes: Span<UInt8>, _ position: inout Int) throws(Stop) -> [UInt8] {
        let start = position
        while try next(bytes, &position, isOneOf: \.isOfAddress) {}
        let end = position
        try expect(" ", bytes, &position)
        return bytes.extracting(start..<end).bytes
    }

    private static func port(
        _ bytes: Span<UInt8>, _ position: inout Int, endingWith separator: UInt8
    ) throws(Stop) -> UInt16 {
        let start = position
        while try next(bytes, &position, isOneOf: \.isASCIIDigit) {}
        let number = bytes.extracting(start..<position).decimal(atMost: Int(UInt16.max))
        guard let number, try next(bytes, &position, isOneOf: { $0 == separator }) else { throw .malformed }
        return UInt16(number)
    }

    /// The position behind the first CRLF.
    private static func endOfLine(_ bytes: Span<UInt8>, from start: Int) throws(Stop) -> Int {
        var position = start
        while position + 1 < bytes.count {
            if bytes[position] == 0x0D && bytes[position + 1] == 0x0A { return position + 2 }
            position += 1
        }
        throw .endOfBytes
    }
}

extension UInt8 {
    fileprivate var isOfAddress: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66, 0x2E, 0x3A: true
        default: false
        }
    }
}
