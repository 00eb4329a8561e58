import Glibc
import Synchronization

/// A lock in shared memory: the pid of its holder, 0 while free. All zero is a free lock.
///
/// It guards a few copies and comparisons, never a wait, so waiting means spinning. A process may be killed while it
/// holds the lock; whoever comes next sees that the holder is gone and takes the lock over, told that what it guards
/// may be half written. One thread per process: a process never waits for itself.
package struct ZoneLock: ~Copyable {
    private let holder = Atomic<Int32>(0)

    package init() {}

    package enum Outcome: Equatable, Sendable {
        case acquired
        /// The former holder died with it: reset what the lock guards before using it.
        case recovered
        /// A living process keeps it, stopped perhaps: do without what it guards.
        case busy
    }

    /// Rounds of `sched_yield` before giving up: some milliseconds where the holder merely lost its processor.
    private static var patience: Int { 4096 }

    package borrowing func acquire() -> Outcome {
        let own = getpid()
        for round in 0..<Self.patience {
            let (taken, owner) = holder.compareExchange(expected: 0, desired: own, ordering: .acquiring)
            if taken { return .acquired }
            // Our own pid can only be that of a dead namesake.
            if owner == own { return .recovered }
            if round % 64 == 63, Self.isDead(owner) {
                let (inherited, _) = holder.compareExchange(expected: owner, desired: own, ordering: .acquiring)
                if inherited { return .recovered }
            }
            sched_yield()
        }
        return .busy
    }

    /// Gives it back. Only the holder calls this.
    package borrowing func release() { holder.store(0, ordering: .releasing) }

    /// A zombie counts as alive until the master has reaped it, which takes it a moment.
    private static func isDead(_ pid: pid_t) -> Bool { pid <= 0 || (kill(pid, 0) == -1 && errno == ESRCH) }

    /// Runs `work` under the lock; nil, without running it, if the lock cannot be had.
    ///
    /// - Parameter reset: Called first when a dead process held the lock.
    @inlinable package borrowing func with<Result>(reset: () -> Void, _ work: () -> Result) -> Result? {
        switch acquire() {
        case .busy: return nil
        case .recovered: reset()
        case .acquired: break
        }
        defer { release() }
        return work()
    }
}
