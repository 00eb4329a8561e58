import Observability
import Platform
import Testing

@testable import Proxy

@Suite struct `Listening sockets` {
    private func listen(_ ip: String, _ port: UInt16, own: Bool = false) -> ListenAddress {
        var listen = ListenAddress(address: SocketAddress(ip: Array(ip.utf8), port: port)!)
        listen.bindsItself = own
        return listen
    }

    private func bound(_ listens: [ListenAddress]) -> [String: [String]] {
        let plans = ListenerPlan.plans(for: listens.enumerated().map { ($1, server: $0) })
        return Dictionary(
            uniqueKeysWithValues: plans.map {
                ($0.bound.text, $0.specific.map { String(decoding: $0.text, as: UTF8.self) })
            })
    }

    @Test func `without a wildcard every address has its own`() {
        #expect(
            bound([listen("127.0.0.1", 143), listen("127.0.0.2", 143)]) == ["127.0.0.1:143": [], "127.0.0.2:143": []])
    }

    @Test func `a wildcard takes the others of its port in`() {
        #expect(
            bound([listen("127.0.0.1", 143), listen("0.0.0.0", 143), listen("127.0.0.1", 993)])
                == ["0.0.0.0:143": ["127.0.0.1:143"], "127.0.0.1:993": []])
    }

    @Test func `an address that binds itself is kept beside a wildcard`() {
        #expect(
            bound([listen("127.0.0.1", 143, own: true), listen("0.0.0.0", 143)])
                == ["0.0.0.0:143": [], "127.0.0.1:143": []])
    }

    @Test func `families do not mix`() {
        #expect(bound([listen("::", 143), listen("127.0.0.1", 143)]) == ["[::]:143": [], "127.0.0.1:143": []])
    }
}
