import ApusMail
import Auth
import Testing

@Suite struct `Messages between workers and password helpers` {
    static let request = HashRequest(
        id: 0x0123_4567_89AB_CDEF, deadline: 99, file: 3, method: .apop, login: Array("bob".utf8),
        password: Secret(Array("digest".utf8)), salt: Array("<1@h>".utf8), clientAddress: Array("::1".utf8))

    static let answers: [HashAnswer] = [
        HashAnswer(id: 1, .refused(hasDelay: true), hasPlainEntries: true),
        HashAnswer(id: 2, .refused(hasDelay: false), hasPlainEntries: false),
        HashAnswer(id: 3, .unavailable, hasPlainEntries: false),
        HashAnswer(id: 4, .fileRead, hasPlainEntries: true),
        HashAnswer(id: .max, .accepted(HashAnswer.Accepted()), hasPlainEntries: true),
        HashAnswer(
            id: 5,
            .accepted(
                HashAnswer.Accepted(
                    host: Array("::1".utf8), port: 143, user: [], password: Secret(Array("x".utf8)))),
            hasPlainEntries: true),
    ]

    @Test func `a request comes back as it was`() throws {
        let datagram = try #require(Self.request.datagram)
        #expect(datagram.withBytes { HashRequest($0) } == Self.request)
    }

    @Test func `an answer comes back as it was`() {
        for answer in Self.answers { #expect(answer.datagram.withBytes { HashAnswer($0) } == answer) }
    }

    @Test func `a request that is too long is not made`() {
        var long = Self.request
        long.login = [UInt8](repeating: 0x61, count: HashRequest.longestField + 1)
        #expect(long.datagram == nil)
        var whole = Self.request
        whole.login = [UInt8](repeating: 0x61, count: HashRequest.longestField)
        whole.salt = whole.login
        #expect(whole.datagram == nil)
    }

    @Test func `what is cut off, longer or mixed up is nothing`() throws {
        let request = try #require(Self.request.datagram).withBytes { $0.bytes as [UInt8] }
        for length in request.indices {
            let cut = Array(request[..<length])
            #expect(HashRequest(cut.span) == nil)
        }
        let longer = request + [0]
        #expect(HashRequest(longer.span) == nil)
        for answer in Self.answers {
            let bytes = answer.datagram.withBytes { $0.bytes as [UInt8] }
            for length in bytes.indices {
                let cut = Array(bytes[..<length])
                #expect(HashAnswer(cut.span) == nil)
            }
            let longer = bytes + [0]
            #expect(HashAnswer(longer.span) == nil)
        }
        var random = Noise(state: 3)
        for _ in 0..<20_000 {
            var bytes = request
            bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            _ = HashRequest(bytes.span)
            _ = HashAnswer(bytes.span)
        }
    }
}
