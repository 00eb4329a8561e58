package import Config
package import Platform

// From an address as the configuration has it (`Config`) to one of the kernel's (`Platform`). It stands here because
// this is the first room that knows both, and the syslog target the first that needs it.

extension SocketAddress {
    /// An address from its text, without brackets and port: `192.0.2.1`, `2001:db8::1`.
    package init?(ip text: [UInt8], port: UInt16) {
        if let bytes = IPAddressText.ipv4(text.span) {
            self.init(.ipv4(bytes), port: port)
        } else if let bytes = IPAddressText.ipv6(text) {
            self.init(.ipv6(bytes), port: port)
        } else {
            return nil
        }
    }

    /// The addresses that `written` means, for each port of a range. A host name is resolved by the system, which
    /// blocks.
    ///
    /// - Parameter names: What is known of host names already.
    /// - Returns: At least one address.
    package static func resolve(
        _ written: AddressSyntax, defaultPort: UInt16, _ names: NameTable
    ) throws(AddressSyntax.Failure) -> [SocketAddress] {
        let hosts: [Host]
        switch written.host {
        case .unix(let path): return [SocketAddress(.unix(path))]
        case .any: hosts = [.ipv4([0, 0, 0, 0])]
        case .ipv4(let bytes): hosts = [.ipv4(bytes)]
        case .ipv6(let bytes): hosts = [.ipv6(bytes)]
        case .name(let name): hosts = resolve(name, names)
        }
        guard !hosts.isEmpty else { throw .hostNotFound }
        return (written.ports ?? defaultPort...defaultPort).flatMap { port in
            hosts.map { SocketAddress($0, port: port) }
        }
    }

    /// What a host name stands for, unless `names` knows it by the system's resolver, which blocks.
    package static func resolve(_ name: String, _ names: NameTable) -> [Host] {
        let texts = names.addresses(of: name) { name in
            resolve(name).map { SocketAddress($0, port: 0).hostText }
        }
        return texts.compactMap { SocketAddress(ip: Array($0.utf8), port: 0)?.host }
    }
}
