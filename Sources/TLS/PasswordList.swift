import CLinux
package import Config
import Glibc

/// The passphrases of an `ssl_password_file`, wiped with the last reference.
///
/// Unchecked: nothing changes between `init` and `deinit`, but a pointer cannot say so.
package final class PasswordList: @unchecked Sendable {
    private let space: UnsafeMutableRawBufferPointer
    private let lines: [Range<Int>]

    /// A line may be this long, its LF included.
    private static var longestLine: Int { 4096 }

    /// Reads the file from end to end, once: it may be a FIFO. CR before LF and empty lines are dropped.
    ///
    /// - Throws: `open() "F" failed (...)`, `too long line in "F"`, both with the place of the directive.
    /// - Parameter names: Tells a rehearsal, which leaves a FIFO alone.
    package init(reading path: String, at position: Position, _ names: NameTable) throws(ConfigError) {
        if names.isRehearsal, Self.isFIFO(path) {
            names.isInconclusive = true
            throw ConfigError("\"\(path)\" can be read only once", at: position)
        }
        var bytes = try Self.contents(of: path, at: position)
        defer { bytes.withUnsafeMutableBytes { linux_wipe($0.baseAddress, UInt($0.count)) } }
        space = .allocate(byteCount: max(1, bytes.count), alignment: 1)
        space.copyBytes(from: bytes)
        lines = Self.lines(of: bytes)
        guard lines.allSatisfy({ $0.count < Self.longestLine }) else {
            throw ConfigError("too long line in \"\(path)\"", at: position)
        }
    }

    deinit {
        linux_wipe(space.baseAddress, UInt(space.count))
        space.deallocate()
    }

    package var count: Int { lines.count }

    /// Lends the passphrase with this number.
    func withPassword<Result>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        body(UnsafeRawBufferPointer(rebasing: space[lines[number]]))
    }

    private static func lines(of bytes: [UInt8]) -> [Range<Int>] {
        var lines: [Range<Int>] = []
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            let hasReturn = end < bytes.count && end > start && bytes[end - 1] == UInt8(ascii: "\r")
            let line = start..<(hasReturn ? end - 1 : end)
            if !line.isEmpty { lines.append(line) }
            start = end + 1
        }
        return lines
    }

    private static func isFIFO(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFIFO
    }

    private static func contents(of path: String, at position: Position) throws(ConfigError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("open()", path, at: position) }
        defer { _ = close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        defer { chunk.withUnsafeMutableBytes { linux_wipe($0.baseAddress, UInt($0.count)) } }
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 { throw .system("read()", path, at: position) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            // Growing an array leaves copies behind; a file of passphrases is small.
            guard bytes.count <= 1 << 20 else { throw ConfigError("too long line in \"\(path)\"", at: position) }
        }
    }
}

extension ConfigError {
    /// `CALL "PATH" failed (2: No such file or directory) in F:L`, from `errno`.
    static func system(_ call: String, _ path: String, at position: Position?) -> ConfigError {
        let code = errno
        return ConfigError(
            "\(call) \"\(path)\" failed (\(code): \(String(cString: strerror(code))))", at: position)
    }
}
