import Config
import Observability
import Platform
import Testing

@Suite struct `Addresses of the configuration` {
    private func resolved(_ text: String, _ place: AddressSyntax.Place = .server) throws -> [String] {
        try SocketAddress.resolve(AddressSyntax(Array(text.utf8), in: place), defaultPort: 99, NameTable()).map(\.text)
    }

    @Test(
        arguments: [
            ("192.0.2.1:25", "192.0.2.1:25"), ("192.0.2.1", "192.0.2.1:99"), ("00127.0.0.1:1", "127.0.0.1:1"),
            ("[2001:DB8::1]:25", "[2001:db8::1]:25"), ("[::1]", "[::1]:99"), ("unix:/a b", "unix:/a b"),
            ("UNIX:/a", "unix:/a"), ("[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1"),
        ])
    func `become those of sockets`(text: String, expected: String) throws {
        #expect(try resolved(text) == [expected])
    }

    @Test func `a range of ports is an address for each`() throws {
        #expect(try resolved("*:20-22", .listen) == ["0.0.0.0:20", "0.0.0.0:21", "0.0.0.0:22"])
    }

    @Test func `what the resolver does not know`() {
        #expect(throws: AddressSyntax.Failure.hostNotFound) { try resolved("no such host:25") }
    }

    @Test(arguments: [
        ("00127.0.0.1", "127.0.0.1:1"), ("2001:DB8::1", "[2001:db8::1]:1"), ("127.1", nil), ("[::1]", nil),
    ])
    func `alone, from their text`(text: String, expected: String?) {
        #expect(SocketAddress(ip: Array(text.utf8), port: 1)?.text == expected)
    }
}

@Suite struct `Networks of peers` {
    @Test(
        arguments: [
            ("192.0.2.0/24", "192.0.2.200", true), ("192.0.2.0/24", "192.0.3.1", false), ("0.0.0.0/0", "1.2.3.4", true),
            ("192.0.2.1", "192.0.2.1", true), ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false), ("0.0.0.0/0", "::ffff:1.2.3.4", false),
            ("unix:", "192.0.2.1", false),
        ])
    func `hold addresses`(network: String, address: String, isInside: Bool) throws {
        let host = try #require(SocketAddress(ip: Array(address.utf8), port: 0)).host
        #expect(try #require(PeerNetwork(Array(network.utf8))).contains(host) == isInside)
        #expect(PeerNetwork(host).contains(host))
    }

    @Test func `or UNIX sockets`() {
        #expect(PeerNetwork(Array("unix:".utf8))?.contains(.unix([])) == true)
        #expect(PeerNetwork(Array("0.0.0.0/0".utf8))?.contains(.unix([])) == false)
        #expect(PeerNetwork(Array("mail.example".utf8)) == nil)
    }
}
