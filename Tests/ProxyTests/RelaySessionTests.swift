import Testing

@testable import Proxy

@Suite struct `Relaying session` {
    @Test func `stays small`() {
        #expect(MemoryLayout<RelaySession>.stride <= 192)
    }

    @Test func `refers to no object`() {
        #expect(_isPOD(RelaySession.self))
    }
}
