import CLinux
import Glibc

/// Making processes and hearing of their end.
package enum Process {
    package enum Forked { case parent(child: CInt), child }

    /// How a child ended.
    package enum Ending: Equatable, Sendable {
        case exited(code: CInt), killed(signal: CInt, dumpedCore: Bool)
    }

    package static func fork() throws(SystemError) -> Forked {
        switch Glibc.fork() {
        case -1: throw .last("fork")
        case 0: return .child
        case let child: return .parent(child: child)
        }
    }

    /// One child that has ended since the last call; nil when there is none.
    package static func nextEnded() -> (process: CInt, ending: Ending)? {
        var status: CInt = 0
        while true {
            let process = waitpid(-1, &status, WNOHANG)
            if process < 0, errno == EINTR { continue }
            guard process > 0 else { return nil }
            if linux_wait_exited(status) != 0 { return (process, .exited(code: linux_wait_exit_code(status))) }
            return (process, .killed(signal: linux_wait_signal(status), dumpedCore: linux_wait_core(status) != 0))
        }
    }

    /// Opens /dev/null in the place of each closed one of the descriptors 0 to 2, so that nothing else gets their numbers.
    package static func fillStandardDescriptors() {
        while true {
            let number = linux_open("/dev/null", O_RDWR, 0)
            guard number >= 0, number <= 2 else {
                if number > 2 { _ = close(number) }
                return
            }
        }
    }

    /// Leaves the terminal: the caller's process waits to be told how the start went and ends with that status, its
    /// child goes on in a session of its own.
    package static func daemonise() throws(SystemError) -> DaemonStarter {
        var pipe: [CInt] = [-1, -1]
        guard linux_pipe(&pipe) == 0 else { throw .last("pipe") }
        if case .parent = try fork() {
            _ = close(pipe[1])
            Glibc._exit(waitForWord(pipe[0]))
        }
        _ = close(pipe[0])
        guard setsid() >= 0 else { throw .last("setsid") }
        umask(0)
        try replaceInputAndOutput()
        return DaemonStarter(owning: pipe[1])
    }

    /// Becomes another program.
    ///
    /// - Returns: Only when that failed: why.
    package static func execute(
        _ path: String, _ arguments: [String], _ variables: [(name: String, value: String)]
    ) -> SystemError {
        Signals.restoreDefaults()
        var texts: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.name)=\($0.value)") } + [nil]
        _ = execve(path, &texts, &environment)
        return .last("execve")
    }

    /// The exit status: 0 when the child said 1.
    private static func waitForWord(_ descriptor: CInt) -> CInt {
        guard descriptor >= 0 else { return 0 }
        var readiness = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&readiness, 1, -1) < 0, errno == EINTR {}
        var word: UInt8 = 0
        return read(descriptor, &word, 1) == 1 && word == 1 ? 0 : 1
    }

    private static func replaceInputAndOutput() throws(SystemError) {
        let null = linux_open("/dev/null", O_RDWR, 0)
        guard null >= 0 else { throw .last("open") }
        guard dup2(null, 0) >= 0 else { throw .last("dup2") }
        guard dup2(null, 1) >= 0 else { throw .last("dup2") }
        if null > 2 { _ = close(null) }
    }

    /// A pipe; both ends are non-blocking.
    package static func pipe() throws(SystemError) -> PipeEnds {
        var ends: [CInt] = [-1, -1]
        guard linux_pipe(&ends) == 0 else { throw .last("pipe") }
        return PipeEnds(output: FileDescriptor(owning: ends[0]), input: FileDescriptor(owning: ends[1]))
    }

    /// Sends a signal with a number along.
    package static func queue(_ signal: CInt, value: CInt, to process: CInt) throws(SystemError) {
        guard sigqueue(process, signal, sigval(sival_int: value)) == 0 else { throw .last("sigqueue") }
    }

    /// CPUs on line, at least one.
    package static var processorCount: Int { max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN))) }

    /// The soft and hard limit of open files.
    package static var openFileLimits: (soft: UInt, hard: UInt) {
        var (soft, hard): (UInt, UInt) = (0, 0)
        _ = linux_get_limit(CInt(RLIMIT_NOFILE.rawValue), &soft, &hard)
        return (soft, hard)
    }

    /// Sets soft and hard limit.
    package static func limitOpenFiles(to count: Int) throws(SystemError) {
        guard linux_set_limit(CInt(RLIMIT_NOFILE.rawValue), UInt(count)) == 0 else { throw .last("setrlimit") }
    }

    package static func limitCore(to byteCount: Int) throws(SystemError) {
        guard linux_set_limit(CInt(RLIMIT_CORE.rawValue), UInt(byteCount)) == 0 else { throw .last("setrlimit") }
    }

    /// This process and what it executes never get more privileges than they have, and have no capabilities from now on
    /// (capabilities(7)).
    package static func forgoPrivileges() throws(SystemError) {
        guard linux_forgo_privileges() == 0 else { throw .last("prctl") }
    }

    /// Its memory is nobody's business: no core file, and no other process of the same user may look at it.
    package static func hideMemory() { _ = linux_prctl(PR_SET_DUMPABLE, 0) }

    /// Stops until SIGCONT, so that a debugger can be attached.
    package static func stop() { _ = raise(SIGSTOP) }

    /// Ends with SIGABRT and, where the limit admits it, a core file.
    package static func abort() { Glibc.abort() }

    package static func setPriority(_ priority: Int) throws(SystemError) {
        guard linux_set_priority(CInt(clamping: priority)) == 0 else { throw .last("setpriority") }
    }

    /// - Parameter processors: One flag for each CPU, CPU 0 first.
    package static func bind(to processors: [Bool]) throws(SystemError) {
        let flags = processors.map { $0 ? UInt8(1) : 0 }
        guard linux_set_affinity(flags, CInt(flags.count)) == 0 else { throw .last("sched_setaffinity") }
    }

    /// A core file may be written although the user was changed.
    package static func allowCore() { _ = linux_prctl(PR_SET_DUMPABLE, 1) }

    /// The environment becomes these variables and nothing else.
    package static func replaceEnvironment(_ variables: [(name: String, value: String)]) {
        clearenv()
        for (name, value) in variables { setenv(name, value, 1) }
    }

    package static func environmentValue(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// `Linux 6.1.0`, as uname(2) tells it.
    package static var systemText: String {
        var name = utsname()
        guard uname(&name) == 0 else { return "unknown" }
        func text<Field>(_ field: Field) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return "\(text(name.sysname)) \(text(name.release))"
    }
}

/// The word to the command that has made a daemon and waits for it. When it goes away untold, the start has failed.
package final class DaemonStarter {
    private let pipe: CInt

    init(owning pipe: CInt) { self.pipe = pipe }

    deinit { _ = close(pipe) }

    package func tell(success: Bool) {
        var word: UInt8 = success ? 1 : 0
        _ = write(pipe, &word, 1)
    }
}

extension Process.Ending {
    /// `exited with code 1`, `was killed by signal 11`.
    package var phrase: String {
        switch self {
        case .exited(let code): "exited with code \(code)"
        case .killed(let signal, _): "was killed by signal \(signal)"
        }
    }
}

package struct PipeEnds: ~Copyable {
    /// Where one reads.
    package let output: FileDescriptor
    /// Where one writes.
    package let input: FileDescriptor
}
