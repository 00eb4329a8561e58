public import CLinux

/// The monotonic clock, in milliseconds.
@usableFromInline
package enum MonotonicClock {
    @inlinable package static var milliseconds: UInt64 { UInt64(linux_monotonic_milliseconds()) }
}

extension Duration {
    /// Whole milliseconds, never negative.
    package var milliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (scaled, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1000)
        return overflow ? .max / 2 : min(.max / 2, scaled &+ UInt64(attoseconds / 1_000_000_000_000_000))
    }
}
