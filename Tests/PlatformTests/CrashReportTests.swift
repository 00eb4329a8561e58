import CLinux
import Glibc
import Platform
import Testing

@Suite struct `Crash reports` {
    /// The report of a child that does this, and the signal that it ended by.
    private func report(of action: (ProcessRow) -> Void) throws -> (text: String?, signal: CInt) {
        let row = try ProcessRow()
        let child = forked()
        if child == 0 {
            var none = rlimit(rlim_cur: 0, rlim_max: 0)
            setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
            row.takeCrashReport()
            action(row)
            _exit(7)
        }
        try #require(child > 0)
        var status: CInt = 0
        #expect(waitpid(child, &status, 0) == child)
        return (row.crashReport, status & 0x7F)
    }

    private func forked() -> pid_t { fork() }

    @Test func `of an overflow in Swift`() throws {
        let (text, signal) = try report { row in
            linux_note_activity(17, StaticString("relaying").pointer)
            row.beat = .max
            row.beat += 1
        }
        #expect(signal == SIGILL || signal == SIGTRAP)
        let words = try #require(text)
        #expect(words.hasPrefix("signal \(signal) (SIG"))
        #expect(words.contains(", in session *17 while relaying, frames "), "\(words)")
        #expect(words.split(separator: "frames ").last?.split(separator: " ").count ?? 0 > 1, "\(words)")
    }

    @Test func `of memory that is not there`() throws {
        let (text, signal) = try report { _ in
            UnsafeMutablePointer<UInt8>(bitPattern: 0x123)?.pointee = 1
        }
        #expect(signal == SIGSEGV)
        #expect(text?.hasPrefix("signal 11 (SIGSEGV), address 0x123, at ") == true, "\(text ?? "none")")
    }

    @Test func `of a stack that is used up`() throws {
        func deeper(_ depth: Int) -> Int {
            depth == .min
                ? 0
                : withUnsafeTemporaryAllocation(of: Int.self, capacity: 512) {
                    $0[depth & 511] = depth; return deeper(depth &+ 1) &+ $0[0]
                }
        }
        let (text, signal) = try report { _ in
            var small = rlimit(rlim_cur: 1 << 20, rlim_max: 1 << 20)
            setrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &small)
            _ = deeper(0)
        }
        #expect(signal == SIGSEGV)
        #expect(text?.hasPrefix("signal 11 (SIGSEGV), address 0x") == true, "\(text ?? "none")")
    }

    @Test func `of a signal that somebody sent`() throws {
        let (text, signal) = try report { _ in kill(getpid(), SIGBUS) }
        #expect(signal == SIGBUS)
        #expect(text?.contains("signal 7 (SIGBUS) sent by process ") == true, "\(text ?? "none")")
    }

    @Test func `of an activity that is no text`() throws {
        let (text, signal) = try report { row in
            linux_note_activity(3, UnsafePointer(bitPattern: 0x10))
            row.beat = .max
            row.beat += 1
        }
        #expect(signal != 0)
        #expect(text?.hasSuffix(", in session *3") == true, "\(text ?? "none")")
    }

    @Test func `none of a process that ends well`() throws {
        let (text, signal) = try report { $0.sessions = 3 }
        #expect(text == nil)
        #expect(signal == 0)
    }

    @Test func `are nothing that a child could use against its master`() throws {
        let row = try ProcessRow()
        let space = Mirror(reflecting: row).children.first { $0.label == "start" }?.value as? UnsafeMutableRawPointer
        let start = try #require(space)
        start.storeBytes(of: UInt32.max, toByteOffset: 64, as: UInt32.self)
        #expect(row.crashReport == nil)
        start.storeBytes(of: 3, toByteOffset: 64, as: UInt32.self)
        (start + 68).copyMemory(from: [0x0A, 0xFF, 0x41] as [UInt8], byteCount: 3)
        #expect(row.crashReport == "??A")
    }
}

extension StaticString {
    fileprivate var pointer: UnsafePointer<CChar> {
        UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
    }
}
