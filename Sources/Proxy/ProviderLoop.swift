import ApusMail
import EventLoop
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
        let watch = ProviderWatch(descriptor, loop, ready)
        return watch.begin(interest) ? watch : nil
    }
}

private final class ProviderTimer: Cancellable {
    private var timer: TimerHandle?
    private let loop: EventLoop

    init(_ timer: TimerHandle, _ loop: EventLoop) { (self.timer, self.loop) = (timer, loop) }

    func cancel() { loop.cancel(&timer) }
}

/// A descriptor of a provider. The loop keeps it until it is cancelled.
private final class ProviderWatch: Cancellable, EventSource {
    private let descriptor: CInt
    private let loop: EventLoop
    private var registration: Registration?
    private var ready: ((Readiness) -> Void)?

    init(_ descriptor: CInt, _ loop: EventLoop, _ ready: @escaping (Readiness) -> Void) {
        (self.descriptor, self.loop, self.ready) = (descriptor, loop, ready)
    }

    func begin(_ interest: Readiness) -> Bool {
        var events: Events = []
        if interest.contains(.input) { events.formUnion([.input, .peerClosed]) }
        if interest.contains(.output) { events.insert(.output) }
        registration = try? loop.add(descriptor, events, self)
        return registration != nil
    }

    func ready(_ events: Events) {
        var readiness: Readiness = []
        if events.canRead { readiness.insert(.input) }
        if events.canWrite { readiness.insert(.output) }
        ready?(readiness)
    }

    func cancel() {
        ready = nil
        // A copy of the descriptor may be open elsewhere: the kernel is told.
        if let registration { loop.remove(registration, descriptor) }
        registration = nil
    }
}
