import Glibc
import Platform

/// Where lines go.
class LogTarget {
    /// Writes one line with its line feed. Never fails: a log that cannot be written stops nothing.
    func write(_ line: UnsafeRawBufferPointer, _ level: LogLevel, _ environment: LogEnvironment) {}
    /// It writes to descriptor 2, so that no console copy is needed.
    var isStandardError: Bool { false }
}

/// An open file, or standard error.
final class LogFile: LogTarget {
    /// nil for standard error.
    let path: String?
    private(set) var descriptor: CInt
    /// The second in which the disk was found full: the file is left alone until it is over.
    private var fullSince = -1

    /// Standard error.
    override init() {
        path = nil
        descriptor = 2
    }

    /// - Parameter descriptor: Open for appending; the new object owns it.
    init(path: String, owning descriptor: CInt) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { if path != nil { _ = close(descriptor) } }

    override var isStandardError: Bool { descriptor == 2 }

    override func write(_ line: UnsafeRawBufferPointer, _ level: LogLevel, _ environment: LogEnvironment) {
        guard fullSince != environment.clock.seconds else { return }
        if Glibc.write(descriptor, line.baseAddress, line.count) < 0, errno == ENOSPC {
            fullSince = environment.clock.seconds
        }
    }

    /// Goes on with another descriptor, which it owns from now on.
    func replaceDescriptor(owning new: CInt) {
        _ = close(descriptor)
        descriptor = new
        fullSince = -1
    }
}

/// `memory:SIZE`: the last lines, in a ring that a debugger or a core file shows.
final class MemoryLog: LogTarget {
    private let ring: UnsafeMutableRawBufferPointer
    private let start: Int
    private var position: Int

    /// - Parameter header: `MEMLOG SIZE FILE:LINE` and a line feed; it stays.
    init(byteCount: Int, header: String) {
        ring = .allocate(byteCount: byteCount, alignment: 1)
        ring.initializeMemory(as: UInt8.self, repeating: 0)
        let bytes = Array(header.utf8.prefix(byteCount / 2))
        ring.copyBytes(from: bytes)
        start = bytes.count
        position = start
    }

    deinit { ring.deallocate() }

    override func write(_ line: UnsafeRawBufferPointer, _ level: LogLevel, _ environment: LogEnvironment) {
        for byte in line {
            ring[position] = byte
            position = position + 1 == ring.count ? start : position + 1
        }
    }
}
