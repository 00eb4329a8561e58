package import ApusMail

/// Asks an HTTP service (auth-http.md): one request for each inquiry, on a kept connection where there is one.
package final class HTTPAuthProvider: AuthProvider {
    let requests: HTTPAuthRequest
    let verdicts: HTTPAuthVerdict
    let timeout: Duration
    let keptConnections: Int
    let pool: HTTPAuthPool

    /// - Parameters:
    ///   - requiresPassword: The protocol's server behind can only be reached with a password.
    ///   - pool: The worker's, shared by all its providers.
    package init(
        _ service: HTTPAuthService, settings: AuthHTTPSettings, requiresPassword: Bool, pool: HTTPAuthPool
    ) {
        var requests = HTTPAuthRequest(to: service)
        requests.addedLines = settings.addedLines
        requests.passesCertificate = settings.passesCertificate
        requests.keepsConnection = settings.keptConnections > 0
        self.requests = requests
        verdicts = HTTPAuthVerdict(service: service.name, requiresPassword: requiresPassword)
        timeout = settings.timeout
        keptConnections = settings.keptConnections
        self.pool = pool
    }

    /// The service verifies them.
    package var canVerifyDigests: Bool { true }

    package func decide(_ request: AuthRequest, answer: @escaping (Verdict) -> Void) -> any AuthInquiry {
        do throws(AuthFailure) {
            let bytes = try requests.bytes(asking: request)
            let inquiry = HTTPAuthInquiry(bytes, method: request.credentials.method, provider: self, answer: answer)
            inquiry.begin()
            return inquiry
        } catch {
            return SettledInquiry(.failed(error), loop: pool.loop, answer: answer)
        }
    }
}
