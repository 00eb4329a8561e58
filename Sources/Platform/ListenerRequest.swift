/// A socket to listen on, and what the kernel is told about it.
package struct ListenerRequest: Equatable, Sendable {
    /// Probing of silent peers, as the accepted sockets inherit it.
    package enum KeepAlive: Equatable, Sendable {
        case systemDefault, off
        /// Seconds, seconds, probes; nil for the system's own.
        case on(idle: Int?, interval: Int?, count: Int?)
    }

    package var address: SocketAddress
    package var backlog = 511
    package var receiveBuffer: Int?
    package var sendBuffer: Int?
    package var isIPv6Only = true
    package var keepAlive = KeepAlive.systemDefault
    package var isMultipath = false

    package init(address: SocketAddress) { self.address = address }

    /// The address as messages name it: `0.0.0.0:143`.
    package var text: String { address.text }
}
