import DNS

/// The resolvers of a worker: one for each `resolver` directive whose servers look names up.
final class ResolverList {
    private let parts: MailConfiguration.WorkerParts
    private var resolvers: [ObjectIdentifier: Resolver] = [:]

    init(_ parts: MailConfiguration.WorkerParts) { self.parts = parts }

    /// The resolver of one `server` block; shared by all that inherited the same directive.
    func resolver(for plan: ServerPlan) -> Resolver? {
        guard plan.declaration.usesClientHostName, let directive = plan.settings[ResolverSettings.self].resolver else {
            return nil
        }
        let key = ObjectIdentifier(directive)
        if let made = resolvers[key] { return made }
        let resolver = Resolver(directive, loop: parts.loop, log: parts.log, takeNumber: parts.takeNumber)
        resolvers[key] = resolver
        return resolver
    }
}
