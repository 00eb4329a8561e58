import Glibc
import Platform
import Testing

@Suite struct `Socket addresses` {
    private static let ipv6: [UInt8] = [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]

    @Test(
        arguments: [
            (SocketAddress(.ipv4([192, 0, 2, 1]), port: 25), "192.0.2.1:25"),
            (SocketAddress(.ipv6(ipv6), port: 143), "[2001:db8::1]:143"),
            (SocketAddress(.unix(Array("/run/x.sock".utf8))), "unix:/run/x.sock"),
        ])
    func `as text, and in the kernel's form and back`(address: SocketAddress, text: String) throws {
        #expect(address.text == text)
        let back = address.withKernelForm { bytes, length in
            var storage = sockaddr_storage()
            memcpy(&storage, bytes, Int(length))
            return SocketAddress(storage, length: Int(length))
        }
        #expect(back == address)
    }

    @Test func `names are resolved, each address once`() {
        let hosts = SocketAddress.resolve("localhost")
        #expect(hosts.contains(.ipv4([127, 0, 0, 1])) || hosts.contains(.ipv6([UInt8](repeating: 0, count: 15) + [1])))
        #expect(Set(hosts).count == hosts.count)
        #expect(SocketAddress.resolve("no such host").isEmpty)
    }
}
