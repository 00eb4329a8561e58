import ApusMail
import Auth
import EventLoop
import Observability
import Platform

/// The authentication providers of a worker, and what they share.
final class ProviderList {
    private let parts: MailConfiguration.WorkerParts
    private let pool: HTTPAuthPool
    private var helpers: HashClient?

    init(_ parts: MailConfiguration.WorkerParts) {
        self.parts = parts
        pool = HTTPAuthPool(loop: parts.loop)
        guard let socket = parts.helperSocket else { return }
        do throws(SystemError) {
            helpers = try HashClient(owning: socket, loop: parts.loop)
        } catch {
            parts.log.write(.alert, errno: error.errno, "\(error.call)() failed")
        }
    }

    /// The provider of one `server` block.
    ///
    /// - Parameter fileNumber: By which the helpers know a password file.
    func provider(for plan: ServerPlan, fileNumber: (String) -> UInt32) -> any AuthProvider {
        switch plan.authentication {
        case .http(let service):
            return HTTPAuthProvider(
                service, settings: plan.settings[AuthHTTPSettings.self],
                requiresPassword: plan.declaration.requiresPassword, pool: pool)
        case .passwdFile(let path):
            guard let helpers else { return NoProvider(loop: parts.loop) }
            return PasswdFileProvider(
                file: fileNumber(path), settings: plan.settings[PasswdFileSettings.self],
                requiresPassword: plan.declaration.requiresPassword, client: helpers)
        case .declared(let declaration):
            let context = ProviderContext(
                protocolName: plan.declaration.name, requiresPassword: plan.declaration.requiresPassword,
                settings: plan.settings, loop: ProviderLoop(parts.loop))
            return GuardedProvider(
                declaration.makeProvider(context), name: declaration.directive,
                requiresPassword: context.requiresPassword, timeout: plan.settings[ServerSettings.self].timeout,
                loop: parts.loop)
        }
    }

    /// Asked before a connection to an authentication service is made.
    func ask(_ admits: @escaping () -> Bool) { pool.admits = admits }

    /// Closes what only waits for later use.
    func closeIdle() { pool.closeIdle() }

    /// The worker quits: nothing is kept for later any more.
    func stopKeeping() { pool.stopKeeping() }
}

/// Decides nothing: stands in where the way to the password helpers could not be opened.
private final class NoProvider: AuthProvider, AuthInquiry {
    private let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    var canVerifyDigests: Bool { false }

    func decide(_ request: AuthRequest, answer: @escaping (Verdict) -> Void) -> any AuthInquiry {
        loop.later { answer(.failed(AuthFailure(Array("password helpers cannot be reached".utf8)))) }
        return self
    }

    func cancel() {}
}
