import Observability
import Platform
import Testing

@testable import Proxy

@Suite struct `PROXY header for the server behind` {
    private func address(_ ip: String, _ port: UInt16) -> SocketAddress {
        SocketAddress(ip: Array(ip.utf8), port: port)!
    }

    private let socket = SocketAddress(.unix(Array("/run/imap".utf8)))

    private func line(_ client: SocketAddress, _ local: SocketAddress) -> String {
        String(decoding: UpstreamProxyHeader(client: client, local: local).version1, as: UTF8.self)
    }

    @Test func `version 1 is a line in the family of the client`() {
        #expect(
            line(address("192.0.2.7", 4711), address("198.51.100.1", 143))
                == "PROXY TCP4 192.0.2.7 198.51.100.1 4711 143\r\n")
        #expect(
            line(address("2001:db8::7", 4711), address("::1", 143)) == "PROXY TCP6 2001:db8::7 ::1 4711 143\r\n")
        #expect(line(address("::1", 4711), address("127.0.0.1", 143)) == "PROXY TCP6 ::1 127.0.0.1 4711 143\r\n")
    }

    @Test func `version 1 knows nothing where a UNIX socket is involved`() {
        #expect(line(SocketAddress(.unix([])), socket) == "PROXY UNKNOWN\r\n")
        #expect(line(address("192.0.2.7", 1), socket) == "PROXY UNKNOWN\r\n")
    }

    /// The header without signature and checksum, which are checked.
    private func body(_ header: UpstreamProxyHeader) -> [UInt8] {
        let bytes = header.version2
        #expect(bytes.prefix(12) == Array("\r\n\r\n\0\r\nQUIT\n".utf8)[...])
        #expect(Int(bytes[14]) << 8 + Int(bytes[15]) == bytes.count - 16)
        #expect(bytes.dropLast(4).suffix(3) == [3, 0, 4])
        return Array(bytes[12..<14] + bytes[16...].dropLast(7))
    }

    private let mappedClient: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 7]
    private let loopback: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]

    @Test func `version 2 chooses the family both sides fit in`() {
        let ports: [UInt8] = [0x12, 0x67, 0, 143]
        let (v4, v6, local4, local6) =
            (address("192.0.2.7", 4711), address("::1", 4711), address("198.51.100.1", 143), address("::1", 143))
        let (mapped, localMapped) = (address("::ffff:192.0.2.7", 4711), address("::ffff:198.51.100.1", 143))
        let rows: [(SocketAddress, SocketAddress, [UInt8])] = [
            (v4, local4, [0x21, 0x11, 192, 0, 2, 7, 198, 51, 100, 1] + ports),
            (v6, local6, [0x21, 0x21] + loopback + loopback + ports),
            (v4, local6, [0x21, 0x21] + mappedClient + loopback + ports),
            (v6, local4, [0x21, 0x21] + loopback + mappedClient.dropLast(4) + [198, 51, 100, 1] + ports),
            (mapped, localMapped, [0x21, 0x11, 192, 0, 2, 7, 198, 51, 100, 1] + ports),
            (mapped, local6, [0x21, 0x21] + mappedClient + loopback + ports),
            (v4, socket, [0x20, 0x00]), (SocketAddress(.unix([])), socket, [0x20, 0x00]),
            (SocketAddress(.unix([])), local4, [0x20, 0x00]),
        ]
        for (client, local, expected) in rows {
            #expect(body(UpstreamProxyHeader(client: client, local: local)) == expected)
        }
    }

    private func encryption(_ change: (inout UpstreamProxyHeader.Encryption) -> Void) -> [UInt8] {
        var encryption = UpstreamProxyHeader.Encryption(
            version: Array("TLSv1.3".utf8), cipher: Array("C".utf8), signatureAlgorithm: Array("RSA-SHA256".utf8),
            key: Array("RSA2048".utf8))
        change(&encryption)
        let header = UpstreamProxyHeader(
            client: address("192.0.2.7", 4711), local: address("198.51.100.1", 143), encryption: encryption)
        return Array(body(header).dropFirst(14))
    }

    private func value(_ kind: UInt8, _ text: String) -> [UInt8] {
        [kind, 0, UInt8(text.utf8.count)] + Array(text.utf8)
    }

    @Test func `version 2 tells of TLS`() {
        let version = value(0x21, "TLSv1.3")
        let rest = value(0x23, "C") + value(0x24, "RSA-SHA256") + value(0x25, "RSA2048")
        func ssl(_ flags: UInt8, _ verified: UInt8, _ name: [UInt8]) -> [UInt8] {
            let details = [flags, 0, 0, 0, verified] + version + name + rest
            return [0x20, 0, UInt8(details.count)] + details
        }
        #expect(encryption { _ in } == ssl(0x01, 1, []))
        #expect(
            encryption {
                $0.serverName = Array("mail.example.com".utf8)
                $0.applicationProtocol = Array("imap".utf8)
            } == value(0x02, "mail.example.com") + value(0x01, "imap") + ssl(0x01, 1, []))
        #expect(
            encryption {
                $0.clientCertificate = .init(isOfThisConnection: true, verifyCode: 0, commonName: Array("bøb".utf8))
            } == ssl(0x07, 0, value(0x22, "bøb")))
        #expect(
            encryption {
                $0.clientCertificate = .init(isOfThisConnection: false, verifyCode: 18, commonName: nil)
            } == ssl(0x05, 18, []))
    }

    @Test func `a name that is too long is left out`() {
        let short = encryption {
            $0.clientCertificate = .init(isOfThisConnection: true, verifyCode: 0, commonName: nil)
        }
        let long = [UInt8](repeating: 0x61, count: 257)
        #expect(
            encryption {
                $0.clientCertificate = .init(isOfThisConnection: true, verifyCode: 0, commonName: long)
            } == short)
    }

    @Test func `a proxy behind understands both versions`() {
        let header = UpstreamProxyHeader(client: address("192.0.2.7", 4711), local: address("198.51.100.1", 143))
        for bytes in [header.version1, header.version2] {
            guard case .complete(let read) = ProxyHeader.read(bytes.span, isAll: false) else {
                Issue.record("not understood: \(bytes)")
                continue
            }
            #expect(read.length == bytes.count)
            #expect(read.facts?.sourceAddress == Array("192.0.2.7".utf8) && read.facts?.sourcePort == 4711)
            #expect(read.facts?.destinationAddress == Array("198.51.100.1".utf8) && read.facts?.destinationPort == 143)
        }
    }
}
