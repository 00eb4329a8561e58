import Observability
import Testing

@testable import Proxy

@Suite struct `Session record` {
    private func context(_ change: (inout SessionRecord) -> Void, withActivity: Bool = true) -> String {
        var record = SessionRecord(
            number: 1, clientAddress: Array("192.0.2.7".utf8), listener: Array("0.0.0.0:143".utf8), acceptedAt: 0)
        record.activity = "in auth state"
        change(&record)
        var line = LogLine()
        record.appendContext(to: &line, withActivity: withActivity)
        return String(decoding: line.bytes, as: UTF8.self)
    }

    @Test func `names the activity, the client and the listener`() {
        #expect(context { _ in } == " while in auth state, client: 192.0.2.7, server: 0.0.0.0:143")
        #expect(context({ _ in }, withActivity: false) == ", client: 192.0.2.7, server: 0.0.0.0:143")
    }

    @Test func `tells STARTTLS, login and upstream in nginx's order`() {
        let text = context {
            $0.usesStartTLS = true
            $0.login = Array("bob".utf8)
            $0.upstream = Array("198.51.100.1:143".utf8)
        }
        #expect(
            text == " while in auth state, client: 192.0.2.7 using starttls, server: 0.0.0.0:143, login: \"bob\", "
                + "upstream: 198.51.100.1:143")
    }

    @Test func `a login cannot forge a line`() {
        let text = context({ $0.login = Array("bob\r\n2026/01/01 [emerg] 1#1: ha\u{0}".utf8) }, withActivity: false)
        #expect(text.hasSuffix("login: \"bob\\r\\n2026/01/01 [emerg] 1#1: ha\\x00\""))
    }

    @Test func `the relay's context says the same`() {
        var record = SessionRecord(
            number: 1, clientAddress: Array("192.0.2.7".utf8), listener: Array("0.0.0.0:143".utf8), acceptedAt: 0)
        record.login = Array("bob".utf8)
        record.upstream = Array("198.51.100.1:143".utf8)
        var line = LogLine()
        record.appendContext(to: &line, withActivity: false)
        #expect(record.relayContext == line.bytes)
    }
}
