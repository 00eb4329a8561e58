import Config
import EventLoop
import Glibc
import Observability
import Platform

/// A reload's first step: a child reads the new configuration, resolves its names and reads its files, so that neither a
/// slow name server nor a broken file stops the master's loop.
final class Rehearsal: EventSource {
    enum Outcome: Equatable {
        /// All is well, or cannot be told without harm; the names that were resolved.
        case passed(names: [String: [String]])
        case failed(ConfigError)
    }

    private static var largestReport: Int { 1 << 20 }
    private static var separator: UInt8 { 0 }

    let process: CInt
    private let pipe: FileDescriptor
    private unowned let loop: EventLoop
    private var registration = Registration.none
    private var report: [UInt8] = []
    private let finished: (Outcome) -> Void

    /// - Parameter finished: Called once, from the loop.
    init(
        process: CInt, reading pipe: CInt, _ loop: EventLoop, finished: @escaping (Outcome) -> Void
    ) throws(SystemError) {
        self.process = process
        self.pipe = FileDescriptor(owning: pipe)
        self.loop = loop
        self.finished = finished
        registration = try loop.add(self.pipe.number, .input, self)
    }

    /// Takes it out of the loop, unheard.
    func close() {
        loop.remove(registration, pipe.number)
        registration = .none
    }

    func ready(_ events: Events) {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(pipe.number, &chunk, chunk.count)
            if count > 0, report.count < Self.largestReport {
                report += chunk[..<count]
                continue
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return }
            close()
            return finished(Self.outcome(report))
        }
    }

    // MARK: The report

    /// Words, each followed by a NUL: `passed` and the names, each followed by its addresses in one word; or `failed`,
    /// level, message and hint.
    static func text(of outcome: Outcome) -> [UInt8] {
        var words: [String]
        switch outcome {
        case .passed(let names):
            words = ["passed"] + names.flatMap { [$0.key, $0.value.joined(separator: " ")] }
        case .failed(let error):
            words = ["failed", error.level == .critical ? "crit" : "emerg", error.message]
            if let hint = error.hint { words.append(hint) }
        }
        return words.flatMap { $0.utf8.filter { $0 != Self.separator } + [Self.separator] }
    }

    static func outcome(_ report: [UInt8]) -> Outcome {
        let words = report.split(separator: separator, omittingEmptySubsequences: false)
            .dropLast().map { String(decoding: $0, as: UTF8.self) }
        switch words.first {
        case "passed" where words.count % 2 == 1:
            var names: [String: [String]] = [:]
            for index in stride(from: 1, to: words.count, by: 2) {
                names[words[index]] = words[index + 1].split(separator: " ").map(String.init)
            }
            return .passed(names: names)
        case "failed" where words.count >= 3:
            return .failed(
                ConfigError(
                    words[2], level: words[1] == "crit" ? .critical : .emergency, hint: words.count > 3 ? words[3] : nil
                ))
        default: return .failed(ConfigError("the process that tests the new configuration has ended without a result"))
        }
    }
}

extension Master {
    /// How long names may take to resolve.
    private static var timeToRehearse: Duration { .seconds(60) }

    /// Begins a reload with its rehearsal.
    func rehearse() {
        log.write(.notice, "reconfiguring")
        reloadBegins()
        manager.reloading()
        do throws(SystemError) {
            try startRehearsal()
        } catch {
            log.write(.alert, errno: error.errno, "\(error.call)() failed, the configuration is loaded untested")
            reload(NameTable())
        }
    }

    private func startRehearsal() throws(SystemError) {
        guard let loop else { return }
        let ends = try Process.pipe()
        switch try Process.fork() {
        case .child:
            becomeChild(of: current, keepsSockets: false)
            _ = fcntl(ends.input.number, F_SETFL, 0)
            let report = Rehearsal.text(of: rehearsed())
            var rest = report[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { write(ends.input.number, $0.baseAddress, $0.count) }
                if count <= 0 { break }
                rest = rest.dropFirst(count)
            }
            Glibc._exit(0)
        case .parent(let process):
            rehearsal = try Rehearsal(process: process, reading: fcntl(ends.output.number, F_DUPFD_CLOEXEC, 3), loop) {
                [unowned self] outcome in
                wishes.rehearsed = outcome
            }
            rehearsalDeadline = loop.schedule(after: Self.timeToRehearse) { [unowned self] in
                let text = "the new configuration cannot be read within \(Self.timeToRehearse.components.seconds) s"
                wishes.rehearsed = .failed(ConfigError(text, hint: "does it name a host that cannot be resolved?"))
            }
        }
    }

    /// In the child.
    private func rehearsed() -> Rehearsal.Outcome {
        let names = NameTable(isRehearsal: true)
        do throws(ConfigError) {
            _ = try loader.read(log: LogRegistry(loader.environment).main, names: names)
        } catch  where !names.isInconclusive {
            return .failed(error)
        } catch {}
        return .passed(names: names.addresses)
    }

    func rehearsalEnded(_ outcome: Rehearsal.Outcome) {
        endRehearsal()
        switch outcome {
        case .passed(let names): reload(NameTable(names))
        case .failed(let error): loadingFailed(error)
        }
    }

    func endRehearsal() {
        loop?.cancel(&rehearsalDeadline)
        guard let ended = rehearsal else { return }
        ended.close()
        kill(ended.process, SIGKILL)
        rehearsal = nil
        endedRehearsals.insert(ended.process)
    }
}
