@testable import DNS

/// Answers as a server would write them.
enum Message {
    static func name(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    static func record(
        _ type: UInt16, _ data: [UInt8], ttl: UInt32 = 60, owner: [UInt8] = [0xC0, 12], recordClass: UInt16 = 1
    ) -> [UInt8] {
        owner + bytes(type) + bytes(recordClass) + bytes(UInt16(ttl >> 16)) + bytes(UInt16(truncatingIfNeeded: ttl))
            + bytes(UInt16(data.count)) + data
    }

    static func a(_ last: UInt8, ttl: UInt32 = 60) -> [UInt8] { record(1, [192, 0, 2, last], ttl: ttl) }
    static func ptr(_ text: String) -> [UInt8] { record(12, name(text)) }
    static func cname(_ text: String) -> [UInt8] { record(5, name(text)) }

    /// - Parameter question: Name, type and class on the wire.
    static func answer(
        to question: [UInt8], id: [UInt8] = [1, 2], flags: UInt16 = 0x8180, code: UInt16 = 0, count: UInt16? = nil,
        _ records: [[UInt8]] = []
    ) -> [UInt8] {
        id + bytes(flags | code) + bytes(1) + bytes(count ?? UInt16(records.count)) + [0, 0, 0, 0] + question
            + records.joined()
    }

    static func question(_ text: String, _ type: RecordType) -> [UInt8] { name(text) + bytes(type.rawValue) + [0, 1] }

    static func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)] }
}
