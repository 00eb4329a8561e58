// Memory that all workers share and that outlives them: session caches, ticket keys, counters.
//
// A zone is a memfd mapped by the master before it forks. What its bytes mean is the business of the room that asked
// for it; this room knows the header, the life of a zone over reloads (``ZoneRegistry``) and a lock that survives the
// death of its holder (``ZoneLock``).

import CLinux
import Glibc

/// What a zone is for and how its bytes are arranged; part of its identity.
package struct ZoneLayout: Equatable, Sendable {
    /// A short word for the use, such as `tls-sessions`; at most 31 bytes.
    package let use: String
    /// Changed whenever the arrangement of the body changes.
    package let version: UInt32

    package init(use: String, version: UInt32) { (self.use, self.version) = (use, version) }
}

/// Why a zone cannot be had, in the operator's words.
package struct ZoneError: Error, Equatable, Sendable {
    package let message: String
    package init(_ message: String) { self.message = message }
}

/// A mapped piece of shared memory, all zero when fresh. The mapping ends with its last reference.
///
/// It is left out of core files (`MADV_DONTDUMP`): most zones hold secrets.
package final class SharedZone {
    package let name: String
    package let layout: ZoneLayout
    /// The whole size in bytes, header included: what the configuration names.
    package let size: Int
    /// The memfd, close-on-exec; a binary upgrade hands it on and the new master adopts it.
    package let descriptor: CInt
    private let start: UnsafeMutableRawPointer

    /// What follows the header; starts at a multiple of 64.
    package var body: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: start + ZoneHeader.byteCount, count: size - ZoneHeader.byteCount)
    }

    /// A fresh zone.
    ///
    /// - Throws: ``ZoneError`` where the kernel gives no memory, or `size` has no room beside the header.
    package init(_ name: String, size: Int, layout: ZoneLayout) throws(ZoneError) {
        guard size > ZoneHeader.byteCount else { throw ZoneError("shared memory zone \"\(name)\" is too small") }
        let descriptor = linux_memfd_sized("apus:\(layout.use)", UInt(size))
        guard descriptor >= 0 else { throw Self.failure("memfd_create()", name) }
        start = try Self.map(descriptor, size: size, name: name)
        (self.name, self.size, self.layout, self.descriptor) = (name, size, layout, descriptor)
        ZoneHeader(name: name, size: size, layout: layout).write(to: start)
    }

    /// A zone that another process made; owns `descriptor` from now on, even if it throws.
    ///
    /// - Throws: ``ZoneError`` if the header is not that of the zone that is asked for.
    package init(adopting descriptor: CInt, name: String, size: Int, layout: ZoneLayout) throws(ZoneError) {
        var facts = stat()
        guard size > ZoneHeader.byteCount, fstat(descriptor, &facts) == 0, Int(facts.st_size) == size else {
            _ = close(descriptor)
            throw ZoneError("shared memory zone \"\(name)\" has another size")
        }
        start = try Self.map(descriptor, size: size, name: name)
        (self.name, self.size, self.layout, self.descriptor) = (name, size, layout, descriptor)
        guard ZoneHeader(name: name, size: size, layout: layout).matches(start) else {
            throw ZoneError("shared memory zone \"\(name)\" has another name, use or layout")
        }
    }

    deinit {
        _ = munmap(start, size)
        _ = close(descriptor)
    }

    private static func map(_ descriptor: CInt, size: Int, name: String) throws(ZoneError)
        -> UnsafeMutableRawPointer
    {
        guard let start = linux_map_shared(UInt(size), descriptor) else {
            defer { _ = close(descriptor) }
            throw failure("mmap()", name)
        }
        _ = madvise(start, size, MADV_DONTDUMP)
        return start
    }

    private static func failure(_ call: String, _ name: String) -> ZoneError {
        let code = errno
        return ZoneError(
            "\(call) failed for shared memory zone \"\(name)\" (\(code): \(String(cString: strerror(code))))")
    }
}
