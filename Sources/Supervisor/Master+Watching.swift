import Glibc
import Observability
import Platform

// Workers that hang (decision 21): a timer of each notes the time in its row, and the master looks at the rows.
extension Master {
    private static var longestPause: Duration { .seconds(5) }
    /// What a hanging worker gets to write its report and a core file before it is killed.
    private static var timeToAbort: Duration { .seconds(5) }

    /// Looks now and then, as long as this process lives.
    func watchWorkers() {
        guard let loop else { return }
        let period = min(current.core.watchdogPeriod ?? Self.longestPause, Self.longestPause)
        lookedAt = loop.now
        _ = loop.schedule(after: period) { [unowned self] in
            // When the whole machine slept, or this process was stopped, the workers were as well.
            if loop.now &- lookedAt < 2 * period.milliseconds { wishes.lookAtWorkers = true }
            watchWorkers()
        }
    }

    func lookAtWorkers() {
        let now = MonotonicClock.milliseconds
        for child in children.values where child.kind == .worker && !child.isAborted {
            let (limit, beat) = (child.generation.core.watchdog, child.row.beat)
            guard child.generation.core.watchdogPeriod != nil, beat > 0, now > beat,
                now - beat > limit.milliseconds
            else { continue }
            abort(child, silentFor: now - beat)
        }
        tellStatus()
    }

    private func abort(_ child: Child, silentFor silence: UInt64) {
        child.isAborted = true
        log.write(
            .alert, "\(child.name) \(child.process) hangs: its loop has not turned for \(silence / 1000) s, ending it")
        kill(child.process, SIGABRT)
        // One that was stopped would not hear it.
        kill(child.process, SIGCONT)
        let process = child.process
        _ = loop?.schedule(after: Self.timeToAbort) { [unowned self] in
            if children[process] === child { kill(process, SIGKILL) }
        }
    }
}
