import ApusMail
import Glibc

/// A provider that answers in all the ways it must not. The first password it is asked about is wrong, where that matters.
enum Unreliable {
    static var declaration: AuthProviderDeclaration {
        AuthProviderDeclaration(
            directive: "auth_unreliable", directives: AnyDirective.all(of: UnreliableSettings.self),
            makeProvider: { UnreliableProvider($0) })
    }
}

struct UnreliableSettings: SettingsBlock {
    var fault = ""
    var port = ""
    static var title: String { "Unreliable authentication" }
    static var directives: [Directive<UnreliableSettings>] {
        [
            Directive(
                "auth_unreliable", in: [.mail, .server], \.fault, .string("fault"), "What the provider does wrong."),
            Directive("auth_unreliable_port", in: [.mail, .server], \.port, .string("port"), "Where the mail is."),
        ]
    }
}

final class UnreliableProvider: AuthProvider {
    private let fault: String
    private let port: [UInt8]
    private let loop: any WorkerLoop

    init(_ context: ProviderContext) {
        let settings = context.settings[UnreliableSettings.self]
        (fault, port, loop) = (settings.fault, settings.port.bytes, context.loop)
    }

    var canVerifyDigests: Bool { false }

    private func acceptance(server: String = "127.0.0.1", port: [UInt8]? = nil, user: String? = nil) -> Verdict {
        .accepted(Acceptance(server: server.bytes, port: port ?? self.port, user: user?.bytes))
    }

    private func refusal(
        _ text: String, delay: Duration? = .milliseconds(50), user: String? = nil, code: String? = nil,
        errorData: String? = nil
    ) -> Verdict {
        .refused(
            Refusal(message: text.bytes, code: code?.bytes, errorData: errorData?.bytes), delay: delay,
            user: user?.bytes)
    }

    func decide(_ request: AuthRequest, answer: @escaping (Verdict) -> Void) -> any AuthInquiry {
        let question = Question()
        switch fault {
        case "answers twice":
            // Wrong, and then right after all, when the client has already tried again.
            guard request.loginAttempt == 1 else {
                _ = loop.schedule(after: .milliseconds(900)) { answer(self.refusal("wrong again", delay: nil)) }
                break
            }
            loop.later { answer(self.refusal("wrong", delay: .milliseconds(1))) }
            _ = loop.schedule(after: .milliseconds(300)) { answer(self.acceptance()) }
        case "answers at once":
            answer(acceptance())
        case "answers at once, and again":
            answer(refusal("wrong"))
            answer(acceptance())
            answer(acceptance())
        case "never answers": break
        case "answers the dead":
            question.cancelled = { answer(self.acceptance()) }
            _ = loop.schedule(after: .milliseconds(1500)) { answer(self.acceptance()) }
        case "two lines": later(refusal("no\r\n* BYE"), answer)
        case "two lines of a name": later(acceptance(user: "bob\r\nDELETE"), answer)
        case "two lines of a password":
            later(
                .accepted(
                    Acceptance(server: "127.0.0.1".bytes, port: port, password: Secret("a\r\nDELETE".bytes))), answer)
        case "two lines in the log": later(refusal("no", user: "bob\nroot"), answer)
        case "no address": later(acceptance(server: "mail.example.com"), answer)
        case "port 0": later(acceptance(port: "0".bytes), answer)
        case "port 65536": later(acceptance(port: "65536".bytes), answer)
        case "negative delay": later(refusal("no", delay: .seconds(-3)), answer)
        case "endless delay": later(refusal("no", delay: .seconds(Int64.max) * 10), answer)
        case "code of success": later(refusal("no", code: "235 2.7.0"), answer)
        case "two lines of a code": later(refusal("no", code: "535\r\n235"), answer)
        case "two lines of error data": later(refusal("no", errorData: "e30=\r\nx"), answer)
        case "two lines of who waits": later(.wait(.milliseconds(20), user: "bob\nroot".bytes), answer)
        case "is to be asked again at once": _ = loop.schedule(after: .zero) { answer(.wait(.zero, user: nil)) }
        case "sets a timer that sets itself anew":
            question.again = { [loop] in _ = loop.schedule(after: .zero) { question.again?() } }
            question.again?()
        case "cancels what it cancels": cancelTwice(answer)
        case "closes what it watches": closeWatched(answer)
        case "waits for ever": later(.wait(.milliseconds(20), user: nil), answer)
        case "fails": later(.failed(AuthFailure("two\nlines".bytes)), answer)
        case "uses the loop": useLoop(answer)
        default: later(acceptance(), answer)
        }
        return question
    }

    private func later(_ verdict: Verdict, _ answer: @escaping (Verdict) -> Void) { loop.later { answer(verdict) } }

    /// What goes away with a timer, and with a watch, cancels them once more.
    private func cancelTwice(_ answer: @escaping (Verdict) -> Void) {
        let timers = Attempt()
        timers.held = loop.schedule(after: .seconds(60)) { timers.end() }
        let timer = timers.held
        let watches = Attempt()
        var pair: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair) == 0 else { return }
        watches.held = loop.watch(pair[0], for: .input) { _ in watches.end() }
        let watch = watches.held
        // The closures are the only ones that hold them now.
        _ = loop.schedule(after: .milliseconds(50)) { [pair] in
            timer?.cancel()
            watch?.cancel()
            for descriptor in pair { _ = close(descriptor) }
            answer(self.acceptance())
        }
    }

    /// A descriptor is closed while it is watched, against the rules; somebody else's has its number when the watch ends.
    private func closeWatched(_ answer: @escaping (Verdict) -> Void) {
        var pair: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair) == 0 else { return }
        let watch = loop.watch(pair[0], for: .input) { _ in }
        for descriptor in pair { _ = close(descriptor) }
        _ = loop.schedule(after: .seconds(1)) { [pair] in
            let isUsedAgain = fcntl(pair[0], F_GETFD) >= 0
            watch?.cancel()
            answer(self.refusal(isUsedAgain ? "no" : "nobody has come", delay: nil))
        }
    }

    /// A timer that is cancelled, one that is not, and a socket pair that becomes writable and readable; a descriptor that is
    /// none cannot be watched.
    private func useLoop(_ answer: @escaping (Verdict) -> Void) {
        guard loop.watch(-1, for: .input, { _ in }) == nil else { return answer(refusal("watched nothing")) }
        let began = loop.now
        loop.schedule(after: .milliseconds(10)) { answer(self.refusal("not cancelled")) }.cancel()
        var pair: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair) == 0 else { return }
        let (one, other) = (pair[0], pair[1])
        var watches: [any Cancellable] = []
        let end = { (verdict: Verdict) in
            for watch in watches { watch.cancel() }
            watches = []
            _ = close(one)
            _ = close(other)
            answer(verdict)
        }
        _ = loop.schedule(after: .milliseconds(50)) {
            watches.append(
                self.loop.watch(one, for: .output) { readiness in
                    guard readiness.contains(.output) else { return }
                    watches[0].cancel()
                    _ = write(one, "x", 1)
                }!)
            watches.append(
                self.loop.watch(other, for: .input) { readiness in
                    let waited = self.loop.now - began
                    end(readiness == .input && waited >= 50 ? self.acceptance() : self.refusal("wrong readiness"))
                }!)
        }
    }
}

private final class Attempt {
    var held: (any Cancellable)?
    func end() { held?.cancel() }
    deinit { held?.cancel() }
}

private final class Question: AuthInquiry {
    var cancelled: (() -> Void)?
    var again: (() -> Void)?
    func cancel() {
        again = nil
        cancelled?()
    }
}
