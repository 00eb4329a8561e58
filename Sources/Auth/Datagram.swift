import Bytes

/// Writes the parts of a datagram: numbers in little-endian order, bytes with their count in front.
struct DatagramWriter {
    private let buffer = SecretBuffer(capacity: 512)

    init(version: UInt8) { buffer.append(version) }

    func put(_ byte: UInt8) { buffer.append(byte) }

    func put(number: UInt64) {
        for index in 0..<8 { buffer.append(UInt8(truncatingIfNeeded: number &>> UInt64(8 * index))) }
    }

    func put(_ bytes: [UInt8]) {
        put(number: UInt64(bytes.count))
        buffer.append(bytes)
    }

    func put(_ secret: Secret) {
        put(number: UInt64(secret.count))
        secret.withBytes { buffer.append($0) }
    }

    func put(optional secret: Secret?) {
        put(secret == nil ? UInt8(0) : 1)
        if let secret { put(secret) }
    }

    var finished: Secret { buffer.secret }
}

/// Reads what ``DatagramWriter`` wrote; every method answers nil for what cannot be.
struct DatagramReader {
    struct Optional { var secret: Secret? }

    private var offset = 1

    init?(_ datagram: Span<UInt8>, version: UInt8) {
        guard datagram.count > 0, datagram[0] == version else { return nil }
    }

    func isAtEnd(_ datagram: Span<UInt8>) -> Bool { offset == datagram.count }

    mutating func byte(_ datagram: Span<UInt8>) -> UInt8? {
        guard offset < datagram.count else { return nil }
        offset += 1
        return datagram[offset - 1]
    }

    mutating func number(_ datagram: Span<UInt8>) -> UInt64? {
        guard datagram.count - offset >= 8 else { return nil }
        var number: UInt64 = 0
        for index in 0..<8 { number |= UInt64(datagram[offset + index]) &<< UInt64(8 * index) }
        offset += 8
        return number
    }

    private mutating func range(_ datagram: Span<UInt8>) -> Range<Int>? {
        guard let count = number(datagram), count <= UInt64(datagram.count - offset) else { return nil }
        defer { offset += Int(count) }
        return offset..<(offset + Int(count))
    }

    mutating func bytes(_ datagram: Span<UInt8>) -> [UInt8]? {
        range(datagram).map { datagram.extracting($0).bytes }
    }

    mutating func secret(_ datagram: Span<UInt8>) -> Secret? {
        range(datagram).map { Secret(datagram.extracting($0)) }
    }

    mutating func optional(_ datagram: Span<UInt8>) -> Optional? {
        switch byte(datagram) {
        case 0: Optional(secret: nil)
        case 1: secret(datagram).map { Optional(secret: $0) }
        default: nil
        }
    }
}
