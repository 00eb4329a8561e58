import CLinux
public import Glibc

/// The address of a socket: IPv4, IPv6 or UNIX.
@usableFromInline
package struct SocketAddress: Equatable, Hashable, Sendable {
    package enum Host: Equatable, Hashable, Sendable {
        /// Four bytes, network order.
        case ipv4([UInt8])
        /// Sixteen bytes, network order.
        case ipv6([UInt8])
        /// A path; empty for an unnamed peer.
        case unix([UInt8])

        /// The IPv4 address that an IPv6 address such as `::ffff:192.0.2.1` stands for; any other host as it is.
        package var unmapped: Host {
            guard case .ipv6(let bytes) = self, bytes.count == 16, bytes.starts(with: SocketAddress.mapping) else {
                return self
            }
            return .ipv4(Array(bytes[12...]))
        }
    }

    /// What an IPv4 address inside IPv6 begins with (RFC 4291 section 2.5.5.2).
    package static let mapping: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

    package var host: Host
    /// 0 for UNIX sockets.
    package var port: UInt16

    package init(_ host: Host, port: UInt16 = 0) { (self.host, self.port) = (host, port) }

    /// The address in the kernel's form; nil for a family that is none of ours or a length that cannot be.
    package init?(_ storage: sockaddr_storage, length: Int) {
        switch CInt(storage.ss_family) {
        case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
            self = withUnsafeBytes(of: storage) { bytes in
                let v4 = bytes.loadUnaligned(as: sockaddr_in.self)
                return SocketAddress(
                    .ipv4(withUnsafeBytes(of: v4.sin_addr) { Array($0) }), port: UInt16(bigEndian: v4.sin_port))
            }
        case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
            self = withUnsafeBytes(of: storage) { bytes in
                let v6 = bytes.loadUnaligned(as: sockaddr_in6.self)
                return SocketAddress(
                    .ipv6(withUnsafeBytes(of: v6.sin6_addr) { Array($0) }), port: UInt16(bigEndian: v6.sin6_port))
            }
        case AF_UNIX:
            self = withUnsafeBytes(of: storage) { bytes in
                let path = bytes[2..<max(2, min(length, bytes.count))]
                return SocketAddress(.unix(Array(path.prefix { $0 != 0 })))
            }
        default: return nil
        }
    }

    /// Calls `body` with the address in the kernel's form.
    @inlinable package func withKernelForm<Result>(_ body: (UnsafeRawPointer, UInt32) -> Result) -> Result {
        let (storage, length) = kernelForm
        return withUnsafeBytes(of: storage) { body($0.baseAddress!, length) }
    }

    @usableFromInline var kernelForm: (sockaddr_storage, length: UInt32) {
        var storage = sockaddr_storage()
        let length = withUnsafeMutableBytes(of: &storage) { bytes -> Int in
            switch host {
            case .ipv4(let address):
                var v4 = sockaddr_in()
                v4.sin_family = sa_family_t(AF_INET)
                v4.sin_port = port.bigEndian
                withUnsafeMutableBytes(of: &v4.sin_addr) { $0.copyBytes(from: address.prefix($0.count)) }
                bytes.storeBytes(of: v4, as: sockaddr_in.self)
                return MemoryLayout<sockaddr_in>.size
            case .ipv6(let address):
                var v6 = sockaddr_in6()
                v6.sin6_family = sa_family_t(AF_INET6)
                v6.sin6_port = port.bigEndian
                withUnsafeMutableBytes(of: &v6.sin6_addr) { $0.copyBytes(from: address.prefix($0.count)) }
                bytes.storeBytes(of: v6, as: sockaddr_in6.self)
                return MemoryLayout<sockaddr_in6>.size
            case .unix(let path):
                bytes.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
                let fitting = path.prefix(SocketAddress.longestUnixPath)
                UnsafeMutableRawBufferPointer(rebasing: bytes[2...]).copyBytes(from: fitting)
                return 2 + fitting.count + 1
            }
        }
        return (storage, UInt32(length))
    }

    /// The longest path of a UNIX socket, without its NUL.
    package static let longestUnixPath = 107

    package var family: CInt {
        switch host {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// The host without port and brackets: `192.0.2.1`, `2001:db8::1`; `unix:` and the path of UNIX sockets.
    package var hostText: String {
        switch host {
        case .ipv4(let address) where address.count == 4: Self.text(of: address, AF_INET)
        case .ipv6(let address) where address.count == 16: Self.text(of: address, AF_INET6)
        case .ipv4, .ipv6: "?"
        case .unix(let path): "unix:" + String(decoding: path, as: UTF8.self)
        }
    }

    /// `192.0.2.1:25`, `[2001:db8::1]:25`, `unix:/path`.
    package var text: String {
        switch host {
        case .ipv4: "\(hostText):\(port)"
        case .ipv6: "[\(hostText)]:\(port)"
        case .unix: hostText
        }
    }

    private static func text(of address: [UInt8], _ family: CInt) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { space in
            guard let start = space.baseAddress, inet_ntop(family, address, start, 64) != nil else { return "?" }
            return String(cString: start)
        }
    }

    /// `0.0.0.0` or `::`.
    package var isWildcard: Bool {
        switch host {
        case .ipv4(let address), .ipv6(let address): address.allSatisfy { $0 == 0 }
        case .unix: false
        }
    }

    /// What a host name stands for, by the system resolver, each address once. Blocks.
    package static func resolve(_ name: String) -> [Host] {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &list) == 0, let first = list else { return [] }
        defer { freeaddrinfo(first) }
        var hosts: [Host] = []
        var next: UnsafeMutablePointer<addrinfo>? = first
        while let entry = next {
            var storage = sockaddr_storage()
            let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            memcpy(&storage, entry.pointee.ai_addr, length)
            if let host = SocketAddress(storage, length: length)?.host, !hosts.contains(host) { hosts.append(host) }
            next = entry.pointee.ai_next
        }
        return hosts
    }
}
