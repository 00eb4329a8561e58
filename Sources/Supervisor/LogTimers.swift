import EventLoop
import Observability

extension LogEnvironment {
    /// Lets logs tell what a rate has suppressed when the second is over.
    func useTimers(of loop: EventLoop) {
        nextSecond = { [weak loop] action in _ = loop?.schedule(after: .seconds(1), action) }
    }
}
