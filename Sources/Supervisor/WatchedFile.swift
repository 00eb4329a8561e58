import Glibc
import Platform

/// A file that the master watches for helpers, which may not open it themselves.
final class WatchedFile {
    private struct Mark: Equatable {
        var device: UInt, inode: UInt, size: Int, seconds: Int, nanoseconds: Int

        init(_ status: stat) {
            device = UInt(status.st_dev)
            inode = UInt(status.st_ino)
            size = Int(status.st_size)
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    let path: String
    private(set) var descriptor: CInt
    private var mark: Mark?

    init(path: String, owning descriptor: CInt) {
        self.path = path
        self.descriptor = descriptor
        mark = Self.mark(of: descriptor)
    }

    deinit { if descriptor >= 0 { _ = close(descriptor) } }

    /// Opens the file again if another one or other contents are behind its name.
    ///
    /// - Returns: Whether there is a new descriptor. A file that is missing or unreadable changes nothing.
    func refresh() -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, Mark(status) != mark else { return false }
        let new = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard new >= 0 else { return false }
        if descriptor >= 0 { _ = close(descriptor) }
        descriptor = new
        mark = Self.mark(of: new)
        return true
    }

    private static func mark(of descriptor: CInt) -> Mark? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Mark(status) : nil
    }
}
