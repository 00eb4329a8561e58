import CLinux
import Synchronization

/// A number that all processes forked after its making count up together.
package final class SharedCounter {
    private let page: UnsafeMutablePointer<Atomic<UInt64>>

    package init() throws(SystemError) {
        guard let page = linux_map_shared(64, -1) else { throw .last("mmap") }
        self.page = page.bindMemory(to: Atomic<UInt64>.self, capacity: 1)
        self.page.initialize(to: Atomic(0))
    }

    /// How far it is.
    package var count: UInt64 { page.pointee.load(ordering: .relaxed) }

    /// 1, 2, 3, ...
    package func next() -> UInt64 { page.pointee.add(1, ordering: .relaxed).newValue }
}
