import Config
import EventLoop
import Glibc
import Observability
import Platform

// The orders of the control socket. What takes time is answered when its outcome is known; an order that comes while the
// like is on its way belongs to the one that begins after it.
extension Master {
    /// Makes the socket of the configuration in force, or goes on with the one handed over.
    ///
    /// - Returns: What prevents it; nil also where the configuration does not insist on one.
    func openControl() -> String? {
        guard let path = current.controlPath else {
            closeControl(unlinking: true)
            return nil
        }
        if control?.path == path { return nil }
        closeControl(unlinking: true)
        if let handed = handedControl, handed.path == path {
            handedControl = nil
            adoptControl(handed.descriptor, path)
            return nil
        }
        do throws(SystemError) {
            adoptControl(try LocalSocket.listen(at: path).release(), path)
            return nil
        } catch {
            let text = "\(error.call)() to unix:\(path) failed \(error.suffix)"
            guard current.core.control == .builtIn else { return text }
            log.write(.notice, "\(text): there is no control socket")
            return nil
        }
    }

    private func adoptControl(_ descriptor: CInt, _ path: String) {
        guard let loop else { return }
        control = ControlSocket(owning: descriptor, path: path, loop) { [unowned self] in
            log
        } perform: { [unowned self] request, client in
            perform(request, client)
        }
    }

    func closeControl(unlinking: Bool) {
        guard let control else { return }
        control.close()
        if unlinking { unlink(control.path) }
        self.control = nil
    }

    private func perform(_ request: ControlRequest, _ client: ControlClient) {
        switch request.command {
        case .status: client.answer(.success(status))
        case .reopen:
            wishes.reopen = true
            client.answer(.success())
        case .quit:
            wishes.quit = true
            client.answer(.success())
        case .stop:
            wishes.terminate = true
            client.answer(.success())
        case .reload:
            if successor != nil { return client.answer(.failure("an upgrade is on its way")) }
            wishes.reconfigure = true
            if request.waits { waitingForReload.append(client) } else { client.answer(.success()) }
        case .upgrade:
            guard canChangeBinary, binaryTest == nil else {
                return client.answer(.failure("an upgrade is on its way"))
            }
            waitingForUpgrade.append(client)
            testBinary()
        }
    }

    private var status: [(name: String, value: JSONText)] {
        let workers = children.values.filter { $0.kind == .worker }.sorted { $0.process < $1.process }
        return [
            ("pid", .number(Int(getpid()))), ("program", .string(loader.installation.version)),
            ("generation", .number(current.number)),
            ("sessions", .number(sessionCount)), ("connections", .number(Int(clamping: serial.count))),
            ("uptime", .number(Int((MonotonicClock.milliseconds &- begun) / 1000))),
            ("reloading", .flag(rehearsal != nil || pending != nil)),
            ("successor", successor.map { .number(Int($0.process)) } ?? .null),
            ("predecessor", predecessor.flatMap { $0.isAlive ? .number(Int($0.process)) : nil } ?? .null),
            (
                "workers",
                .list(
                    workers.map {
                        .object([
                            ("pid", .number(Int($0.process))), ("generation", .number($0.generation.number)),
                            ("accepting", .flag($0.isAccepting && !$0.isLeaving)), ("leaving", .flag($0.isLeaving)),
                            ("sessions", .number($0.row.sessions)),
                        ])
                    })
            ), ("listening", .list(current.sockets.sockets.map { .string($0.text) })),
        ]
    }

    // MARK: Outcomes

    /// A reload begins: whoever waits for one waits for this one.
    func reloadBegins() {
        waitingForThisReload += waitingForReload
        waitingForReload = []
    }

    func answerReload(_ failure: String?) {
        let waiting = waitingForThisReload
        waitingForThisReload = []
        for client in waiting {
            client.answer(failure.map { .failure($0) } ?? .success([("generation", .number(current.number))]))
        }
    }

    /// Tells whoever has asked for the upgrade how it went.
    func answerUpgrade(_ failure: String?) {
        let waiting = waitingForUpgrade
        waitingForUpgrade = []
        for client in waiting {
            client.answer(
                failure.map { .failure($0) } ?? .success([("pid", .number(Int(successor?.process ?? 0)))]))
        }
    }

    // MARK: The new binary's test

    private static var timeToTest: Duration { .seconds(30) }

    /// Lets the new binary read the configuration (`-t`) before it is started in earnest.
    private func testBinary() {
        guard let loop else { return }
        do throws(SystemError) {
            let ends = try Process.pipe()
            let arguments = loader.installation.commandLine + ["-t", "-q"]
            switch try Process.fork() {
            case .child:
                _ = fcntl(ends.input.number, F_SETFL, 0)
                for number in [CInt(1), 2] { _ = dup2(ends.input.number, number) }
                var variables = current.environment()
                variables.append(("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
                let failure = Process.execute(arguments[0], arguments, variables)
                let text = Array("\(arguments[0]) cannot be executed \(failure.suffix)\n".utf8)
                _ = write(ends.input.number, text, text.count)
                Glibc._exit(1)
            case .parent(let process):
                let output = fcntl(ends.output.number, F_DUPFD_CLOEXEC, 3)
                binaryTest = try BinaryTest(process: process, reading: output, loop)
                binaryTest?.deadline = loop.schedule(after: Self.timeToTest) { [unowned self] in
                    binaryTest?.isLate = true
                    kill(process, SIGKILL)
                }
            }
        } catch {
            answerUpgrade("\(error.call)() failed \(error.suffix)")
        }
    }

    func binaryTestEnded(_ ending: Process.Ending) {
        guard let test = binaryTest else { return }
        loop?.cancel(&test.deadline)
        test.ready([.input])
        test.close()
        binaryTest = nil
        if ending == .exited(code: 0) {
            wishes.changeBinary = .whole
            return
        }
        let time = Self.timeToTest.components.seconds
        let reason = test.isLate ? "its test does not end within \(time) s" : "its test \(ending.phrase)"
        log.write(.error, "the new binary is not started: \(reason): \(test.text)")
        answerUpgrade("the new binary is not started: \(reason): \(test.text)")
    }
}

/// What a new binary says of the configuration.
final class BinaryTest: EventSource {
    private static var mostText: Int { 2000 }

    let process: CInt
    var deadline: TimerHandle?
    var isLate = false
    private let descriptor: CInt
    private unowned let loop: EventLoop
    private var registration = Registration.none
    private var output: [UInt8] = []

    init(process: CInt, reading descriptor: CInt, _ loop: EventLoop) throws(SystemError) {
        self.process = process
        self.descriptor = descriptor
        self.loop = loop
        registration = try loop.add(descriptor, .input, self)
    }

    /// What it has written, on one line.
    var text: String {
        let lines = output.prefix(Self.mostText).split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
        return lines.joined(separator: "; ")
    }

    func ready(_ events: Events) {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                // At the end; the process itself is reaped in a moment.
                if count == 0 { loop.remove(registration, descriptor) }
                if count == 0 { registration = .none }
                return
            }
            if output.count < Self.mostText { output += chunk[..<count] }
        }
    }

    func close() {
        loop.remove(registration, descriptor)
        _ = Glibc.close(descriptor)
    }

    func abandon() { _ = Glibc.close(descriptor) }
}
