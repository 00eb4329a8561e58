import ApusMail
import EventLoop
import Glibc
import Platform

/// The worker's loop as providers of other packages see it.
final class ProviderLoop: WorkerLoop {
    private let loop: EventLoop

    init(_ loop: EventLoop) { self.loop = loop }

    var now: UInt64 { loop.now }

    func later(_ action: @escaping () -> Void) { loop.later(action) }

    func schedule(after delay: Duration, _ action: @escaping () -> Void) -> any Cancellable {
        ProviderTimer(loop.schedule(after: delay, action), loop)
    }

    func watch(
        _ descriptor: CInt, for interest: Readiness, _ ready: @escaping (Readiness) -> Void
    ) -> (any Cancellable)? {
        let watch = ProviderWatch(copying: descriptor, loop, ready)
        return watch.begin(interest) ? watch : nil
    }
}

private final class ProviderTimer: Cancellable {
    private var timer: TimerHandle?
    private let loop: EventLoop

    init(_ timer: TimerHandle, _ loop: EventLoop) { (self.timer, self.loop) = (timer, loop) }

    func cancel() {
        // Taken out first: what the timer's action holds goes away with it, and may cancel once more on its way.
        guard let timer = timer.take() else { return }
        loop.cancel(timer)
    }
}

/// A descriptor of a provider. The loop keeps it until it is cancelled.
///
/// What is watched is a copy: one that its owner has closed all the same, against the rules, may be a session's by the time
/// the watch is cancelled.
private final class ProviderWatch: Cancellable, EventSource {
    private let copy: CInt
    private let loop: EventLoop
    private var registration: Registration?
    private var ready: ((Readiness) -> Void)?

    init(copying descriptor: CInt, _ loop: EventLoop, _ ready: @escaping (Readiness) -> Void) {
        copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        (self.loop, self.ready) = (loop, ready)
    }

    func begin(_ interest: Readiness) -> Bool {
        var events: Events = []
        if interest.contains(.input) { events.formUnion([.input, .peerClosed]) }
        if interest.contains(.output) { events.insert(.output) }
        registration = try? loop.add(copy, events, self)
        if registration == nil, copy >= 0 { _ = close(copy) }
        return registration != nil
    }

    func ready(_ events: Events) {
        var readiness: Readiness = []
        if events.canRead { readiness.insert(.input) }
        if events.canWrite { readiness.insert(.output) }
        ready?(readiness)
    }

    func cancel() {
        // Taken out first: what the action holds goes away with it, and may cancel once more on its way.
        guard let registration = registration.take() else { return }
        let action = ready.take()
        // The owner's may be open still: the kernel is told.
        loop.remove(registration, copy)
        _ = close(copy)
        withExtendedLifetime(action) {}
    }
}
