/// How a directive comes over from a configuration of nginx (`--from-nginx`).
package enum Transfer: Equatable, Sendable {
    case asWritten
    /// The first argument names a file to read. A relative name starts at the configuration's directory, which becomes
    /// another one.
    case readsFile
    /// The first argument names a file to write. A relative name starts at the prefix. Where it stands in the main block, and
    /// nginx goes on beside Apus, the file stays nginx's, and the default takes its place.
    case writesFile
    /// There is no use for it, for this reason.
    case leftOut(String)
}

extension Directive {
    package func transferred(_ transfer: Transfer) -> Directive {
        var directive = self
        directive.transfer = transfer
        return directive
    }
}
