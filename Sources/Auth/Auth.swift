// Auth decides whether credentials are good. Each provider answers one `Verdict`: an HTTP service (nginx's `auth_http`
// contract) or a password file, whose hashes helper processes compute. The worker makes one provider for each `server`
// block; a session asks it and hears once. Protocols' wording, and what a verdict means for a session, are not known
// here. Whatever comes from outside (answers of the service, the file, datagrams) is read by pure parsers with limits.

import ApusMail
import EventLoop

/// An inquiry that is answered at the end of this turn, because there was nothing to wait for.
final class SettledInquiry: AuthInquiry {
    private var answer: ((Verdict) -> Void)?

    init(_ verdict: Verdict, loop: EventLoop, answer: @escaping (Verdict) -> Void) {
        self.answer = answer
        loop.later { [self] in
            let answer = self.answer
            self.answer = nil
            answer?(verdict)
        }
    }

    func cancel() { answer = nil }
}

extension AuthFailure {
    /// A failure told by parts of text and bytes.
    init(_ parts: [Secret.Part], errno: Int32 = 0, level: Level = .error, user: [UInt8]? = nil) {
        self.init(Secret(joining: parts).withBytes { $0.bytes }, errno: errno, level: level, user: user)
    }
}
