/// Certificates, keys and lists read during one load of the configuration, each file once: `tls.md` 2.1.
///
/// Lives in the master as long as its configuration is in force, so that the next load can take unchanged objects over.
package final class TLSObjectCache {
    private enum Kind: Hashable { case chain, key, authorities, revocations }

    private struct Name: Hashable {
        let kind: Kind
        let source: ObjectSource
    }

    private struct Entry {
        let object: AnyObject
        /// Of the file as it was before it was read; nil for a text.
        let stamp: ObjectSource.Stamp?
        let isInheritable: Bool
        let isInherited: Bool
    }

    private var entries: [Name: Entry] = [:]
    private let running: [Name: Entry]

    /// - Parameter running: The cache of the running configuration, at a reload, if that one has
    ///   `ssl_object_cache_inheritable on`.
    package init(inheriting running: TLSObjectCache? = nil) { self.running = running?.entries ?? [:] }

    func chain(_ source: ObjectSource) throws(LoadFailure) -> CertificateChain {
        try object(Name(kind: .chain, source: source)) { () throws(LoadFailure) in try CertificateChain(source) }
    }

    func key(_ source: ObjectSource, passwords: PasswordList?) throws(LoadFailure) -> PrivateKey {
        try object(Name(kind: .key, source: source)) { () throws(LoadFailure) in
            try PrivateKey(source, passwords: passwords)
        }
    }

    func authorities(_ source: ObjectSource) throws(LoadFailure) -> CertificateChain {
        try object(Name(kind: .authorities, source: source)) { () throws(LoadFailure) in try CertificateChain(source) }
    }

    func revocations(_ source: ObjectSource) throws(LoadFailure) -> RevocationLists {
        try object(Name(kind: .revocations, source: source)) { () throws(LoadFailure) in try RevocationLists(source) }
    }

    /// Forgets a certificate and its key if one of them was taken over, so that both are read again.
    ///
    /// - Returns: Whether that was so.
    func forgetInherited(certificate: ObjectSource, key: ObjectSource) -> Bool {
        let names = [Name(kind: .chain, source: certificate), Name(kind: .key, source: key)]
        guard names.contains(where: { entries[$0]?.isInherited == true }) else { return false }
        for name in names { entries[name] = nil }
        rereads.formUnion(names)
        return true
    }

    /// What must not be taken over any more in this load.
    private var rereads: Set<Name> = []

    private func object<Object: AnyObject>(_ name: Name, _ load: () throws(LoadFailure) -> Object)
        throws(LoadFailure) -> Object
    {
        if let entry = entries[name], let object = entry.object as? Object { return object }
        let stamp = name.source.stamp
        if !rereads.contains(name), let entry = running[name], let object = entry.object as? Object,
            entry.isInheritable, isUnchanged(name.source, stamp, entry.stamp)
        {
            entries[name] = Entry(object: object, stamp: stamp, isInheritable: true, isInherited: true)
            return object
        }
        let object = try load()
        let isInheritable = (object as? PrivateKey)?.isInheritable ?? true
        entries[name] = Entry(object: object, stamp: stamp, isInheritable: isInheritable, isInherited: false)
        return object
    }

    /// A text is part of its name: the same name is the same text.
    private func isUnchanged(_ source: ObjectSource, _ now: ObjectSource.Stamp?, _ then: ObjectSource.Stamp?) -> Bool {
        if case .text = source { return true }
        return now != nil && now == then
    }
}
