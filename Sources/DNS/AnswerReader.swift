import CAres
import Glibc
import Platform

/// Walks the records of an answer (RFC 1035 section 4.1). Names are read by c-ares, and at most one of each answer: what
/// an answer costs grows with its bytes.
///
/// c-ares' own `ares_parse_ptr_reply` is not what mail needs: it wants the owner names of a chain to match, where the
/// first PTR record counts whatever its owner. As a lenient reader of additional data it also takes what is refused here.
package struct AnswerReader {
    /// As much of a UDP answer as c-ares hands over.
    private static var longestDatagram: Int { 512 }
    private static var headerLength: Int { 12 }

    private let bytes: UnsafeBufferPointer<UInt8>
    private let type: RecordType
    private let isStream: Bool
    private var offset = 0
    private var answer = Answer()
    /// Where the data of the last CNAME record is.
    private var aliasData: Range<Int>?

    private enum Stop: Error { case reading(AnswerReading), problem(AnswerProblem) }

    /// - Parameters:
    ///   - type: What was asked for.
    ///   - isStream: The answer came over TCP, where nothing is truncated.
    package static func read(_ bytes: Span<UInt8>, for type: RecordType, isStream: Bool) -> AnswerReading {
        bytes.withUnsafeBufferPointer { bytes in
            var reader = AnswerReader(bytes: bytes, type: type, isStream: isStream)
            do throws(Stop) {
                return try reader.read()
            } catch {
                switch error {
                case .reading(let reading): return reading
                case .problem(.short) where !isStream && bytes.count == longestDatagram: return .truncated
                case .problem(let problem): return .unusable(problem)
                }
            }
        }
    }

    private init(bytes: UnsafeBufferPointer<UInt8>, type: RecordType, isStream: Bool) {
        (self.bytes, self.type, self.isStream) = (bytes, type, isStream)
    }

    private mutating func read() throws(Stop) -> AnswerReading {
        guard bytes.count >= Self.headerLength else { throw .problem(.short) }
        let flags = number(at: 2)
        let isTruncated = flags & 0x0200 != 0
        // A response to a query; the bits that are reserved, or mean what was not asked for, are not set.
        guard flags & 0xF870 == 0x8000, !(isTruncated && isStream) else { throw .problem(.flags(flags)) }
        let code = Int(flags & 15)
        if code == 1 { throw .problem(.formatError) }
        if code > 5 { throw .problem(.unknownCode(code)) }
        try readQuestion()
        if isTruncated && type != .ptr { return .truncated }
        if code > 0 { return .failure(ResolverFailure(code: code)) }
        let count = number(at: 6)
        for _ in 0..<count {
            try readRecord()
            if answer.name != nil { return .answer(answer) }
        }
        return try conclusion(count: count, isTruncated: isTruncated)
    }

    private mutating func conclusion(count: UInt16, isTruncated: Bool) throws(Stop) -> AnswerReading {
        if !answer.addresses.isEmpty { return .answer(answer) }
        if isTruncated { return .truncated }
        if let aliasData {
            answer.alias = try name(in: aliasData)
            return .answer(answer)
        }
        // It is there, but has nothing of this type.
        if count == 0 { return .answer(answer) }
        throw .problem(type == .ptr ? .noPTR : .noAddress)
    }

    private mutating func readQuestion() throws(Stop) {
        guard number(at: 4) == 1 else { throw .problem(.questionCount) }
        offset = Self.headerLength
        let start = offset
        while true {
            guard offset < bytes.count else { throw .problem(.short) }
            let length = Int(bytes[offset])
            if length & 0xC0 != 0 { throw .problem(.compressedQuestion) }
            offset += 1 + length
            if length == 0 { break }
        }
        if offset == start + 1 { throw .problem(.emptyQuestion) }
        guard bytes.count - offset >= 4 else { throw .problem(.short) }
        guard number(at: offset) == type.rawValue else { throw .problem(.questionType(number(at: offset))) }
        guard number(at: offset + 2) == 1 else { throw .problem(.questionClass(number(at: offset + 2))) }
        offset += 4
    }

    private mutating func readRecord() throws(Stop) {
        try skipName()
        guard bytes.count - offset >= 10 else { throw .problem(.short) }
        let (recordType, recordClass) = (number(at: offset), number(at: offset + 2))
        let lifetime = UInt32(number(at: offset + 4)) << 16 | UInt32(number(at: offset + 6))
        let length = Int(number(at: offset + 8))
        offset += 10
        guard bytes.count - offset >= length else { throw .problem(.short) }
        guard recordClass == 1 else { throw .problem(.recordClass(recordClass)) }
        let data = offset..<(offset + length)
        offset += length
        // With its highest bit set a TTL counts as none (RFC 2181 section 8).
        answer.lifetime = min(answer.lifetime, lifetime > UInt32(Int32.max) ? 0 : lifetime)
        switch (recordType, type) {
        case (5, _): aliasData = data
        case (12, .ptr): answer.name = try name(in: data)
        case (1, .a): answer.addresses.append(.ipv4(try address(in: data, length: 4)))
        case (28, .aaaa): answer.addresses.append(.ipv6(try address(in: data, length: 16)))
        case (1, .aaaa): throw .problem(.unexpected(.a))
        case (28, .a): throw .problem(.unexpected(.aaaa))
        default: break  // DNAME, signatures, and whatever else comes along
        }
    }

    /// An owner name is passed over where it stands: its end is its first pointer (RFC 1035 section 4.1.4).
    private mutating func skipName() throws(Stop) {
        while true {
            guard offset < bytes.count else { throw .problem(.short) }
            let length = Int(bytes[offset])
            switch length & 0xC0 {
            case 0xC0:
                offset += 2
                return
            case 0:
                offset += 1 + length
                if length == 0 { return }
            default: throw .problem(.invalidName)
            }
        }
    }

    private func address(in data: Range<Int>, length: Int) throws(Stop) -> [UInt8] {
        guard data.count == length else { throw .problem(.invalid(type)) }
        return Array(bytes[data])
    }

    private func name(in data: Range<Int>) throws(Stop) -> [UInt8] {
        guard !data.isEmpty, let start = bytes.baseAddress else { throw .problem(.invalidName) }
        var text: UnsafeMutablePointer<CChar>?
        var length = 0
        let status = ares_expand_name(start + data.lowerBound, start, CInt(bytes.count), &text, &length)
        guard status == ARES_SUCCESS, let text else { throw .problem(.invalidName) }
        defer { ares_free_string(text) }
        guard length <= data.count else { throw .problem(.invalidName) }
        return DomainName.lowercased(Array(UnsafeRawBufferPointer(start: text, count: strlen(text))))
    }

    /// Two bytes in network order; the caller knows that they are there.
    private func number(at offset: Int) -> UInt16 { UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) }
}
