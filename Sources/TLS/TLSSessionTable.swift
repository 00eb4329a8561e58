import CLinux
package import Zones

/// Sessions in memory that all workers share: session ID to the library's DER form.
///
/// The zone's body is cut into buckets by the hash of the ID, each with its own lock. A bucket is a packed list in the
/// order of arrival, so the oldest sessions make room for a new one. At about 16 KiB a bucket moving the rest up costs
/// a microsecond; a handshake costs a thousand. Nothing in the memory is believed: whatever a worker gone astray may
/// have written there, lengths are checked before they are used.
package struct TLSSessionTable {
    package static var layout: ZoneLayout { ZoneLayout(use: "tls-sessions", version: 1) }

    /// Longest DER form: one with a chain of client certificates does not fit, and is not stored.
    package static var longestSession: Int { 8192 }
    private static var longestID: Int { 32 }

    private let zone: SharedZone
    private let bucketCount: Int
    private let bucketSize: Int

    package enum StoreOutcome: Equatable, Sendable { case stored, tooLong, busy }

    /// - Parameter zone: Of this type's ``layout``, fresh or in use.
    package init(_ zone: SharedZone) {
        self.zone = zone
        bucketCount = max(1, zone.body.count / 16384)
        bucketSize = zone.body.count / bucketCount & ~63
    }

    /// Keeps a session until `expiry` (seconds since 1970), or until newer ones push it out.
    package func store(id: UnsafeRawBufferPointer, session: UnsafeRawBufferPointer, expiry: Int, now: Int)
        -> StoreOutcome
    {
        guard (1...Self.longestID).contains(id.count), session.count <= min(Self.longestSession, bucketSize / 4) else {
            return .tooLong
        }
        let done: Void? = withBucket(id) { bucket in
            bucket.remove(id)
            bucket.append(id: id, session: session, expiry: expiry, now: now)
        }
        return done == nil ? .busy : .stored
    }

    /// Lends the session with this ID, as a copy; nil if there is none.
    package func find(id: UnsafeRawBufferPointer, now: Int) -> [UInt8]? {
        guard (1...Self.longestID).contains(id.count) else { return nil }
        return withBucket(id) { bucket in bucket.session(id, now: now) } ?? nil
    }

    package func remove(id: UnsafeRawBufferPointer) {
        guard (1...Self.longestID).contains(id.count) else { return }
        withBucket(id) { bucket in bucket.remove(id) }
    }

    /// The number of sessions that are held, expired ones included.
    package var count: Int {
        (0..<bucketCount).reduce(0) { total, number in total + (withBucket(number) { $0.count } ?? 0) }
    }

    @discardableResult
    private func withBucket<Result>(_ id: UnsafeRawBufferPointer, _ body: (SessionBucket) -> Result) -> Result? {
        // IDs are random: FNV is enough to spread them.
        let hash = id.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return withBucket(Int(hash % UInt64(bucketCount)), body)
    }

    private func withBucket<Result>(_ number: Int, _ body: (SessionBucket) -> Result) -> Result? {
        let start = number * bucketSize
        let bucket = SessionBucket(UnsafeMutableRawBufferPointer(rebasing: zone.body[start..<start + bucketSize]))
        return bucket.lock.pointee.with(reset: bucket.empty) { body(bucket) }
    }
}

/// One bucket: lock (4 bytes), number of bytes in use (4), and the packed sessions.
///
/// A session: length of the ID (2 bytes), of the DER form (2), 4 unused, expiry (8), ID, DER form; ends at a multiple
/// of 8.
private struct SessionBucket {
    let lock: UnsafeMutablePointer<ZoneLock>
    private let used: UnsafeMutablePointer<UInt32>
    private let space: UnsafeMutableRawBufferPointer

    private static var headerSize: Int { 16 }

    private struct Item {
        let range: Range<Int>
        let id: Range<Int>
        let session: Range<Int>
        let expiry: Int
    }

