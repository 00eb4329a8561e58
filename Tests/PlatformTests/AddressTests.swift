import Platform
import Testing

@Suite struct `Socket addresses` {
    @Test(
        arguments: [
            ("192.0.2.1:25", "192.0.2.1:25"), ("192.0.2.1", "192.0.2.1:99"), ("00127.0.0.1:1", "127.0.0.1:1"),
            ("[2001:DB8::1]:25", "[2001:db8::1]:25"), ("[::1]", "[::1]:99"), ("unix:/a b", "unix:/a b"),
            ("UNIX:/a", "unix:/a"), ("[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1"),
        ])
    func `read and written`(text: String, expected: String) throws {
        #expect(try SocketAddress.parse(Array(text.utf8), defaultPort: 99).map(\.text) == [expected])
    }

    @Test(
        arguments: [
            ("", "no host"), (":25", "no host"), ("[]", "no host"), ("[::1", "invalid host"),
            ("[::1]x", "invalid host"),
            ("[1.2.3.4]", "invalid IPv6 address"), ("1.2.3.4:0", "invalid port"), ("1.2.3.4:65536", "invalid port"),
            ("1.2.3.4:x", "invalid port"), ("1.2.3.4:", "invalid port"), ("a/b", "invalid host"),
            ("a?b", "invalid host"),
            ("unix:", "no path in the unix domain socket"),
            ("unix:" + String(repeating: "x", count: 108), "too long path in the unix domain socket"),
        ])
    func `what is no address`(text: String, message: String) {
        #expect(throws: AddressSyntaxError(message)) { try SocketAddress.parse(Array(text.utf8), defaultPort: 1) }
    }

    @Test(arguments: ["192.0.2.1:25", "[2001:db8::1]:143", "unix:/run/x.sock"])
    func `the kernel's form and back`(text: String) throws {
        let address = try SocketAddress.parse(Array(text.utf8), defaultPort: 1)[0]
        #expect(address.text == text)
        #expect(address.withKernelForm { _, length in length } > 2)
    }

    @Test(
        arguments: [
            ("192.0.2.0/24", "192.0.2.200", true), ("192.0.2.0/24", "192.0.3.1", false), ("0.0.0.0/0", "1.2.3.4", true),
            ("192.0.2.1", "192.0.2.1", true), ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false), ("0.0.0.0/0", "::ffff:1.2.3.4", false),
        ])
    func networks(network: String, address: String, isInside: Bool) throws {
        let parsed = try #require(AddressNetwork.parse(Array(network.utf8)))
        let host = try #require(SocketAddress(ip: Array(address.utf8), port: 0)).host
        #expect(!parsed.hasLowBits)
        #expect(parsed.network.contains(host) == isInside)
    }

    @Test func `low bits of networks are cleared`() throws {
        let parsed = try #require(AddressNetwork.parse(Array("10.1.2.3/8".utf8)))
        #expect(parsed.hasLowBits)
        #expect(parsed.network == AddressNetwork.parse(Array("10.0.0.0/8".utf8))?.network)
        #expect(AddressNetwork.parse(Array("10.0.0.0/33".utf8)) == nil)
        #expect(AddressNetwork.parse(Array("10.0.0.0/".utf8)) == nil)
        #expect(AddressNetwork.parse(Array("mail.example".utf8)) == nil)
        #expect(AddressNetwork.parse(Array("unix:".utf8))?.network.contains(.unix([])) == true)
    }
}
