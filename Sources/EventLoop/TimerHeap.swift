/// The heap of a ``TimerQueue``: entries ordered by deadline, and slots by which handles find them.
struct TimerHeap {
    private struct Slot {
        var generation: UInt32 = 0
        var position: Int32 = -1
        var target: TimerQueue.Target?
    }
    private struct Entry {
        var deadline: UInt64
        var slot: UInt32
    }

    private var slots: [Slot] = []
    private var freeSlots: [UInt32] = []
    private var entries: [Entry] = []
    /// `.max` when there is none.
    private(set) var firstDeadline = UInt64.max

    var count: Int { entries.count }

    mutating func add(deadline: UInt64, _ target: TimerQueue.Target) -> TimerHandle {
        let slot: UInt32
        if let free = freeSlots.popLast() {
            slot = free
        } else {
            slot = UInt32(slots.count)
            slots.append(Slot())
        }
        slots[Int(slot)].target = target
        // `.max` means none: nothing is ever due then.
        entries.append(Entry(deadline: min(deadline, .max - 1), slot: slot))
        slots[Int(slot)].position = Int32(entries.count - 1)
        siftUp(entries.count - 1)
        noteFirst()
        return TimerHandle(slot: slot, generation: slots[Int(slot)].generation)
    }

    func isSet(_ handle: TimerHandle) -> Bool {
        let slot = Int(handle.slot)
        return slot < slots.count && slots[slot].generation == handle.generation && slots[slot].position >= 0
    }

    /// - Returns: What was set; nil when it is over.
    mutating func remove(_ handle: TimerHandle) -> TimerQueue.Target? {
        guard isSet(handle) else { return nil }
        return take(at: Int(slots[Int(handle.slot)].position))
    }

    mutating func takeFirst() -> TimerQueue.Target? { entries.isEmpty ? nil : take(at: 0) }

    private mutating func take(at position: Int) -> TimerQueue.Target? {
        let slot = Int(entries[position].slot)
        let target = slots[slot].target
        slots[slot] = Slot(generation: slots[slot].generation &+ 1)
        freeSlots.append(UInt32(slot))
        let last = entries.removeLast()
        if position < entries.count {
            entries[position] = last
            slots[Int(last.slot)].position = Int32(position)
            siftDown(position)
            siftUp(position)
        }
        noteFirst()
        return target
    }

    private mutating func noteFirst() { firstDeadline = entries.first?.deadline ?? .max }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].deadline < entries[parent].deadline else { return }
            exchange(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < entries.count && entries[child].deadline < entries[smallest].deadline { smallest = child }
            guard smallest != parent else { return }
            exchange(parent, smallest)
            parent = smallest
        }
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        entries.swapAt(left, right)
        slots[Int(entries[left].slot)].position = Int32(left)
        slots[Int(entries[right].slot)].position = Int32(right)
    }
}
