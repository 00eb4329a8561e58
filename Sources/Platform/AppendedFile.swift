import CLinux
import Glibc

/// Opening files that others may have prepared a trap for.
package enum AppendedFile {
    /// Opens a file for appending, created with mode 0644 where it is missing; close-on-exec.
    ///
    /// A symbolic link as the last part of the path is followed only where nobody but root and ourselves could have
    /// put it: in a directory of theirs that others cannot write. So `/dev/stderr` and a log linked to it work, while
    /// a log directory handed to the worker's user is no way to make root append to a file of his choice.
    package static func open(_ path: String) -> Result<CInt, SystemError> {
        let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY
        let number = linux_open(path, flags | O_NOFOLLOW, 0o644)
        if number >= 0 { return .success(number) }
        guard errno == ELOOP, isInTrustedDirectory(path) else { return .failure(.last("open")) }
        let followed = linux_open(path, flags, 0o644)
        return followed >= 0 ? .success(followed) : .failure(.last("open"))
    }

    private static func isInTrustedDirectory(_ path: String) -> Bool {
        let bytes = Array(path.utf8)
        let end = bytes.lastIndex(of: 0x2F)
        let directory = end.map { String(decoding: bytes[...$0], as: UTF8.self) } ?? "."
        var status = stat()
        defer { errno = ELOOP }
        guard stat(directory, &status) == 0 else { return false }
        return (status.st_uid == 0 || status.st_uid == geteuid()) && status.st_mode & 0o022 == 0
    }
}
