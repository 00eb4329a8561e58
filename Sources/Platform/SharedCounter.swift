import CLinux
import Glibc
import Synchronization

/// A number that all processes forked after its making count up together, and those that a binary upgrade puts in their
/// place.
package final class SharedCounter {
    private static var size: Int { MemoryLayout<UInt64>.size }

    /// A memfd, close-on-exec.
    package let descriptor: CInt
    private let page: UnsafeMutablePointer<Atomic<UInt64>>

    /// Begins with 0.
    package convenience init() throws(SystemError) {
        let descriptor = linux_memfd_sized("apus:connections", UInt(Self.size))
        guard descriptor >= 0 else { throw .last("memfd_create") }
        try self.init(adopting: descriptor)
    }

    /// Goes on where another process is.
    ///
    /// - Parameter descriptor: A memfd of another counter; owned from now on, unless this throws.
    package init(adopting descriptor: CInt) throws(SystemError) {
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw .last("fstat") }
        // Behind the end of a file its mapping is a fault.
        guard facts.st_size == Self.size else { throw SystemError(call: "fstat", errno: EINVAL) }
        guard let page = linux_map_shared(UInt(Self.size), descriptor) else { throw .last("mmap") }
        self.page = page.assumingMemoryBound(to: Atomic<UInt64>.self)
        self.descriptor = descriptor
    }

    /// How far it is.
    package var count: UInt64 { page.pointee.load(ordering: .relaxed) }

    /// 1, 2, 3, ...
    package func next() -> UInt64 { page.pointee.add(1, ordering: .relaxed).newValue }
}
