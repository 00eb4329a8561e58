import Config
import Platform

/// One socket to be opened, and which `server` block a connection on it belongs to.
package struct ListenerPlan {
    /// A `listen` address and its `server` block, by position.
    package struct Entry {
        package let listen: ListenAddress
        package let server: Int
        let text: [UInt8]
    }

    /// The address that is bound.
    package let bound: ListenAddress
    /// The entry whose address was bound.
    let main: Entry
    /// Specific addresses that share a wildcard's socket; a connection is matched by its local address.
    let specific: [Entry]

    /// The sockets for all `listen` directives (mail-directives 3.5): beside a wildcard on the same port only those
    /// addresses that ask for it are bound themselves.
    package static func plans(for listens: [(ListenAddress, server: Int)]) -> [ListenerPlan] {
        let entries = listens.map { Entry(listen: $0.0, server: $0.server, text: Array($0.0.text.utf8)) }
        return entries.compactMap { entry in
            let group = entries.filter { entry.shares($0) }
            if entry.isAnyPort || entry.listen.address.isWildcard {
                let unbound = group.filter { !$0.listen.address.isWildcard && !$0.listen.bindsItself }
                return ListenerPlan(bound: entry.listen, main: entry, specific: entry.isAnyPort ? [] : unbound)
            }
            let hasWildcard = group.contains { $0.listen.address.isWildcard }
            guard !hasWildcard || entry.listen.bindsItself else { return nil }
            return ListenerPlan(bound: entry.listen, main: entry, specific: [])
        }
    }
}

extension ListenerPlan.Entry {
    fileprivate var isAnyPort: Bool { listen.address.port == 0 }

    /// Same family and port.
    fileprivate func shares(_ other: ListenerPlan.Entry) -> Bool {
        let family = listen.address.family
        return family != SocketAddress(.unix([])).family && family == other.listen.address.family
            && listen.address.port == other.listen.address.port
    }
}
