import Testing

@testable import DNS

@Suite struct `Answers that are kept` {
    private func key(_ number: Int) -> ResolverKey { .addresses(Array("host\(number)".utf8)) }
    private let value = ResolverValue.name(Array("a".utf8))

    @Test func `hold until the end of their last second`() {
        var cache = AnswerCache(capacity: 8)
        cache.keep(value, for: key(1), at: 100, seconds: 0)
        cache.keep(value, for: key(2), at: 100, seconds: 5)
        cache.keep(value, for: key(3), at: 100, seconds: .max)
        #expect(cache.value(for: key(1), at: 100) == value)
        #expect(cache.value(for: key(1), at: 101) == nil)
        #expect(cache.value(for: key(2), at: 105) == value)
        #expect(cache.value(for: key(2), at: 106) == nil)
        #expect(cache.value(for: key(3), at: .max) == value)
    }

    @Test func `are bounded, and those in use stay`() {
        var cache = AnswerCache(capacity: 8)
        for number in 0..<1000 {
            cache.keep(value, for: key(number), at: 0, seconds: 1)
            #expect(cache.count <= 8)
            #expect(cache.value(for: key(0), at: 0) == value, "\(number)")
        }
        #expect(cache.value(for: key(1), at: 0) == nil)
    }
}
