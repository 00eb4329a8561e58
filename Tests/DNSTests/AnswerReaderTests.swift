import Testing

@testable import DNS

@Suite struct `Answers on the wire` {
    private static func answer(
        _ type: RecordType, _ records: [[UInt8]], flags: UInt16 = 0x8180, code: UInt16 = 0, count: UInt16? = nil
    ) -> [UInt8] {
        Message.answer(to: Message.question("a.test", type), flags: flags, code: code, count: count, records)
    }

    private static func read(_ bytes: [UInt8], _ type: RecordType, isStream: Bool = false) -> AnswerReading {
        AnswerReader.read(bytes.span, for: type, isStream: isStream)
    }

    private static func found(_ answer: Answer) -> AnswerReading { .answer(answer) }

    @Test func `addresses, in their order, with the smallest lifetime`() {
        let bytes = Self.answer(.a, [Message.cname("b.test"), Message.a(1, ttl: 30), Message.a(2, ttl: 90)])
        #expect(
            Self.read(bytes, .a)
                == .answer(Answer(addresses: [.ipv4([192, 0, 2, 1]), .ipv4([192, 0, 2, 2])], lifetime: 30)))
        let six = Self.answer(.aaaa, [Message.record(28, Array(repeating: 7, count: 16))])
        #expect(
            Self.read(six, .aaaa) == .answer(Answer(addresses: [.ipv6(Array(repeating: 7, count: 16))], lifetime: 60)))
    }

    @Test func `a lifetime with its highest bit set is none`() {
        let bytes = Self.answer(.a, [Message.a(1, ttl: 1 << 31)])
        #expect(Self.read(bytes, .a) == .answer(Answer(addresses: [.ipv4([192, 0, 2, 1])], lifetime: 0)))
    }

    @Test func `the first PTR record, whatever stands around it`() {
        let foreign = Message.record(12, Message.name("MX.Test"), owner: Message.name("other.test"))
        let bytes = Self.answer(
            .ptr, [Message.record(16, [1, 2]), Message.cname("c.test"), foreign, Message.ptr("no")])
        #expect(Self.read(bytes, .ptr) == .answer(Answer(name: Array("mx.test".utf8), lifetime: 60)))
    }

    @Test func `a compressed name`() {
        let bytes = Self.answer(.ptr, [Message.record(12, [2, 0x6D, 0x78, 0xC0, 12])])
        #expect(Self.read(bytes, .ptr) == .answer(Answer(name: Array("mx.a.test".utf8), lifetime: 60)))
    }

    @Test func `bytes that are no text do not come through`() throws {
        let bytes = Self.answer(.ptr, [Message.record(12, [4, 0x61, 0x0D, 0x0A, 0x00, 1, 0x2E, 0])])
        guard case .answer(let answer) = Self.read(bytes, .ptr) else { throw Unexpected() }
        #expect(answer.name == Array("a\\013\\010\\000.\\.".utf8))
    }

    private struct Unexpected: Error {}

    @Test func `an alias alone is followed, the last one`() {
        let bytes = Self.answer(.a, [Message.cname("b.test"), Message.cname("c.test")])
        #expect(Self.read(bytes, .a) == .answer(Answer(alias: Array("c.test".utf8), lifetime: 60)))
    }

    @Test func `nothing of this type`() { #expect(Self.read(Self.answer(.a, []), .a) == .answer(Answer())) }

    @Test(arguments: [2, 3, 4, 5] as [UInt16]) func `refusals`(code: UInt16) {
        #expect(Self.read(Self.answer(.a, [], code: code), .a) == .failure(ResolverFailure(code: Int(code))))
    }

    @Test func `truncated ones are had over TCP, a name that is there is taken`() {
        #expect(Self.read(Self.answer(.a, [Message.a(1)], flags: 0x8380), .a) == .truncated)
        #expect(Self.read(Self.answer(.ptr, [], flags: 0x8380), .ptr) == .truncated)
        #expect(
            Self.read(Self.answer(.ptr, [Message.ptr("x")], flags: 0x8380), .ptr)
                == .answer(Answer(name: [0x78], lifetime: 60)))
        #expect(
            Self.read(Self.answer(.a, [Message.a(1)], flags: 0x8380), .a, isStream: true)
                == .unusable(.flags(0x8380)))
        // What c-ares cut at 512 bytes.
        let large = Self.answer(.a, Array(repeating: Message.a(1), count: 60))
        #expect(Self.read(Array(large.prefix(512)), .a) == .truncated)
        #expect(Self.read(Array(large.prefix(511)), .a) == .unusable(.short))
    }

    @Test(
        arguments: [
            (answer(.a, [], flags: 0x0100), .flags(0x0100)),
            (answer(.a, [], flags: 0x8800), .flags(0x8800)),
            (answer(.a, [], flags: 0x8020), .flags(0x8020)),
            (answer(.a, [], code: 1), .formatError),
            (answer(.a, [], code: 9), .unknownCode(9)),
            (answer(.a, [], count: 1), .short),
            (answer(.a, [Message.record(28, Array(repeating: 0, count: 16))]), .unexpected(.aaaa)),
            (answer(.a, [Message.record(1, [1, 2, 3])]), .invalid(.a)),
            (answer(.a, [Message.record(1, [1, 2, 3, 4], recordClass: 3)]), .recordClass(3)),
            (answer(.a, [Message.record(16, [0])]), .noAddress),
            (answer(.a, [Message.record(1, [1, 2, 3, 4], owner: [0x80, 0])]), .invalidName),
            (answer(.a, [Message.record(5, [0xC0, 0xFF])]), .invalidName),
            (answer(.a, [Message.record(5, [0xC0, 36])]), .invalidName),
            (answer(.ptr, []), .questionType(12)),
            ([1, 2, 0x81, 0x80, 0, 1], .short),
            ([1, 2, 0x81, 0x80, 0, 2, 0, 0, 0, 0, 0, 0], .questionCount),
            ([1, 2, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0xC0, 12, 0, 1, 0, 1], .compressedQuestion),
            ([1, 2, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1], .emptyQuestion),
            ([1, 2, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0x61, 0, 0, 1, 0, 3], .questionClass(3)),
            ([1, 2, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 9, 0x61, 0, 0, 1], .short),
        ] as [([UInt8], AnswerProblem)])
    func `what is none`(bytes: [UInt8], problem: AnswerProblem) {
        #expect(Self.read(bytes, .a) == .unusable(problem))
    }

    @Test func `cut anywhere`() {
        let bytes = Self.answer(.a, [Message.cname("b.test"), Message.a(1), Message.a(2)])
        for count in 0..<bytes.count {
            #expect(Self.read(Array(bytes.prefix(count)), .a) == .unusable(.short), "\(count)")
        }
    }
}

@Suite struct `Names` {
    @Test func `normal form`() {
        #expect(DomainName.normalized("MX.Example.COM.".utf8) == Array("mx.example.com".utf8))
        let label = String(repeating: "x", count: 63)
        for wrong in [
            "", ".", "..", "a..b", ".a", "a b", "a\\b", "a\u{0}", label + "x", "\(label).\(label).\(label).\(label)",
        ] {
            #expect(DomainName.normalized(wrong.utf8) == nil, "\(wrong)")
        }
    }

    @Test func `reverse names`() {
        #expect(DomainName.reverse(.ipv4([192, 0, 2, 10])) == Array("10.2.0.192.in-addr.arpa".utf8))
        let six = DomainName.reverse(.ipv6([0x20, 1, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [0xA1]))
        #expect(
            six
                == Array("1.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa".utf8))
        #expect(DomainName.reverse(.unix([])) == nil)
    }
}
