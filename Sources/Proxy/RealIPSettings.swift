package import Config
import Observability
import Platform

/// Whose PROXY headers are believed.
package struct RealIPSettings: SettingsBlock {
    private var trusted: [PeerNetwork] = []

    package init() {}

    /// Whether what this peer says of its client's address holds. IPv4 addresses that come as IPv6 are IPv4.
    func trusts(_ peer: SocketAddress) -> Bool {
        let host = peer.host.unmapped
        return trusted.contains { $0.contains(host) }
    }

    package static var title: String { "Client addresses" }

    package static var directives: [Directive<RealIPSettings>] {
        [
            Directive(
                "set_real_ip_from", in: [.mail, .server], arguments: .exactly(1),
                placeholder: "address | CIDR | host | unix:", default: nil, repetition: .accumulates,
                """
                A load balancer, or a network of them, whose PROXY headers are believed (`listen ... proxy_protocol`): the \
                address and port a header gives as its source are the client's from then on, in logs, for the \
                authentication service and towards the server behind. Of other peers the header is read, but their own \
                address counts. An IPv4 entry matches IPv4 addresses inside IPv6 as well; `unix:` stands for all UNIX \
                sockets; every address of a host name is trusted. May be repeated; a `server` block with entries of its \
                own does not know those of `mail`.
                """
            ) { use throws(ConfigError) in
                let (networks, isFirst) = (try PeerNetwork.read(use), use.isFirst)
                return { $0.trusted = (isFirst ? [] : $0.trusted) + networks }
            }
        ]
    }
}
