package import Config
package import Platform

/// One address of a `listen` directive.
package struct ListenAddress: Equatable, Sendable {
    package var socket: ListenerRequest
    package var isTLS = false
    /// Connections begin with a header of the PROXY protocol.
    package var expectsProxyHeader = false
    /// It gets a socket of its own even beside a wildcard.
    package var bindsItself = false

    package init(address: SocketAddress) { socket = ListenerRequest(address: address) }

    package var address: SocketAddress {
        get { socket.address }
        set { socket.address = newValue }
    }

    /// As log lines and messages name it.
    package var text: String { address.text }
}

/// The `listen` directives of one `server` block.
package struct ListenSettings: SettingsBlock {
    package var addresses: [ListenAddress] = []
    /// The place of the last `listen ... ssl`.
    package var lastTLSPosition: Position?
    /// The first port of each `listen`, in order: what the protocol is deduced from.
    package var firstPorts: [UInt16] = []

    package init() {}

    package static var title: String { "Listening" }

    package static var directives: [Directive<ListenSettings>] {
        [
            Directive(
                "listen", in: .server, arguments: .atLeast(1),
                placeholder: """
                    address[:port] [ssl] [proxy_protocol] [backlog=number] [rcvbuf=size] [sndbuf=size] [bind] [ipv6only=on|off] \
                    [multipath] [so_keepalive=on|off|[idle]:[interval]:[count]]
                    """,
                default: nil, repetition: .accumulates,
                """
                An address to accept connections on: `143`, `*:143`, `192.0.2.1:143`, `[::]:143`, `mail.example.com:143` \
                (every address of the name), a range of ports as `192.0.2.1:8110-8119`, or `unix:/path`. `fd:imaps` is the socket (or \
                the sockets) that a service manager passes on under the name `imaps` (`FileDescriptorName=` of systemd); such a server \
                needs `protocol`. Ports 143 and 993 \
                make the server an IMAP server, 25, 465 and 587 an SMTP server, unless `protocol` says otherwise. With `ssl` connections begin with a TLS \
                handshake, whatever the port. With `proxy_protocol` they begin, before anything else, with a header of the \
                PROXY protocol, version 1 or 2, as load balancers send it; it is shown to the authentication service, and \
                counts as the client's address where `set_real_ip_from` trusts the sender. A server may listen on many addresses; no two may be the same.
                """
            ) { use throws(ConfigError) in
                var reader = ListenReader(use)
                let listed = try reader.read()
                return { settings in
                    settings.addresses += listed.addresses
                    if let port = listed.firstPort { settings.firstPorts.append(port) }
                    if listed.isTLS { settings.lastTLSPosition = listed.position }
                }
            }
        ]
    }
}
