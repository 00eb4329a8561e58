package import Platform

/// Where the authentication service is, and how it is asked: what `auth_http` and its companions say.
package struct HTTPAuthService: Equatable, Sendable {
    package var address: SocketAddress
    /// The value of `Host`: without the port, `localhost` for UNIX sockets.
    package var host: [UInt8]
    package var uri: [UInt8]

    package init(address: SocketAddress, host: [UInt8], uri: [UInt8] = [0x2F]) {
        (self.address, self.host, self.uri) = (address, host, uri)
    }

    /// The address as log lines name it: `127.0.0.1:8080`.
    package var name: [UInt8] { Array(address.text.utf8) }
}
