import CLinux
import Glibc

/// Datagram sockets that send to one address.
package enum DatagramSocket {
    /// A connected, non-blocking datagram socket; the caller owns it.
    package static func connect(to address: SocketAddress) -> Result<CInt, SystemError> {
        let number = linux_socket_datagram(address.family)
        guard number >= 0 else { return .failure(.last("socket")) }
        let result = address.withKernelForm { linux_connect(number, $0, $1) }
        guard result == 0 else {
            let error = SystemError.last("connect")
            _ = close(number)
            return .failure(error)
        }
        return .success(number)
    }
}
