import ApusMail
import Glibc

/// One question to the service, and its answer.
final class SocketInquiry: AuthInquiry {
    private static let longestAnswer = 512

    private var answer: ((Verdict) -> Void)?
    private var socket: CInt = -1
    private var watch: (any Cancellable)?
    private var received: [UInt8] = []

    init(_ request: AuthRequest, _ path: String, _ loop: any WorkerLoop, _ answer: @escaping (Verdict) -> Void) {
        self.answer = answer
        if let verdict = ask(request.credentials, request.clientAddress, path, loop) {
            // Not from inside the question.
            loop.later { self.settle(verdict) }
        }
    }

    deinit { cancel() }

    /// - Returns: What needs no answer.
    private func ask(
        _ credentials: Credentials, _ address: [UInt8], _ path: String, _ loop: any WorkerLoop
    ) -> Verdict? {
        let isClean = credentials.password.withBytes { !$0.hasControlCharacter }
        guard credentials.method == .plain, isClean, !credentials.login.span.hasControlCharacter else {
            return .refused(Refusal(message: "Invalid login".bytes), delay: nil, user: nil)
        }
        guard connect(to: path) else {
            return .failed(AuthFailure("connect() to the authentication socket failed".bytes, errno: errno))
        }
        watch = loop.watch(socket, for: .input) { [weak self] _ in self?.read() }
        let question = Secret(joining: [
            .bytes(credentials.login), .text("\t"), .secret(credentials.password), .text("\t"), .bytes(address),
            .text("\n"),
        ])
        // So short a line fits into an empty socket.
        let sent = question.withBytes { line in
            line.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
        }
        guard sent == question.count, watch != nil else {
            return .failed(AuthFailure("send() to the authentication socket failed".bytes, errno: errno))
        }
        return nil
    }

    private func connect(to path: String) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { space in
            guard space.count > path.utf8.count else { return false }
            space.copyBytes(from: path.utf8)
            return true
        }
        socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard fits, socket >= 0 else { return false }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    private func read() {
        var space = [UInt8](repeating: 0, count: Self.longestAnswer)
        let count = Glibc.read(socket, &space, space.count)
        if count < 0 && errno == EAGAIN { return }
        received += space.prefix(max(count, 0))
        if let end = received.span.firstIndex(of: 0x0A) {
            settle(verdict(received.span.extracting(0..<end)))
        } else if count <= 0 || received.count >= Self.longestAnswer {
            settle(.failed(AuthFailure("the authentication socket gave no answer".bytes)))
        }
    }

    private func verdict(_ line: Span<UInt8>) -> Verdict {
        let words = line.bytes.split(separator: 0x20).map { Array($0) }
        if words.count == 3, line.starts(with: "OK ") {
            return .accepted(Acceptance(server: words[1], port: words[2]))
        }
        guard line.starts(with: "NO ") else {
            return .failed(AuthFailure("the authentication socket gave no valid answer".bytes))
        }
        // Whoever guesses passwords waits.
        return .refused(Refusal(message: line.extracting(3..<line.count).bytes), delay: .seconds(2), user: nil)
    }

    private func settle(_ verdict: Verdict) {
        let answer = self.answer
        cancel()
        answer?(verdict)
    }

    func cancel() {
        answer = nil
        watch?.cancel()
        watch = nil
        if socket >= 0 { _ = close(socket) }
        socket = -1
    }
}
