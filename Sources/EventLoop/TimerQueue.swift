/// A timer that was set; using it after it ran out or was cancelled does nothing.
package struct TimerHandle: Equatable, Sendable {
    let slot: UInt32
    let generation: UInt32
    package static var none: TimerHandle { TimerHandle(slot: .max, generation: 0) }
}

/// Deadlines in a binary heap. Setting, moving and cancelling cost its logarithm; a turn without an expiry costs nothing.
package final class TimerQueue {
    package enum Target {
        case action(() -> Void)
        /// A relay, by its index.
        case relay(UInt32)
    }
    private struct Slot {
        var generation: UInt32 = 0
        var position: Int32 = -1
        var target: Target?
    }
    private struct Entry {
        var deadline: UInt64
        var slot: UInt32
    }

    private var slots: [Slot] = []
    private var freeSlots: [UInt32] = []
    private var heap: [Entry] = []

    package init() {}

    package var count: Int { heap.count }

    /// - Parameter deadline: Milliseconds of the monotonic clock.
    package func add(deadline: UInt64, _ target: Target) -> TimerHandle {
        let slot: UInt32
        if let free = freeSlots.popLast() {
            slot = free
        } else {
            slot = UInt32(slots.count)
            slots.append(Slot())
        }
        slots[Int(slot)].target = target
        heap.append(Entry(deadline: deadline, slot: slot))
        slots[Int(slot)].position = Int32(heap.count - 1)
        siftUp(heap.count - 1)
        return TimerHandle(slot: slot, generation: slots[Int(slot)].generation)
    }

    package func remove(_ handle: TimerHandle) {
        guard isSet(handle) else { return }
        take(at: Int(slots[Int(handle.slot)].position))
    }

    package func isSet(_ handle: TimerHandle) -> Bool {
        let slot = Int(handle.slot)
        return slot < slots.count && slots[slot].generation == handle.generation && slots[slot].position >= 0
    }

    /// The wait until the first deadline as epoll_wait takes it: -1 when there is none.
    func millisecondsToNext(from now: UInt64) -> Int32 {
        guard let first = heap.first else { return -1 }
        guard first.deadline > now else { return 0 }
        return Int32(min(first.deadline - now, UInt64(Int32.max)))
    }

    /// Takes one expired timer out; nil when none is left.
    func takeExpired(at now: UInt64) -> Target? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        let target = slots[Int(first.slot)].target
        take(at: 0)
        return target
    }

    private func take(at position: Int) {
        let slot = Int(heap[position].slot)
        slots[slot].generation &+= 1
        slots[slot].position = -1
        slots[slot].target = nil
        freeSlots.append(UInt32(slot))
        let last = heap.removeLast()
        guard position < heap.count else { return }
        heap[position] = last
        slots[Int(last.slot)].position = Int32(position)
        siftDown(position)
        siftUp(position)
    }

    private func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].deadline < heap[parent].deadline else { return }
            exchange(child, parent)
            child = parent
        }
    }

    private func siftDown(_ start: Int) {
        var parent = start
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].deadline < heap[smallest].deadline { smallest = child }
            guard smallest != parent else { return }
            exchange(parent, smallest)
            parent = smallest
        }
    }

    private func exchange(_ left: Int, _ right: Int) {
        heap.swapAt(left, right)
        slots[Int(heap[left].slot)].position = Int32(left)
        slots[Int(heap[right].slot)].position = Int32(right)
    }
}
