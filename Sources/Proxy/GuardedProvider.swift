import ApusMail
import EventLoop
import Platform

/// Holds a provider of another package to its promises: it answers in time, once, not from inside the question, not after
/// nobody wants to know any more, and nothing that may not go on to a client or a server behind.
final class GuardedProvider: AuthProvider {
    private let provider: any AuthProvider
    private let name: String
    private let requiresPassword: Bool
    private let timeout: Duration
    private let loop: EventLoop

    /// As with `auth_http` (auth-http.md 5).
    private static var longestDelay: Duration { .seconds(86_400) }
    /// A provider that answers at once that it is to be asked again does not keep the worker busy.
    private static var shortestRepetition: Duration { .milliseconds(100) }

    /// - Parameters:
    ///   - name: For the log: its directive.
    ///   - timeout: How long it may take.
    init(_ provider: any AuthProvider, name: String, requiresPassword: Bool, timeout: Duration, loop: EventLoop) {
        self.provider = provider
        self.name = name
        self.requiresPassword = requiresPassword
        self.timeout = timeout
        self.loop = loop
    }

    var canVerifyDigests: Bool { provider.canVerifyDigests }

    func decide(_ request: AuthRequest, answer: @escaping (Verdict) -> Void) -> any AuthInquiry {
        let method = request.credentials.method
        let inquiry = GuardedInquiry(loop) { [self] verdict in answer(checked(verdict, method)) }
        inquiry.begin(timeout, failing: failure("did not answer in time")) { answer in
            provider.decide(request, answer: answer)
        }
        return inquiry
    }

    private func checked(_ verdict: Verdict, _ method: AuthenticationMethod) -> Verdict {
        switch verdict {
        case .accepted(let acceptance): problem(of: acceptance, method).map { failure($0) } ?? verdict
        case .refused(let refusal, let delay, let user):
            if let problem = Self.problem(of: refusal, user) {
                failure(problem)
            } else {
                .refused(refusal, delay: delay.map { min($0, Self.longestDelay) }, user: user)
            }
        case .wait(let delay, let user):
            Self.isClean([user])
                ? .wait(max(delay, Self.shortestRepetition), user: user) : failure(Self.controlCharacters)
        case .failed: verdict
        }
    }

    private static let controlCharacters = "answered with control characters"

    private static func problem(of refusal: Refusal, _ user: [UInt8]?) -> String? {
        guard isClean([refusal.message, refusal.code, refusal.errorData, user]) else { return controlCharacters }
        return refusal.hasCodeOfSuccess ? "refused with a reply code that does not begin with 4 or 5" : nil
    }

    private func problem(of acceptance: Acceptance, _ method: AuthenticationMethod) -> String? {
        let isClean = acceptance.password?.withBytes { !$0.hasControlCharacter } ?? true
        guard isClean, Self.isClean([acceptance.user]) else { return Self.controlCharacters }
        if requiresPassword, acceptance.password == nil, !method.givesPassword { return "gave no password" }
        return SocketAddress(ofServer: acceptance) == nil ? "gave no valid address" : nil
    }

    private static func isClean(_ texts: [[UInt8]?]) -> Bool {
        texts.allSatisfy { !($0?.span.hasControlCharacter ?? false) }
    }

    private func failure(_ text: String) -> Verdict {
        .failed(AuthFailure(Array("authentication provider \"\(name)\" \(text)".utf8)))
    }
}

/// A question to a provider that may forget its promises. The loop keeps it until it is answered or cancelled.
private final class GuardedInquiry: AuthInquiry {
    private let loop: EventLoop
    private var answer: ((Verdict) -> Void)?
    private var timer: TimerHandle?
    private var inquiry: (any AuthInquiry)?
    private var isAsking = true

    init(_ loop: EventLoop, _ answer: @escaping (Verdict) -> Void) { (self.loop, self.answer) = (loop, answer) }

    func begin(
        _ timeout: Duration, failing verdict: Verdict,
        _ ask: (@escaping (Verdict) -> Void) -> any AuthInquiry
    ) {
        timer = loop.schedule(after: timeout) { [self] in
            // Told last: it may answer from there, too.
            let inquiry = self.inquiry
            settle(verdict)
            inquiry?.cancel()
        }
        let inquiry = ask { [self] verdict in
            // From inside the question: the session is not ready to hear.
            if isAsking { loop.later { self.settle(verdict) } } else { settle(verdict) }
        }
        isAsking = false
        self.inquiry = inquiry
    }

    private func settle(_ verdict: Verdict) {
        guard let answer else { return }
        self.answer = nil
        end()
        answer(verdict)
    }

    func cancel() {
        answer = nil
        inquiry?.cancel()
        end()
    }

    private func end() {
        // Taken out first: the inquiry may cancel once more on its way.
        let (timer, inquiry) = (self.timer.take(), self.inquiry.take())
        if let timer { loop.cancel(timer) }
        withExtendedLifetime(inquiry) {}
    }
}
