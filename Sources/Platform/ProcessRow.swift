import CLinux
import Glibc
import Synchronization

/// What a child tells its master without being asked: a page of memory that both have, made before the fork. The child
/// writes, the master reads, also after the child's death; the two never wait for each other.
package final class ProcessRow {
    private static var size: Int { 4096 }
    /// Numbers of this row, eight bytes each.
    private enum Field: Int { case beat, sessions }
    private static var reportOffset: Int { 64 }
    private static var reportSize: Int { 2048 }

    private let start: UnsafeMutableRawPointer

    package init() throws(SystemError) {
        guard let start = linux_map_shared(UInt(Self.size), -1) else { throw .last("mmap") }
        self.start = start
        for field in [Field.beat, .sessions] {
            (start + 8 * field.rawValue).initializeMemory(as: Atomic<UInt64>.self, to: Atomic(0))
        }
    }

    deinit { munmap(start, Self.size) }

    private func number(_ field: Field) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (start + 8 * field.rawValue).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Milliseconds of the monotonic clock when its loop last showed that it turns; 0 while it has not begun.
    package var beat: UInt64 {
        get { number(.beat).pointee.load(ordering: .relaxed) }
        set { number(.beat).pointee.store(newValue, ordering: .relaxed) }
    }

    /// The sessions it has now, before and after their login; so few, whatever a process out of its mind has written, that
    /// the master can add them up.
    package var sessions: Int {
        get { Int(min(number(.sessions).pointee.load(ordering: .relaxed), 1 << 32)) }
        set { number(.sessions).pointee.store(UInt64(clamping: newValue), ordering: .relaxed) }
    }

    // MARK: Crash reports

    /// In the child: should it crash, the report goes here.
    package func takeCrashReport() {
        _ = linux_report_crashes(start + Self.reportOffset, UInt(Self.reportSize), nil)
    }

    /// What the child wrote when it crashed: printable ASCII; nil where it did not.
    package var crashReport: String? {
        let space = start + Self.reportOffset
        let count = Int(space.load(as: UInt32.self))
        // A process that is out of its mind may have written anything here.
        guard count > 0, count <= Self.reportSize - 4 else { return nil }
        let bytes = UnsafeRawBufferPointer(start: space + 4, count: count).map { 0x20...0x7E ~= $0 ? $0 : 0x3F }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Reports of crashes (decision 6): signal, place, session, activity and frames; never a byte of a session.
package enum CrashReport {
    /// This process writes its own to standard error, which is its log.
    package static func toStandardError(_ prefix: StaticString) {
        _ = linux_report_crashes(nil, 0, UnsafeRawPointer(prefix.utf8Start).assumingMemoryBound(to: CChar.self))
    }

    /// The build id of this program, as `file` and debuggers show it; empty where it was linked without one.
    package static var buildID: String {
        var text = [CChar](repeating: 0, count: 80)
        let count = linux_build_id(&text, UInt(text.count))
        return String(decoding: text.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
