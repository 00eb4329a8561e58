package import ApusMail
import EventLoop
import Platform

/// Asks the password helpers about the entries of a password file (decisions.md 14, 15).
package final class PasswdFileProvider: AuthProvider {
    private let client: HashClient
    private let file: UInt32
    private let server: SocketAddress?
    private let isRelay: Bool
    private let requiresPassword: Bool

    /// How long a refusal waits, as Dovecot does it.
    package static let refusalDelay = Duration.seconds(2)

    /// - Parameters:
    ///   - file: The file's place in the plan of the helpers.
    ///   - requiresPassword: The protocol's server behind can only be reached with a password.
    package init(
        file: UInt32, settings: PasswdFileSettings, requiresPassword: Bool, client: HashClient
    ) {
        (self.file, self.client, self.requiresPassword) = (file, client, requiresPassword)
        (server, isRelay) = (settings.server, settings.isRelay)
    }

    /// The file has entries in clear; false until a helper has said so.
    package var canVerifyDigests: Bool { client.hasPlainEntries(file) }

    package func decide(_ request: AuthRequest, answer: @escaping (Verdict) -> Void) -> any AuthInquiry {
        if let verdict = verdictAtOnce(request) {
            return SettledInquiry(verdict, loop: client.loop, answer: answer)
        }
        let credentials = request.credentials
        let question = HashRequest(
            id: 0, deadline: 0, file: file, method: credentials.method, login: credentials.login,
            password: credentials.password, salt: credentials.salt ?? [], clientAddress: request.clientAddress)
        let inquiry = PasswdInquiry(client, answer)
        do throws(HashClient.Refusal) {
            inquiry.id = try client.ask(question) { [weak inquiry, self] result in
                let method = credentials.method
                inquiry?.finish(result.map { verdict($0, method) })
            }
            return inquiry
        } catch {
            return SettledInquiry(.failed(error.failure), loop: client.loop, answer: answer)
        }
    }

    /// What needs no look into the file.
    private func verdictAtOnce(_ request: AuthRequest) -> Verdict? {
        let credentials = request.credentials
        switch credentials.method {
        case .none: return isRelay ? acceptance(HashAnswer.Accepted(), .none) : Self.refusal()
        case .xoauth2, .oauthbearer: return Self.refusal("Tokens are not supported, use a password.")
        case .external: return Self.isCertified(request) ? nil : Self.refusal()
        case .plain, .cramMD5, .apop:
            // Nobody has such a one, and it would not fit a request.
            let limit = HashRequest.longestField / 4
            let isPossible =
                credentials.login.count <= limit && credentials.password.count <= limit
                && (credentials.salt?.count ?? 0) <= limit
            return isPossible && !credentials.login.isEmpty ? nil : Self.refusal()
        }
    }

    /// A verified client certificate has the login as its common name.
    private static func isCertified(_ request: AuthRequest) -> Bool {
        guard let facts = request.encryption, facts.verification.elementsEqual("SUCCESS".utf8),
            let name = CertificateName.commonName(ofSubject: facts.subject.span)
        else { return false }
        return !name.isEmpty && name == request.credentials.login && name.count <= HashRequest.longestField / 4
    }

    private func verdict(_ decision: HashAnswer.Decision, _ method: AuthenticationMethod) -> Verdict {
        switch decision {
        case .refused(let hasDelay): Self.refusal(hasDelay: hasDelay)
        case .accepted(let accepted): acceptance(accepted, method)
        case .unavailable, .fileRead: .failed(HashClient.Refusal.unavailable.failure)
        }
    }

    private func acceptance(_ accepted: HashAnswer.Accepted, _ method: AuthenticationMethod) -> Verdict {
        guard let host = accepted.host ?? server.map({ Array($0.hostText.utf8) }),
            let port = accepted.port ?? server?.port
        else {
            return .failed(
                AuthFailure(Array("no server behind for this user: neither host and port nor proxy_pass".utf8)))
        }
        let isPasswordKnown = method.givesPassword || method == .none || accepted.password != nil
        guard isPasswordKnown || !requiresPassword else {
            return .failed(AuthFailure(Array("no password for the server behind: this user's entry has no pass".utf8)))
        }
        return .accepted(
            Acceptance(
                server: host, port: Array(String(port).utf8), user: accepted.user, password: accepted.password))
    }

    /// Without a delay the session ends: guessing takes a connection for each attempt, or two seconds.
    private static func refusal(_ text: String = "Authentication failed.", hasDelay: Bool = true) -> Verdict {
        .refused(Refusal(message: Array(text.utf8)), delay: hasDelay ? refusalDelay : nil, user: nil)
    }
}

/// A question to the helpers.
private final class PasswdInquiry: AuthInquiry {
    var id: UInt64?
    private let client: HashClient
    private var answer: ((Verdict) -> Void)?

    init(_ client: HashClient, _ answer: @escaping (Verdict) -> Void) { (self.client, self.answer) = (client, answer) }

    deinit { cancel() }

    func finish(_ result: Result<Verdict, HashClient.Refusal>) {
        id = nil
        let answer = self.answer
        self.answer = nil
        switch result {
        case .success(let verdict): answer?(verdict)
        case .failure(let refusal): answer?(.failed(refusal.failure))
        }
    }

    func cancel() {
        answer = nil
        if let id { client.forget(id) }
        id = nil
    }
}

extension HashClient.Refusal {
    /// What the log says.
    var failure: AuthFailure {
        let text: StaticString =
            switch self {
            case .tooMany: "too many password checks are waiting"
            case .tooManyFromNetwork: "too many password checks are waiting for the client's network"
            case .timedOut: "password helper timed out"
            case .noHelper: "no password helper"
            case .unavailable: "password file is not available"
            }
        return AuthFailure(text.bytes)
    }
}
