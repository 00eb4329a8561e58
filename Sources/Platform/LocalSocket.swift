import CLinux
import Glibc

/// A UNIX stream socket that only its owner and root may use.
package enum LocalSocket {
    /// Binds and listens; nobody else can connect at any moment. What a dead process has left at the path is replaced.
    package static func listen(at path: String) throws(SystemError) -> FileDescriptor {
        let socket = try ListeningCalls.socket(family: AF_UNIX, isMultipath: false)
        guard path.utf8.count < 108 else { throw SystemError(call: "bind", errno: ENAMETOOLONG) }
        let before = umask(0o177)
        defer { umask(before) }
        let address = SocketAddress(.unix(Array(path.utf8)), port: 0)
        do throws(SystemError) {
            try ListeningCalls.bind(socket.number, to: address)
        } catch {
            guard error.errno == EADDRINUSE, isAbandoned(path, address) else { throw error }
            unlink(path)
            try ListeningCalls.bind(socket.number, to: address)
        }
        try ListeningCalls.listen(socket.number, backlog: 64)
        return socket
    }

    /// A socket's file at which nobody listens.
    private static func isAbandoned(_ path: String, _ address: SocketAddress) -> Bool {
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFSOCK else { return false }
        let probe = FileDescriptor(owning: linux_socket_stream(AF_UNIX, 0))
        return address.withKernelForm { linux_connect(probe.number, $0, $1) } != 0 && errno == ECONNREFUSED
    }

    package static func connect(to path: String) throws(SystemError) -> FileDescriptor {
        let number = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        guard number >= 0 else { throw .last("socket") }
        let socket = FileDescriptor(owning: number)
        guard path.utf8.count < 108 else { throw SystemError(call: "connect", errno: ENAMETOOLONG) }
        let address = SocketAddress(.unix(Array(path.utf8)), port: 0)
        guard address.withKernelForm({ linux_connect(number, $0, $1) }) == 0 else { throw .last("connect") }
        return socket
    }

    /// One connection that waits; nil when there is none.
    package static func accept(_ socket: CInt) -> CInt? {
        let number = linux_accept4(socket, nil, nil)
        return number >= 0 ? number : nil
    }

    /// Who has connected; nil when the kernel does not know.
    package static func peerUser(_ socket: CInt) -> UInt32? {
        var user: UInt32 = 0
        return linux_peer_user(socket, &user) == 0 ? user : nil
    }
}
