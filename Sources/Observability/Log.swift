import Glibc

/// One list of `error_log` lines as a process uses it.
///
/// Composing a line costs something: ask ``admits(_:)`` first where the message is made of much.
package final class Log {
    struct Entry {
        let target: LogTarget
        let level: LogLevel
        /// Shared by all copies of the entry.
        var limit: RateLimit?
    }

    /// The most verbose level of the list.
    @usableFromInline package let verbosity: LogLevel
    private let entries: [Entry]
    private let environment: LogEnvironment

    /// - Parameter entries: In the order of the configuration.
    init(_ entries: [Entry], _ environment: LogEnvironment) {
        // Most verbose first; the sort of the standard library is stable, as logging.md 3.3 wants it.
        self.entries = entries.sorted { $0.level > $1.level }
        self.environment = environment
        verbosity = self.entries.first?.level ?? .emergency
    }

    /// A log that goes nowhere, for tests.
    package static func silent() -> Log { Log([], LogEnvironment()) }

    /// The clock that stamps the lines.
    package var clock: WallClock { environment.clock }

    /// Whether a message of this level goes anywhere.
    @inlinable package func admits(_ level: LogLevel) -> Bool { level.rawValue <= verbosity.rawValue }

    /// Writes one line: `TIME [LEVEL] PID#TID: *CONNECTION TEXT (ERRNO: ...)CONTEXT`.
    ///
    /// - Parameters:
    ///   - connection: The number of the connection it belongs to; 0 for none.
    ///   - errno: The system's error number; 0 for none.
    package func write(
        _ level: LogLevel, connection: UInt64 = 0, errno: CInt = 0, _ message: (inout LogLine) -> Void
    ) {
        write(level, connection: connection, errno: errno, message, context: { _ in })
    }

    /// As above, with what is appended to every message of a session; left out of debug messages.
    package func write(
        _ level: LogLevel, connection: UInt64 = 0, errno: CInt = 0, _ message: (inout LogLine) -> Void,
        context: (inout LogLine) -> Void
    ) {
        // Two functions, since an optional closure escapes, and would be allocated for each line.
        guard admits(level) else { return }
        environment.clock.tick()
        var line = beginLine(level)
        let textStart = line.count
        if connection != 0 {
            line.append("*")
            line.append(connection)
            line.append(" ")
        }
        message(&line)
        if errno != 0 { line.append(errno: errno) }
        if level != .debug { context(&line) }
        line.end()
        deliver(line, level, textStart: textStart)
    }

    /// Writes one line of plain text.
    package func write(_ level: LogLevel, errno: CInt = 0, _ text: @autoclosure () -> String) {
        guard admits(level) else { return }
        write(level, errno: errno, { $0.append(text()) })
    }

    /// Helps with the line before it, at level notice; at start-up it is shown beside what it helps with.
    package func hint(_ text: String) {
        write(.notice, text)
        guard environment.copiesToConsole else { return }
        let isShown = entries.contains { $0.target.isStandardError && .notice <= $0.level }
        if !isShown { Console.write("[notice] \(text)") }
    }

    /// The same targets, each taking every level: what `debug_connection` asks for.
    package func forcingDebug() -> Log {
        Log(entries.map { Entry(target: $0.target, level: .debug, limit: $0.limit) }, environment)
    }

    /// The first file of the list alone: where a worker says its last word.
    package func firstFileOnly() -> Log {
        Log(entries.filter { $0.target is LogFile }.prefix(1).map { $0 }, environment)
    }

    var firstFile: LogFile? {
        for entry in entries { if let file = entry.target as? LogFile { return file } }
        return nil
    }

    /// `TIME [LEVEL] PID#TID: `
    private func beginLine(_ level: LogLevel) -> LogLine {
        var line = LogLine()
        environment.clock.appendStamp(to: &line)
        line.append(" [")
        line.append(level.name)
        line.append("] ")
        appendProcess(to: &line)
        return line
    }

    private func appendProcess(to line: inout LogLine) {
        // One thread a process: its number is the process's.
        let process = getpid()
        line.append(process)
        line.append("#")
        line.append(process)
        line.append(": ")
    }

    private func deliver(_ line: borrowing LogLine, _ level: LogLevel, textStart: Int) {
        var isOnConsole = false
        for entry in entries {
            guard level <= entry.level else { break }
            if entry.target.isStandardError { isOnConsole = true }
            guard admits(level, in: entry) else { continue }
            line.withBytes { entry.target.write($0, level, environment) }
        }
        guard environment.copiesToConsole, level <= .warning, !isOnConsole else { return }
        Console.write(level, text: line.bytes.dropFirst(textStart))
    }

    // MARK: Rate limits

    /// Whether the entry's rate leaves room for a line.
    private func admits(_ level: LogLevel, in entry: Entry) -> Bool {
        guard let limit = entry.limit else { return true }
        let second = environment.clock.seconds
        tellSuppressed(in: entry, before: second)
        switch limit.take(level, at: second) {
        case .write: return true
        case .suppress: return false
        case .suppressFirst:
            tellNextSecond(in: entry, of: second)
            return false
        }
    }

    private func tellNextSecond(in entry: Entry, of second: Int) {
        environment.nextSecond? { [self] in
            environment.clock.tick()
            // The loop's clock is not the wall's: its second may be over before ours is.
            if environment.clock.seconds == second { return tellNextSecond(in: entry, of: second) }
            tellSuppressed(in: entry, before: environment.clock.seconds)
        }
    }

    /// Tells what was suppressed in earlier seconds; in this one too when `second` is nil.
    private func tellSuppressed(in entry: Entry, before second: Int?) {
        guard let limit = entry.limit, let (count, level) = limit.takeSuppressed(at: second) else { return }
        var line = beginLine(level)
        line.append(count)
        line.append(count == 1 ? " message suppressed by rate=" : " messages suppressed by rate=")
        line.append(limit.linesPerSecond)
        line.end()
        line.withBytes { entry.target.write($0, level, environment) }
    }

    /// Tells what was suppressed up to now: the process ends.
    func tellSuppressed() {
        for entry in entries { tellSuppressed(in: entry, before: nil) }
    }
}

/// Descriptor 2, while somebody watches it.
package enum Console {
    /// `apus: [LEVEL] TEXT`
    static func write(_ level: LogLevel, text: ArraySlice<UInt8>) {
        var copy = LogLine()
        copy.append(LogEnvironment.program)
        copy.append(": [")
        copy.append(level.name)
        copy.append("] ")
        for byte in text where byte != 0x0A { copy.append(byte: byte) }
        write(copy)
    }

    /// `apus: TEXT`
    package static func write(_ text: String) {
        var line = LogLine()
        line.append(LogEnvironment.program)
        line.append(": ")
        line.append(text)
        write(line)
    }

    private static func write(_ line: consuming LogLine) {
        line.end()
        line.withBytes { _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
