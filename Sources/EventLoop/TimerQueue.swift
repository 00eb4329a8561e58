/// A timer that was set; using it after it ran out or was cancelled does nothing.
@usableFromInline
package struct TimerHandle: Equatable, Sendable {
    let slot: UInt32
    let generation: UInt32
    package static var none: TimerHandle { TimerHandle(slot: .max, generation: 0) }
}

/// Deadlines in a binary heap. Setting, moving and cancelling cost its logarithm; a turn without an expiry costs nothing.
@usableFromInline
package final class TimerQueue {
    package enum Target {
        case action(() -> Void)
        /// A relay, by its index.
        case relay(UInt32)
    }

    // Behind a pointer for the same reason as the loop's own state.
    private let heap: UnsafeMutablePointer<TimerHeap>

    package init() {
        heap = .allocate(capacity: 1)
        heap.initialize(to: TimerHeap())
    }

    deinit {
        heap.deinitialize(count: 1)
        heap.deallocate()
    }

    package var count: Int { heap.pointee.count }

    /// - Parameter deadline: Milliseconds of the monotonic clock.
    package func add(deadline: UInt64, _ target: Target) -> TimerHandle { heap.pointee.add(deadline: deadline, target) }

    @usableFromInline package func remove(_ handle: TimerHandle) {
        // What the action holds goes away here, when the heap is whole again: it may cancel timers itself.
        _ = heap.pointee.remove(handle)
    }

    package func isSet(_ handle: TimerHandle) -> Bool { heap.pointee.isSet(handle) }

    /// The wait until the first deadline as epoll_wait takes it: -1 when there is none.
    func millisecondsToNext(from now: UInt64) -> Int32 {
        let first = heap.pointee.firstDeadline
        guard first != .max else { return -1 }
        guard first > now else { return 0 }
        return Int32(min(first - now, UInt64(Int32.max)))
    }

    /// Takes one expired timer out; nil when none is left.
    func takeExpired(at now: UInt64) -> Target? {
        heap.pointee.firstDeadline > now ? nil : heap.pointee.takeFirst()
    }
}
