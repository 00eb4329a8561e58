import ApusMail
import Testing

@testable import Proxy

@Suite struct `PROXY header of a client` {
    private static let signature: [UInt8] = Array("\r\n\r\n\0\r\nQUIT\n".utf8)
    private static let ipv4: [UInt8] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0, 143]
    private static let ipv6: [UInt8] =
        [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [7]
        + Array(repeating: 0, count: 15) + [1] + [0x12, 0x67, 0, 143]

    /// A header of version 2 with the length of its rest, or another one.
    private static func binary(
        _ versionAndCommand: UInt8, _ family: UInt8, _ rest: [UInt8], length: Int? = nil
    ) -> [UInt8] {
        let length = length ?? rest.count
        return signature + [versionAndCommand, family, UInt8(length >> 8), UInt8(length & 0xFF)] + rest
    }

    private static func facts(
        _ source: String, _ sourcePort: UInt16, _ destination: String, _ destinationPort: UInt16
    ) -> ProxyHeaderFacts {
        ProxyHeaderFacts(
            sourceAddress: Array(source.utf8), sourcePort: sourcePort, destinationAddress: Array(destination.utf8),
            destinationPort: destinationPort)
    }

    private static func complete(_ header: [UInt8], _ facts: ProxyHeaderFacts?) -> ([UInt8], ProxyHeader.Outcome) {
        (header, .complete(ProxyHeader(length: header.count, facts: facts)))
    }

    private static func line(_ text: String, _ facts: ProxyHeaderFacts?) -> ([UInt8], ProxyHeader.Outcome) {
        complete(Array(text.utf8), facts)
    }

    static let complete: [([UInt8], ProxyHeader.Outcome)] = [
        line("PROXY TCP4 192.0.2.7 198.51.100.1 4711 143\r\n", facts("192.0.2.7", 4711, "198.51.100.1", 143)),
        line("PROXY TCP6 2001:DB8::7 ::1 0 65535\r\n", facts("2001:DB8::7", 0, "::1", 65535)),
        // Neither the family nor the form of an address is looked at here.
        line("PROXY TCP4 ::7 fe.:: 00001 2\r\n", facts("::7", 1, "fe.::", 2)),
        line("PROXY TCP6   1 2\r\n", facts("", 1, "", 2)),
        line("PROXY UNKNOWN\r\n", nil),
        line("PROXY UNKNOWNx y\nz\r \r\n", nil),
        line("PROXY UNKNOWN \(String(repeating: "x", count: 4080))\r\n", nil),
        line(
            "PROXY TCP4 \(String(repeating: "1", count: 300)) 2 3 4\r\n",
            facts(String(repeating: "1", count: 300), 3, "2", 4)),
        complete(binary(0x21, 0x11, ipv4), facts("192.0.2.7", 4711, "198.51.100.1", 143)),
        complete(binary(0x21, 0x21, ipv6), facts("2001:db8::7", 4711, "::1", 143)),
        complete(binary(0x21, 0x11, ipv4 + [0x03, 0, 4, 1, 2, 3, 4]), facts("192.0.2.7", 4711, "198.51.100.1", 143)),
        complete(binary(0x21, 0x11, ipv4 + [0x03, 0xFF]), facts("192.0.2.7", 4711, "198.51.100.1", 143)),
        complete(
            binary(0x21, 0x11, ipv4 + [UInt8](repeating: 0, count: 4068)),
            facts("192.0.2.7", 4711, "198.51.100.1", 143)),
        complete(binary(0x20, 0x00, []), nil),
        complete(binary(0x20, 0x11, ipv4), nil),
        complete(binary(0x2F, 0x11, ipv4), nil),
        complete(binary(0x21, 0x12, ipv4), nil),
        complete(binary(0x21, 0x10, ipv4), nil),
        complete(binary(0x21, 0x01, []), nil),
        complete(binary(0x21, 0x31, [UInt8](repeating: 0x61, count: 216)), nil),
        complete(binary(0x21, 0xF1, [1, 2, 3]), nil),
    ]

    private static func broken(_ text: String, shown: String) -> ([UInt8], ProxyHeader.Outcome) {
        (Array(text.utf8), .refused(.broken(shown: shown.utf8.count)))
    }

    static let refused: [([UInt8], ProxyHeader.Outcome)] = [
        broken("GET / HTTP/1.0\r\n\r\n", shown: "GET / HTTP/1.0"),
        broken("a LOGIN bob wonderland\n", shown: "a LOGIN bob wonderland"),
        broken("proxy TCP4 1 2 3 4\r\n", shown: "proxy TCP4 1 2 3 4"),
        broken("PROXY\r\n", shown: "PROXY"),
        broken("PROXY \r\n", shown: "PROXY "),
        broken("PROXY  TCP4 1 2 3 4\r\n", shown: "PROXY  TCP4 1 2 3 4"),
        broken("PROXY unknown\r\n", shown: "PROXY unknown"),
        broken("PROXY UNKNOW\r\n", shown: "PROXY UNKNOW"),
        broken("PROXY TCP5 1 2 3 4\r\n", shown: "PROXY TCP5 1 2 3 4"),
        broken("PROXY TCP 1 2 3 4\r\n", shown: "PROXY TCP 1 2 3 4"),
        broken("PROXY UDP4 1 2 3 4\r\n", shown: "PROXY UDP4 1 2 3 4"),
        broken("PROXY TCP4 1 2 3 4\n", shown: "PROXY TCP4 1 2 3 4"),
        broken("PROXY TCP4 1 2 3 4\rx", shown: "PROXY TCP4 1 2 3 4"),
        broken("PROXY TCP4 1 2 3 4 \r\n", shown: "PROXY TCP4 1 2 3 4 "),
        broken("PROXY TCP4 1 2 3 4 5\r\n", shown: "PROXY TCP4 1 2 3 4 5"),
        broken("PROXY TCP4 1 2  3 4\r\n", shown: "PROXY TCP4 1 2  3 4"),
        broken("PROXY TCP4 1 2 3\r\n", shown: "PROXY TCP4 1 2 3"),
        broken("PROXY TCP4 1 2 3 \r\n", shown: "PROXY TCP4 1 2 3 "),
        broken("PROXY TCP4 1 g 3 4\r\n", shown: "PROXY TCP4 1 g 3 4"),
        broken("PROXY TCP4 1 2\r\n", shown: "PROXY TCP4 1 2"),
        broken("PROXY TCP4 1 2 65536 4\r\n", shown: "PROXY TCP4 1 2 65536 4"),
        broken("PROXY TCP4 1 2 3 99999999999999999999\r\n", shown: "PROXY TCP4 1 2 3 99999999999999999999"),
        broken("PROXY TCP4 1 2 -1 4\r\n", shown: "PROXY TCP4 1 2 -1 4"),
        (binary(0x11, 0x11, ipv4), .refused(.unknownVersion(1))),
        (binary(0xF1, 0x11, []), .refused(.unknownVersion(15))),
        (binary(0x01, 0x11, [], length: 65535), .refused(.unknownVersion(0))),
        (binary(0x21, 0x11, ipv4, length: 4081), .refused(.tooLarge)),
        (binary(0x20, 0x00, [], length: 65535), .refused(.tooLarge)),
        (binary(0x21, 0x11, [UInt8](repeating: 0, count: 11)), .refused(.tooShort)),
        (binary(0x21, 0x21, ipv4), .refused(.tooShort)),
        (binary(0x21, 0x11, []), .refused(.tooShort)),
    ]

    private func read(_ bytes: some Sequence<UInt8>, isAll: Bool) -> ProxyHeader.Outcome {
        let bytes = Array(bytes)
        return ProxyHeader.read(bytes.span, isAll: isAll)
    }

    @Test(arguments: complete) func `ends where it says, whatever follows`(row: ([UInt8], ProxyHeader.Outcome)) {
        for rest in [[], [0x0D], Array("a NOOP\r\n".utf8), [UInt8](repeating: 0x16, count: 5000)] {
            #expect(read(row.0 + rest, isAll: false) == row.1)
            #expect(read(row.0 + rest, isAll: true) == row.1)
        }
    }

    @Test(arguments: refused) func `is refused`(row: ([UInt8], ProxyHeader.Outcome)) {
        #expect(read(row.0, isAll: false) == row.1)
        #expect(read(row.0, isAll: true) == row.1)
    }

    @Test(arguments: complete) func `is incomplete up to its last byte`(row: ([UInt8], ProxyHeader.Outcome)) {
        for count in 0..<row.0.count {
            #expect(read(row.0[..<count], isAll: false) == .incomplete)
            guard case .refused = read(row.0[..<count], isAll: true) else {
                Issue.record("half a header was taken: \(count) bytes")
                return
            }
        }
    }

    @Test(arguments: refused) func `is refused for the same reason byte by byte`(row: ([UInt8], ProxyHeader.Outcome)) {
        var outcome = ProxyHeader.Outcome.incomplete
        var count = 0
        while outcome == .incomplete, count < row.0.count {
            count += 1
            outcome = read(row.0[..<count], isAll: false)
        }
        switch (outcome, row.1) {
        case (.refused(.broken(let shown)), .refused(.broken(let most))): #expect(shown <= most)
        default: #expect(outcome == row.1)
        }
    }

    @Test func `what never ends is refused at the limit`() {
        let endless = Array("PROXY UNKNOWN".utf8) + [UInt8](repeating: 0x78, count: 5000)
        #expect(read(endless[..<4095], isAll: false) == .incomplete)
        #expect(read(endless, isAll: false) == .refused(.broken(shown: 4096)))
        let address = Array("PROXY TCP4 ".utf8) + [UInt8](repeating: 0x31, count: 5000)
        #expect(read(address[..<4095], isAll: false) == .incomplete)
        #expect(read(address, isAll: false) == .refused(.broken(shown: 4096)))
    }

    @Test func `what ends too early is told apart as nginx does`() {
        let header = Self.binary(0x21, 0x11, Self.ipv4)
        #expect(read([UInt8](), isAll: true) == .refused(.broken(shown: 0)))
        #expect(read(header[..<15], isAll: true) == .refused(.broken(shown: 0)))
        #expect(read(header[..<16], isAll: true) == .refused(.tooLarge))
        #expect(read(header[..<27], isAll: true) == .refused(.tooLarge))
    }
}
