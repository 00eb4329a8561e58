import ApusMail
import Auth
import EventLoop

/// The authentication providers of a worker, and what they share.
final class ProviderList {
    private let parts: MailConfiguration.WorkerParts
    private let pool: HTTPAuthPool

    init(_ parts: MailConfiguration.WorkerParts) {
        self.parts = parts
        pool = HTTPAuthPool(loop: parts.loop)
    }

    /// The provider of one `server` block.
    func provider(for plan: ServerPlan) -> any AuthProvider {
        switch plan.authentication {
        case .http(let service):
            HTTPAuthProvider(
                service, settings: plan.settings[AuthHTTPSettings.self],
                requiresPassword: plan.declaration.requiresPassword, pool: pool)
        case .passwdFile:
            fatalError()
        }
    }

    /// Closes what only waits for later use.
    func closeIdle() { pool.closeIdle() }
}
