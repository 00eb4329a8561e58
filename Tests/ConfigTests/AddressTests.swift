import Config
import Testing

private typealias Address = AddressSyntax

/// An address as a short line: host, ports, URI.
private func summary(_ text: String, _ place: AddressSyntax.Place) -> String {
    do throws(AddressSyntax.Failure) {
        let address = try Address(Array(text.utf8), in: place)
        let ports = address.ports.map { $0.count == 1 ? " \($0.lowerBound)" : " \($0.lowerBound)-\($0.upperBound)" }
        let uri = address.uri.isEmpty ? "" : " \(String(decoding: address.uri, as: UTF8.self))"
        let host =
            switch address.host {
            case .any: "any"
            case .ipv4(let bytes): "4:\(IPAddressText.text(of: bytes))"
            case .ipv6(let bytes): "6:\(IPAddressText.text(of: bytes))"
            case .name(let name): "name:\(name)"
            case .unix(let path): "unix:\(String(decoding: path, as: UTF8.self))"
            }
        return host + (ports ?? "") + uri
    } catch {
        return "! \(error.rawValue)"
    }
}

@Suite struct `Addresses as text` {
    static let listen: [(String, String)] = [
        ("143", "any 143"), ("*:143", "any 143"), ("*", "any"), ("00143", "any 143"), ("127.0.0.1", "4:127.0.0.1"),
        ("127.0.0.1:143", "4:127.0.0.1 143"), ("00127.0.0.1:1", "4:127.0.0.1 1"),
        ("host.name:143", "name:host.name 143"),
        ("[::]:143", "6::: 143"), ("[::1]", "6:::1"), ("[::1]:8110-8119", "6:::1 8110-8119"),
        ("unix:/path", "unix:/path"), ("UNIX:p:q", "unix:p:q"), ("8110-8119", "any 8110-8119"),
        ("127.0.0.1:8110-8119", "4:127.0.0.1 8110-8119"), ("110-", "name:110-"), ("mail-host", "name:mail-host"),
        ("127.1:25", "name:127.1 25"), ("1..2.3", "name:1..2.3"), ("1.2.3.256", "name:1.2.3.256"),
        ("", "! no host"), (":110", "! no host"), ("0", "! invalid port"), ("65536", "! invalid port"),
        ("a:", "! invalid port"), ("a:x", "! invalid port"), ("a:0", "! invalid port"), ("a:1:2", "! invalid port"),
        ("a:99999999999999999999", "! invalid port"), ("1-70000", "! invalid port"), ("20-10", "! invalid port range"),
        ("a:20-10", "! invalid port range"), ("a:1-", "! invalid port"), ("a:-1", "! invalid port"),
        ("a/b", "! invalid host"), ("a?b", "! invalid host"), ("[::1", "! invalid host"), ("[::1]x", "! invalid host"),
        ("[::1]:", "! invalid port"), ("[]:1", "! no host"), ("[::g]:1", "! invalid IPv6 address"),
        ("[1.2.3.4]:1", "! invalid IPv6 address"), ("unix:", "! no path in the unix domain socket"),
        ("unix:" + repeated("x", 107), "unix:" + repeated("x", 107)),
        ("unix:" + repeated("x", 108), "! too long path in the unix domain socket"),
    ]

    @Test(arguments: listen) func `of the directive listen`(text: String, expected: String) {
        #expect(summary(text, .listen) == expected)
    }

    static let url: [(String, String)] = [
        ("127.0.0.1:9000/auth", "4:127.0.0.1 9000 /auth"), ("auth.example/a:b", "name:auth.example /a:b"),
        ("auth.example?x", "name:auth.example ?x"), ("[::1]:80/a", "6:::1 80 /a"), ("[::1]/a", "6:::1 /a"),
        ("unix:/run/auth:/uri", "unix:/run/auth /uri"), ("unix:/run/auth", "unix:/run/auth"),
        ("/auth", "! no host"), ("unix::/uri", "! no path in the unix domain socket"), ("h:/a", "! invalid port"),
    ]

    @Test(arguments: url) func `with a URI`(text: String, expected: String) { #expect(summary(text, .url) == expected) }

    @Test(
        arguments: [
            ("127.0.0.1", "4:127.0.0.1"), ("dns:53", "name:dns 53"), ("53", "name:53"), ("*", "name:*"),
            ("a:1-2", "! invalid port"), ("a/b", "! invalid host"), ("[::1]:53", "6:::1 53"),
        ])
    func `of servers`(text: String, expected: String) { #expect(summary(text, .server) == expected) }

    @Test func `no beginning of an address traps`() {
        for (text, _) in Self.listen + Self.url {
            for count in 0...text.utf8.count {
                for place in [Address.Place.listen, .url, .server] { _ = summary(String(text.prefix(count)), place) }
            }
        }
    }

    @Test(
        arguments: [
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("::", "::"), ("::1", "::1"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::c000:201", "::192.0.2.1"), ("0001::0", "1::"),
        ])
    func `IPv6 as text`(text: String, expected: String) {
        #expect(IPAddressText.ipv6(text.utf8).map { IPAddressText.text(of: $0) } == expected)
    }
}

@Suite struct `Networks` {
    @Test(
        arguments: [
            ("192.0.2.1", "192.0.2.1/32"), ("192.0.2.0/24", "192.0.2.0/24"), ("192.0.2.1/24", "192.0.2.0/24 low"),
            ("0.0.0.0/0", "0.0.0.0/0"), ("10.1.2.3/12", "10.0.0.0/12 low"), ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"), ("2001:db8::1/33", "2001:db8::/33 low"), ("192.0.2.0/33", nil), ("::/129", nil),
            ("192.0.2.0/", nil), ("192.0.2.0/x", nil), ("name", nil), ("unix:", nil), ("", nil), ("1.2.3/8", nil),
        ] as [(String, String?)])
    func parse(text: String, expected: String?) {
        let network = CIDR(Array(text.utf8))
        let printed = network.map { "\(IPAddressText.text(of: $0.address))/\($0.bits)\($0.hadLowBits ? " low" : "")" }
        #expect(printed == expected)
    }

    @Test(
        arguments: [
            ("192.0.2.0/25", "192.0.2.127", true), ("192.0.2.0/25", "192.0.2.128", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true), ("::/0", "192.0.2.9", false), ("::/0", "::1", true),
            ("0.0.0.0/0", "::1", false), ("::ffff:0:0/96", "::ffff:192.0.2.9", true),
        ])
    func contains(network: String, address: String, expected: Bool) throws {
        let bytes = try #require(IPAddressText.ipv4(address.utf8) ?? IPAddressText.ipv6(address.utf8))
        #expect(CIDR(Array(network.utf8))?.contains(bytes) == expected)
    }
}
