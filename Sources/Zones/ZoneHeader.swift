import Glibc

/// The first 192 bytes of a zone: magic, layout version, size, use (32 bytes) and name (128 bytes).
///
/// Names longer than that are cut; the registry keeps the whole name.
struct ZoneHeader {
    static let byteCount = 192
    private let bytes: [UInt8]

    init(name: String, size: Int, layout: ZoneLayout) {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.replaceSubrange(0..<8, with: Array("APUSZONE".utf8))
        withUnsafeBytes(of: UInt64(size)) { bytes.replaceSubrange(8..<16, with: $0) }
        withUnsafeBytes(of: layout.version) { bytes.replaceSubrange(16..<20, with: $0) }
        bytes.replaceSubrange(Self.field(layout.use, at: 32, limit: 32), with: layout.use.utf8.prefix(32))
        bytes.replaceSubrange(Self.field(name, at: 64, limit: 128), with: name.utf8.prefix(128))
        self.bytes = bytes
    }

    private static func field(_ text: String, at start: Int, limit: Int) -> Range<Int> {
        start..<start + min(text.utf8.count, limit)
    }

    func write(to start: UnsafeMutableRawPointer) {
        bytes.withUnsafeBytes { start.copyMemory(from: $0.baseAddress!, byteCount: Self.byteCount) }
    }

    func matches(_ start: UnsafeMutableRawPointer) -> Bool {
        bytes.withUnsafeBytes { memcmp($0.baseAddress!, start, Self.byteCount) == 0 }
    }
}
