import Config
import Glibc
import Observability
package import Platform

/// The file that names the master. Whoever waits for it may rely on open sockets and caught signals.
package struct PIDFile {
    package let path: String

    /// Where the built-in pid file and control socket are.
    private static let runtimeDirectory = "/run/apus"
    private static let hintAtUnit = "a sandbox of the service manager? Its unit allows \(runtimeDirectory)/apus.pid"

    package init(path: String) { self.path = path }

    /// Whether it could be written: a test creates an empty one, as nginx does.
    func test() throws(ConfigError) { try open(truncating: false, text: "") }

    func write() throws(ConfigError) { try open(truncating: true, text: "\(getpid())\n") }

    private func open(truncating: Bool, text: String) throws(ConfigError) {
        let flags = O_RDWR | O_CREAT | O_CLOEXEC | (truncating ? O_TRUNC : 0)
        var number = Glibc.open(path, flags, 0o644)
        // At each boot `/run` is empty: where no service manager makes the directory, nobody else does.
        if number < 0, errno == ENOENT, path.hasPrefix(Self.runtimeDirectory + "/") {
            _ = mkdir(Self.runtimeDirectory, 0o755)
            number = Glibc.open(path, flags, 0o644)
        }
        guard number >= 0 else {
            let failure = SystemError.last("open")
            throw ConfigError(
                "open() \"\(path)\" failed \(failure.suffix)", hint: failure.errno == EROFS ? Self.hintAtUnit : nil)
        }
        let descriptor = FileDescriptor(owning: number)
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor.number, bytes, bytes.count) == bytes.count else {
            throw ConfigError("write() \"\(path)\" failed \(SystemError.last("write").suffix)")
        }
    }

    /// Removes it, unless another master has put its own number there.
    func remove(log: Log) {
        if let text = contents(), text.trimmingLineEnd != "\(getpid())" { return }
        if unlink(path) != 0 { log.write(.alert, errno: errno, "unlink() \"\(path)\" failed") }
    }

    /// Gives it another name, if it holds our number, and the other name is not that of a living process.
    ///
    /// - Returns: nil, or what is in the way, in parentheses.
    func move(to other: PIDFile) -> String? {
        guard number == getpid() else { return "(it does not hold the number \(getpid()))" }
        if let taken = other.number, taken != getpid(), kill(taken, 0) == 0 || errno == EPERM {
            return "(the process \(taken) that it names is alive)"
        }
        return rename(path, other.path) == 0 ? nil : SystemError.last("rename").suffix
    }

    /// The number in it; nil where there is none.
    var number: CInt? { try? read() }

    private func contents() -> String? {
        let number = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { return nil }
        let descriptor = FileDescriptor(owning: number)
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = Glibc.read(descriptor.number, &bytes, bytes.count)
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Why the number in a pid file cannot be had.
    package enum ReadingFailure: Error, Equatable { case cannotOpen(SystemError), notANumber(String) }

    /// The number of the master (`apus -s`).
    package func read() throws(ReadingFailure) -> CInt {
        let number = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { throw .cannotOpen(.last("open")) }
        _ = close(number)
        let text = (contents() ?? "").trimmingLineEnd
        let isNumber = !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isNumber, let process = CInt(text) else { throw .notANumber(text) }
        return process
    }
}

extension String {
    /// Without the CR and LF bytes at its end.
    fileprivate var trimmingLineEnd: String {
        String(decoding: Array(utf8.reversed().drop { $0 == 0x0A || $0 == 0x0D }.reversed()), as: UTF8.self)
    }
}
