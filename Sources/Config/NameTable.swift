/// The host names of a configuration with what the system's resolver said of them: each is asked for once a load.
///
/// A reload is rehearsed in a process of its own, so that slow names stop nobody; the names it has resolved come along
/// for the load proper.
package final class NameTable {
    /// Addresses in their text form by name; an empty list for a name that does not exist.
    package private(set) var addresses: [String: [String]]
    /// The load serves to find errors only; what can be read but once must be left alone.
    package let isRehearsal: Bool
    /// The addresses, as text, of the listening sockets that a service manager has passed on, by the names it gave them;
    /// nil in a process that would not get them, such as a test of the configuration.
    package var sockets: [String: [String]]?
    /// Something was left alone: the load proper tells.
    package var isInconclusive = false

    package init(_ addresses: [String: [String]] = [:], isRehearsal: Bool = false) {
        (self.addresses, self.isRehearsal) = (addresses, isRehearsal)
    }

    /// The addresses of a name, from `resolve` where nobody has asked yet.
    package func addresses(of name: String, resolve: (String) -> [String]) -> [String] {
        if let known = addresses[name] { return known }
        let found = resolve(name)
        addresses[name] = found
        return found
    }
}
