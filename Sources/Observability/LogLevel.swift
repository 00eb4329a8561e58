// Observability: what the daemon says about itself. Error logs in all of nginx's forms live here, with the clock that
// stamps their lines. Every room that has something to report is handed a ``Log``; the master owns the
// ``LogRegistry`` behind it, opens its files and passes descriptors on. Nothing here decides what to do about an error.

/// How grave a message is; smaller numbers are graver.
@usableFromInline
package enum LogLevel: Int, Comparable, Sendable, CaseIterable {
    case emergency = 1
    case alert, critical, error, warning, notice, info, debug

    @inlinable package static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

    /// The word for it in log lines and in `error_log`.
    package var name: StaticString {
        switch self {
        case .emergency: "emerg"
        case .alert: "alert"
        case .critical: "crit"
        case .error: "error"
        case .warning: "warn"
        case .notice: "notice"
        case .info: "info"
        case .debug: "debug"
        }
    }

    package init?(name: String) {
        guard let level = Self.allCases.first(where: { $0.name.description == name }) else { return nil }
        self = level
    }
}
