import EventLoop
import Observability
import Platform

/// A name server: the ways to it, made when they are first used.
final class NameServer {
    private let address: SocketAddress
    private let make: (_ isStream: Bool) -> Channel
    private lazy var datagrams = make(false)
    private lazy var stream = make(true)

    init(_ address: SocketAddress, _ make: @escaping (_ isStream: Bool) -> Channel) {
        (self.address, self.make) = (address, make)
    }

    var text: String { address.text }

    func ask(
        _ name: [UInt8], _ type: RecordType, overStream: Bool, answer: @escaping (Channel.Outcome) -> Void
    ) {
        (overStream ? stream : datagrams).ask(name, type, answer: answer)
    }
}

/// One question until it is answered: over UDP, over TCP when the answer was truncated, every 5 seconds to the next
/// server, for as long as somebody waits.
///
/// A server that cannot be reached, or answers with nonsense, is passed over at once; where no other is left, the
/// question rests until the next 5 seconds, or fails with what is wrong with the answers.
final class Exchange {
    static let retransmission = Duration.seconds(5)

    private let name: [UInt8]
    private let type: RecordType
    private let servers: [NameServer]
    private let loop: EventLoop
    private let log: Log
    /// nil once it was called.
    private var answer: ((Result<Answer, ResolverFailure>) -> Void)?
    private var server: Int
    /// Servers that failed since the last retransmission.
    private var failedCount = 0
    private var unusableCount = 0
    private var timer: TimerHandle?
    private var hasEnded: Bool { answer == nil }

    /// - Parameter server: The first to be asked.
    init(
        _ name: [UInt8], _ type: RecordType, servers: [NameServer], from server: Int, loop: EventLoop, log: Log,
        answer: @escaping (Result<Answer, ResolverFailure>) -> Void
    ) {
        (self.name, self.type, self.servers, self.server) = (name, type, servers, server)
        (self.loop, self.log, self.answer) = (loop, log, answer)
    }

    deinit { cancel() }

    /// May answer before it returns.
    func begin() { send() }

    /// What still comes is ignored.
    func cancel() {
        loop.cancel(&timer)
        answer = nil
    }

    private func send(overStream: Bool = false) {
        guard !hasEnded else { return }
        if timer == nil {
            timer = loop.schedule(after: Self.retransmission) { [weak self] in self?.sendAgain() }
        }
        let asked = server
        servers[asked].ask(name, type, overStream: overStream) { [weak self] outcome in
            self?.receive(outcome, from: asked, overStream: overStream)
        }
    }

    private func sendAgain() {
        timer = nil
        failedCount = 0
        server = (server + 1) % servers.count
        send()
    }

    private func receive(_ outcome: Channel.Outcome, from asked: Int, overStream: Bool) {
        guard !hasEnded else { return }
        switch outcome {
        case .silent: break
        case .lost: passOver(asked)
        case .impossible: finish(.failure(.notFound))
        case .answered(let bytes):
            switch AnswerReader.read(bytes.span, for: type, isStream: overStream) {
            case .answer(let answer): finish(.success(answer))
            case .failure(let failure): finish(.failure(failure))
            case .truncated: askOverStream(asked)
            case .unusable(let problem):
                report(problem, from: asked, overStream: overStream)
                unusableCount += 1
                guard unusableCount < servers.count else { return finish(.failure(problem.failure)) }
                passOver(asked)
            }
        }
    }

    private func askOverStream(_ asked: Int) {
        // The 5 seconds begin anew: the server is there.
        loop.cancel(&timer)
        server = asked
        send(overStream: true)
    }

    private func passOver(_ asked: Int) {
        failedCount += 1
        // Another server has been asked meanwhile, or none is left.
        guard asked == server, failedCount < servers.count else { return }
        loop.cancel(&timer)
        server = (server + 1) % servers.count
        send()
    }

    private func finish(_ result: Result<Answer, ResolverFailure>) {
        let answer = self.answer
        cancel()
        answer?(result)
    }

    private func report(_ problem: AnswerProblem, from asked: Int, overStream: Bool) {
        log.write(
            .error,
            {
                problem.append(to: &$0, overStream: overStream)
                guard case .formatError = problem else { return }
                $0.append(", name:\"")
                $0.append(escaped: self.name)
                $0.append("\"")
            }
        ) { $0.append(" while resolving, resolver: \(self.servers[asked].text)") }
    }
}

extension AnswerProblem {
    /// In nginx's words.
    func append(to line: inout LogLine, overStream: Bool) {
        switch self {
        case .short: line.append("short DNS response")
        case .questionCount: line.append("invalid number of questions in DNS response")
        case .compressedQuestion: line.append("unexpected compression pointer in DNS response")
        case .emptyQuestion: line.append("zero-length domain name in DNS response")
        case .invalidName: line.append("invalid name in DNS response")
        case .noAddress: line.append("no A or CNAME types in DNS response")
        case .noPTR: line.append("no PTR type in DNS response")
        case .flags(let flags):
            let digits = String(flags, radix: 16, uppercase: true)
            let padding = String(repeating: "0", count: 4 - digits.count)
            line.append("invalid \(overStream ? "TCP" : "UDP") DNS response fl:\(padding)\(digits)")
        case .formatError: line.append("DNS error (1: Format error)")
        case .unknownCode(let code): line.append("DNS error (\(code): Unknown error)")
        case .questionClass(let number): line.append("unknown query class \(number) in DNS response")
        case .questionType(let number): line.append("unknown query type \(number) in DNS response")
        case .recordClass(let number): line.append("unexpected RR class \(number) in DNS response")
        case .unexpected(let type): line.append("unexpected \(type == .a ? "A" : "AAAA") record in DNS response")
        case .invalid(let type): line.append("invalid \(type == .a ? "A" : "AAAA") record in DNS response")
        }
    }
}
