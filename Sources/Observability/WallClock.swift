import Glibc

/// The time of day as log lines show it: read when a line is written, taken apart once a second.
package final class WallClock {
    /// Seconds since 1970.
    package private(set) var seconds: Int
    private var broken = tm()
    private var brokenSeconds = -1

    private let isRunning: Bool

    package init() { (seconds, isRunning) = (time(nil), true) }

    /// A clock that stands still, for tests.
    package init(seconds: Int) { (self.seconds, isRunning) = (seconds, false) }

    /// Reads the time.
    package func tick() {
        if isRunning { seconds = time(nil) }
    }

    /// Looks again what the local time zone is: `TZ` or /etc/localtime may have changed.
    package func reloadTimeZone() {
        tzset()
        brokenSeconds = -1
        tick()
    }

    /// `2026/08/21 12:00:00`
    package func appendStamp(to line: inout LogLine) {
        breakDown()
        line.append(Int(broken.tm_year) + 1900)
        append(two: broken.tm_mon + 1, after: 0x2F, to: &line)
        append(two: broken.tm_mday, after: 0x2F, to: &line)
        append(two: broken.tm_hour, after: 0x20, to: &line)
        append(two: broken.tm_min, after: 0x3A, to: &line)
        append(two: broken.tm_sec, after: 0x3A, to: &line)
    }

    /// `Aug  1 12:00:00` (RFC 3164 §4.1.2)
    func syslogStamp() -> [UInt8] {
        breakDown()
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        var line = LogLine()
        line.append(months[Int(broken.tm_mon)])
        line.append(broken.tm_mday < 10 ? "  " : " ")
        line.append(broken.tm_mday)
        append(two: broken.tm_hour, after: 0x20, to: &line)
        append(two: broken.tm_min, after: 0x3A, to: &line)
        append(two: broken.tm_sec, after: 0x3A, to: &line)
        return line.bytes
    }

    private func breakDown() {
        guard brokenSeconds != seconds else { return }
        var time = time_t(seconds)
        _ = localtime_r(&time, &broken)
        brokenSeconds = seconds
    }

    private func append(two number: CInt, after separator: UInt8, to line: inout LogLine) {
        line.append(byte: separator)
        line.append(byte: 0x30 + UInt8(truncatingIfNeeded: number / 10))
        line.append(byte: 0x30 + UInt8(truncatingIfNeeded: number % 10))
    }
}
