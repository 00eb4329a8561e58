import CLinux
import Glibc

/// The calls that make a listening socket, and read what an inherited one is.
package enum ListeningCalls {
    private static var multipathProtocol: CInt { 262 }

    /// A non-blocking stream socket that may be bound although old connections of its port linger.
    package static func socket(family: CInt, isMultipath: Bool) throws(SystemError) -> FileDescriptor {
        let number = linux_socket_stream(family, isMultipath && family != AF_UNIX ? multipathProtocol : 0)
        guard number >= 0 else { throw .last("socket") }
        let socket = FileDescriptor(owning: number)
        guard linux_setsockopt_int(number, SOL_SOCKET, SO_REUSEADDR, 1) == 0 else {
            throw .last("setsockopt(SO_REUSEADDR)")
        }
        return socket
    }

    /// Lets a second socket be bound to the same address.
    package static func sharePort(_ socket: CInt) {
        _ = linux_setsockopt_int(socket, SOL_SOCKET, SO_REUSEPORT, 1)
    }

    package static func setIPv6Only(_ socket: CInt, _ isOn: Bool) throws(SystemError) {
        guard linux_setsockopt_int(socket, CInt(IPPROTO_IPV6), IPV6_V6ONLY, isOn ? 1 : 0) == 0 else {
            throw .last("setsockopt")
        }
    }

    package static func bind(_ socket: CInt, to address: SocketAddress) throws(SystemError) {
        guard address.withKernelForm({ linux_bind(socket, $0, $1) }) == 0 else { throw .last("bind") }
    }

    package static func listen(_ socket: CInt, backlog: Int) throws(SystemError) {
        guard Glibc.listen(socket, CInt(clamping: backlog)) == 0 else { throw .last("listen") }
    }

    /// Options that accepted sockets inherit.
    package enum Option { case receiveBuffer, sendBuffer, keepAlive, keepIdle, keepInterval, keepCount }

    package static func set(_ option: Option, _ value: Int, on socket: CInt) throws(SystemError) {
        let (level, number) = option.kernelForm
        guard linux_setsockopt_int(socket, level, number, CInt(clamping: value)) == 0 else { throw .last("setsockopt") }
    }

    /// The address a socket is bound to; nil for a family that is none of ours.
    package static func address(of socket: CInt) throws(SystemError) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = UInt32(MemoryLayout<sockaddr_storage>.size)
        guard linux_getsockname(socket, &storage, &length) == 0 else { throw .last("getsockname") }
        return SocketAddress(storage, length: Int(length))
    }

    package static func isListeningStream(_ socket: CInt) -> Bool {
        var (type, listens): (CInt, CInt) = (0, 0)
        return linux_getsockopt_int(socket, SOL_SOCKET, SO_TYPE, &type) == 0 && type == CInt(SOCK_STREAM.rawValue)
            && linux_getsockopt_int(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens) == 0 && listens != 0
    }

    package static func isMultipath(_ socket: CInt) -> Bool {
        var number: CInt = 0
        return linux_getsockopt_int(socket, SOL_SOCKET, SO_PROTOCOL, &number) == 0 && number == multipathProtocol
    }

    /// A socket that came from another program: ours alone, and never waited for.
    package static func adopt(_ socket: CInt) {
        _ = linux_set_cloexec(socket, 1)
        _ = linux_set_nonblocking(socket)
    }
}

extension ListeningCalls.Option {
    package var name: String {
        switch self {
        case .receiveBuffer: "SO_RCVBUF"
        case .sendBuffer: "SO_SNDBUF"
        case .keepAlive: "SO_KEEPALIVE"
        case .keepIdle: "TCP_KEEPIDLE"
        case .keepInterval: "TCP_KEEPINTVL"
        case .keepCount: "TCP_KEEPCNT"
        }
    }

    fileprivate var kernelForm: (level: CInt, number: CInt) {
        let tcp = CInt(IPPROTO_TCP)
        return switch self {
        case .receiveBuffer: (SOL_SOCKET, SO_RCVBUF)
        case .sendBuffer: (SOL_SOCKET, SO_SNDBUF)
        case .keepAlive: (SOL_SOCKET, SO_KEEPALIVE)
        case .keepIdle: (tcp, 4)
        case .keepInterval: (tcp, 5)
        case .keepCount: (tcp, 6)
        }
    }
}
