package import ApusMail
import Config

/// What an answer of the authentication service comes to (auth-http.md 3-5, decisions.md 10).
package struct HTTPAuthVerdict {
    /// The service's address, as log lines name it.
    package var service: [UInt8]
    /// The server behind can only be reached with a password.
    package var requiresPassword: Bool

    package init(service: [UInt8], requiresPassword: Bool) {
        (self.service, self.requiresPassword) = (service, requiresPassword)
    }

    /// The longest pause a service can ask for, and the shortest before it is asked again.
    private static let longestPause = 86_400
    private static let shortestRepetition = 1

    /// - Parameter method: What the service was asked about.
    package func verdict(on answer: HTTPAuthAnswer, method: AuthenticationMethod) -> Verdict {
        if let name = nameOfInvalidValue(in: answer) {
            return .failed(failure([.text(" sent control characters in "), .text(name)]))
        }
        let pause = answer.wait.map { min($0, Self.longestPause) } ?? 0
        if let message = answer.refusal {
            var refusal = Refusal(
                message: message, code: answer.errorCode,
                errorData: method.givesToken ? answer.errorData.flatMap { $0.isEmpty ? nil : $0 } : nil)
            // Not a reason to tell a client less than that it is refused.
            if refusal.hasCodeOfSuccess { refusal.code = nil }
            return .refused(refusal, delay: pause > 0 ? .seconds(pause) : nil, user: answer.user)
        }
        guard answer.status.isSuccess else { return failed(answer, statusParts(answer.status)) }
        if answer.saysWait { return .wait(.seconds(max(pause, Self.shortestRepetition)), user: answer.user) }
        guard answer.saysOK else { return failed(answer, [.text(" did not send Auth-Status")]) }
        return acceptance(answer, method)
    }

    private func acceptance(_ answer: HTTPAuthAnswer, _ method: AuthenticationMethod) -> Verdict {
        guard !answer.server.isEmpty, !answer.port.isEmpty else {
            return failed(answer, [.text(" did not send server or port")])
        }
        guard !requiresPassword || method.givesPassword || answer.password != nil else {
            return failed(answer, [.text(" did not send password")])
        }
        guard Self.isAddress(answer.server) else {
            return failed(
                answer, [.text(" sent invalid server address:\""), .bytes(answer.server), .text("\"")])
        }
        guard let port = answer.port.span.decimal(atMost: 65535), port > 0 else {
            return failed(answer, [.text(" sent invalid server port:\""), .bytes(answer.port), .text("\"")])
        }
        return .accepted(
            Acceptance(server: answer.server, port: answer.port, user: answer.user, password: answer.password))
    }

    /// The header that holds what could become a line of its own somewhere.
    private func nameOfInvalidValue(in answer: HTTPAuthAnswer) -> StaticString? {
        if let refusal = answer.refusal, refusal.span.hasControlCharacter { return "Auth-Status" }
        if let user = answer.user, user.span.hasControlCharacter { return "Auth-User" }
        if let password = answer.password, password.withBytes({ $0.hasControlCharacter }) { return "Auth-Pass" }
        if let code = answer.errorCode, code.span.hasControlCharacter { return "Auth-Error-Code" }
        if let data = answer.errorData, data.span.hasControlCharacter { return "Auth-Error-SASL" }
        return nil
    }

    private func statusParts(_ status: HTTPAuthAnswer.Status) -> [Secret.Part] {
        guard case .code(let code?) = status else { return [.text(" sent no HTTP status code")] }
        return [.text(" answered with HTTP status "), .bytes(Array(String(code).utf8))]
    }

    private static func isAddress(_ text: [UInt8]) -> Bool {
        IPAddressText.isIPv4(text.span) || IPAddressText.ipv6(text) != nil
    }

    private func failed(_ answer: HTTPAuthAnswer, _ parts: [Secret.Part]) -> Verdict {
        .failed(failure(parts, user: answer.user))
    }

    /// `auth http server A:P` and what it did.
    package func failure(_ parts: [Secret.Part], errno: Int32 = 0, user: [UInt8]? = nil) -> AuthFailure {
        AuthFailure([.text("auth http server "), .bytes(service)] + parts, errno: errno, user: user)
    }

    /// What the log says of an answer that cannot be read.
    package func failure(_ problem: HTTPAuthResponse.Problem) -> AuthFailure {
        switch problem {
        case .invalidStatusLine: failure([.text(" sent invalid response")])
        case .invalidHeader: failure([.text(" sent invalid header in response")])
        case .tooLong: failure([.text(" sent too long headers")])
        }
    }
}
