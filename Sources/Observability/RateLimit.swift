/// `rate=`: how many lines a log takes in a second from one process. `emerg` and `alert` always get through.
final class RateLimit {
    enum Verdict { case write, suppress, suppressFirst }

    let linesPerSecond: Int
    private var second = -1
    private var written = 0
    private var suppressed = 0
    private var gravest = LogLevel.debug

    init(linesPerSecond: Int) { self.linesPerSecond = linesPerSecond }

    /// Counts a line. To be asked only when ``takeSuppressed(at:)`` was for the same second.
    func take(_ level: LogLevel, at second: Int) -> Verdict {
        if self.second != second { (self.second, written) = (second, 0) }
        guard level > .alert, written >= linesPerSecond else {
            written += 1
            return .write
        }
        suppressed += 1
        gravest = min(gravest, level)
        return suppressed == 1 ? .suppressFirst : .suppress
    }

    /// How many lines an earlier second lacks, and the gravest of their levels; nil when it lacks none.
    func takeSuppressed(at second: Int?) -> (count: Int, level: LogLevel)? {
        guard suppressed > 0, self.second != second else { return nil }
        defer { (suppressed, gravest) = (0, .debug) }
        return (suppressed, gravest)
    }
}