    init(_ memory: UnsafeMutableRawBufferPointer) {
        let start = memory.baseAddress!
        lock = start.assumingMemoryBound(to: ZoneLock.self)
        used = (start + 4).assumingMemoryBound(to: UInt32.self)
        space = UnsafeMutableRawBufferPointer(rebasing: memory[8...])
    }

    private var usedCount: Int { min(Int(used.pointee), space.count) }

    func empty() {
        linux_wipe(space.baseAddress, UInt(space.count))
        used.pointee = 0
    }

    /// The session that starts at `offset`; nil at the end, and where the memory makes no sense.
    private func item(at offset: Int) -> Item? {
        guard offset + Self.headerSize <= usedCount else { return nil }
        let idCount = Int(space.load(fromByteOffset: offset, as: UInt16.self))
        let count = Int(space.load(fromByteOffset: offset + 2, as: UInt16.self))
        let idStart = offset + Self.headerSize
        let end = idStart + idCount + count
        let rounded = (end + 7) & ~7
        guard rounded <= usedCount else { return nil }
        return Item(
            range: offset..<rounded, id: idStart..<idStart + idCount, session: idStart + idCount..<end,
            expiry: space.load(fromByteOffset: offset + 8, as: Int.self))
    }

    private func find(_ id: UnsafeRawBufferPointer) -> Item? {
        var offset = 0
        while let item = item(at: offset) {
            if space[item.id].elementsEqual(id) { return item }
            offset = item.range.upperBound
        }
        return nil
    }

    var count: Int {
        var (offset, count) = (0, 0)
        while let item = item(at: offset) { (offset, count) = (item.range.upperBound, count + 1) }
        return count
    }

    func session(_ id: UnsafeRawBufferPointer, now: Int) -> [UInt8]? {
        guard let item = find(id) else { return nil }
        guard item.expiry > now else {
            close(item.range)
            return nil
        }
        return Array(space[item.session])
    }

    func remove(_ id: UnsafeRawBufferPointer) {
        if let item = find(id) { close(item.range) }
    }

    /// The ID is not there yet, and the session fits an empty bucket.
    func append(id: UnsafeRawBufferPointer, session: UnsafeRawBufferPointer, expiry: Int, now: Int) {
        let needed = (Self.headerSize + id.count + session.count + 7) & ~7
        makeRoom(needed, now: now)
        let offset = usedCount
        space.storeBytes(of: UInt16(id.count), toByteOffset: offset, as: UInt16.self)
        space.storeBytes(of: UInt16(session.count), toByteOffset: offset + 2, as: UInt16.self)
        space.storeBytes(of: expiry, toByteOffset: offset + 8, as: Int.self)
        let start = offset + Self.headerSize
        UnsafeMutableRawBufferPointer(rebasing: space[start...]).copyMemory(from: id)
        UnsafeMutableRawBufferPointer(rebasing: space[(start + id.count)...]).copyMemory(from: session)
        used.pointee = UInt32(offset + needed)
    }

    /// Drops the oldest sessions until `needed` bytes are free.
    private func makeRoom(_ needed: Int, now: Int) {
        var end = 0
        while usedCount - end + needed > space.count {
            guard let item = item(at: end) else { return empty() }
            end = item.range.upperBound
        }
        close(0..<end)
    }

    /// Takes a range out and moves the rest up.
    private func close(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let count = usedCount
        // Another worker may have written anything there meanwhile.
        guard range.upperBound <= count else { return empty() }
        let rest = UnsafeRawBufferPointer(rebasing: space[range.upperBound..<count])
        UnsafeMutableRawBufferPointer(rebasing: space[range.lowerBound...]).copyMemory(from: rest)
        let freed = space[count - range.count..<count]
        linux_wipe(UnsafeMutableRawBufferPointer(rebasing: freed).baseAddress, UInt(freed.count))
        used.pointee = UInt32(count - range.count)
    }
}
