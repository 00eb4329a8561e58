import Bytes

/// The common name in the subject of a client certificate, as RFC 2253 writes it.
package enum CertificateName {
    /// - Returns: nil when there is none or more than one, or when it cannot be told what it is.
    package static func commonName(ofSubject subject: Span<UInt8>) -> [UInt8]? {
        var found: [UInt8]?
        var index = 0
        while index < subject.count {
            guard let equals = subject.firstIndex(of: 0x3D, from: index) else { return nil }
            let type = subject.extracting(index..<equals)
            guard let (value, end) = value(in: subject, from: equals + 1) else { return nil }
            if type.spells("CN") || type.equals("2.5.4.3") {
                guard found == nil else { return nil }
                found = value
            }
            index = end + 1
        }
        return found
    }

    /// A value up to the next `,` or `+` that is not escaped (RFC 2253 2.4).
    private static func value(in subject: Span<UInt8>, from start: Int) -> ([UInt8], end: Int)? {
        var value: [UInt8] = []
        var index = start
        // A BER encoding in hexadecimal, or quotes that OpenSSL does not write.
        if index < subject.count, subject[index] == 0x23 || subject[index] == 0x22 { return nil }
        while index < subject.count {
            switch subject[index] {
            case 0x2C, 0x2B: return (value, index)
            case 0x5C:
                guard index + 1 < subject.count else { return nil }
                if let high = digit(subject[index + 1]) {
                    guard index + 2 < subject.count, let low = digit(subject[index + 2]) else { return nil }
                    value.append(high << 4 | low)
                    index += 3
                } else {
                    value.append(subject[index + 1])
                    index += 2
                }
            case let byte:
                value.append(byte)
                index += 1
            }
        }
        return (value, index)
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character.asciiUppercased {
        case 0x30...0x39: character - 0x30
        case 0x41...0x46: character.asciiUppercased - 0x41 + 10
        default: nil
        }
    }
}
