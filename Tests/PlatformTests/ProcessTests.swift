import Glibc
import Platform
import Testing

@Suite struct `Processes that found a broken promise` {
    /// What becomes of a child that does this.
    private func status(flags: CInt = 0, of action: () -> Void) throws -> CInt {
        let child = Self.forked()
        if child == 0 {
            var none = rlimit(rlim_cur: 0, rlim_max: 0)
            setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
            action()
            _exit(7)
        }
        try #require(child > 0)
        var status: CInt = 0
        #expect(waitpid(child, &status, flags) == child)
        if status & 0xFF == 0x7F {
            kill(child, SIGCONT)
            var end: CInt = 0
            #expect(waitpid(child, &end, 0) == child)
            #expect(end == 7 << 8)
        }
        return status
    }

    private static func forked() -> pid_t { fork() }

    @Test func `stop, and go on when they are told to`() throws {
        #expect(try status(flags: WUNTRACED) { Process.stop() } == SIGSTOP << 8 | 0x7F)
    }

    @Test func `abort`() throws {
        #expect(try status { Process.abort() } & 0x7F == SIGABRT)
    }
}
