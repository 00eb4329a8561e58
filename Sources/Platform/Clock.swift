public import CLinux
import Glibc

/// The monotonic clock, in milliseconds.
@usableFromInline
package enum MonotonicClock {
    @inlinable package static var milliseconds: UInt64 { UInt64(linux_monotonic_milliseconds()) }

    /// CLOCK_MONOTONIC, as the service manager wants it.
    package static var microseconds: UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(clamping: now.tv_sec) &* 1_000_000 &+ UInt64(clamping: now.tv_nsec / 1000)
    }
}

extension Duration {
    /// Whole milliseconds, never negative.
    @inlinable package var milliseconds: UInt64 {
        // Its parts overflow where a duration does not.
        guard self < .seconds(1 << 50) else { return .max / 2 }
        guard self > .zero else { return 0 }
        let (seconds, attoseconds) = components
        return UInt64(seconds) &* 1000 &+ UInt64(attoseconds) / 1_000_000_000_000_000
    }
}
