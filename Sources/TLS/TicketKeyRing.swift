import COpenSSL
import CLinux
import Zones

/// A ticket key in the layout of its file: 80 bytes (name 16, HMAC-SHA256 key 32, AES-256 key 32) or 48 (name 16,
/// AES-128 key 16, HMAC key 16).
struct TicketKey {
    var bytes = [80 of UInt8](repeating: 0)
    var isLong = true

    /// A key nobody knows.
    static func random() -> TicketKey? {
        var key = TicketKey()
        let isGood = withUnsafeMutableBytes(of: &key.bytes) { RAND_bytes($0.baseAddress, CInt($0.count)) == 1 }
        return isGood ? key : nil
    }

    var hmacKey: Range<Int> { isLong ? 16..<48 : 32..<48 }
    var cipherKey: Range<Int> { isLong ? 48..<80 : 16..<32 }

    func hasName(_ name: UnsafeRawBufferPointer) -> Bool {
        withUnsafeBytes(of: bytes) { $0.prefix(16).elementsEqual(name.prefix(16)) }
    }

    mutating func wipe() { withUnsafeMutableBytes(of: &bytes) { linux_wipe($0.baseAddress, UInt($0.count)) } }
}

/// Ticket keys that all workers share and that change by themselves: the second case of `tls.md` section 4.
///
/// There is one ring for each server identity (certificates, client verification), so that no ticket is even read
/// where it does not belong. Current encrypts; previous, current and next decrypt. Expiries are when the last ticket
/// made with a key runs out.
struct TicketKeyRing {
    static var layout: ZoneLayout { ZoneLayout(use: "tls-tickets", version: 1) }
    static var zoneSize: Int { 4096 }

    private struct Memory: ~Copyable {
        let lock = ZoneLock()
        /// Set once the keys are there.
        var isFilled: UInt32 = 0
        var currentExpiry = 0
        var previousExpiry = 0
        var current = TicketKey()
        var previous = TicketKey()
        var next = TicketKey()
    }

    private let zone: SharedZone
    private let memory: UnsafeMutablePointer<Memory>

    /// - Parameter zone: Of this type's ``layout``; a fresh one is given its first keys. Nil if there is no randomness.
    init?(_ zone: SharedZone) {
        self.zone = zone
        // All zero, as a fresh zone is, stands for an unlocked ring without keys.
        memory = zone.body.baseAddress!.assumingMemoryBound(to: Memory.self)
        let memory = memory
        let isFilled = memory.pointee.lock.with(reset: { _ = Self.fill(memory) }) {
            memory.pointee.isFilled == 1 || Self.fill(memory)
        }
        guard isFilled == true else { return nil }
    }

    private static func fill(_ memory: UnsafeMutablePointer<Memory>) -> Bool {
        guard let current = TicketKey.random(), let previous = TicketKey.random(), let next = TicketKey.random()
        else { return false }
        (memory.pointee.current, memory.pointee.previous, memory.pointee.next) = (current, previous, next)
        (memory.pointee.currentExpiry, memory.pointee.previousExpiry) = (0, 0)
        memory.pointee.isFilled = 1
        return true
    }

    /// The key for a new ticket; the ring moves on if it is time.
    ///
    /// Without the lock (its holder is stopped) the key is read all the same: half an old and half a new one is still
    /// a secret, which merely nobody will find again.
    func current(now: Int, timeout: Int) -> TicketKey {
        advance(now: now, timeout: timeout)
        return memory.pointee.current
    }

    /// The key of a ticket, and whether the ticket is to be renewed because its key is not the current one.
    func key(named name: UnsafeRawBufferPointer, now: Int, timeout: Int) -> (key: TicketKey, isOld: Bool)? {
        advance(now: now, timeout: timeout)
        if memory.pointee.current.hasName(name) { return (memory.pointee.current, false) }
        if memory.pointee.previous.hasName(name) { return (memory.pointee.previous, true) }
        return memory.pointee.next.hasName(name) ? (memory.pointee.next, true) : nil
    }

    private func advance(now: Int, timeout: Int) {
        let memory = memory
        let expiry = now + timeout
        // Nothing to write most of the time.
        if memory.pointee.currentExpiry >= expiry && memory.pointee.previousExpiry >= now { return }
        memory.pointee.lock.with(reset: { _ = Self.fill(memory) }) {
            if memory.pointee.currentExpiry == 0 {
                // The first use: there is no previous key, but its time passes as if there were.
                memory.pointee.previousExpiry = expiry
            } else if memory.pointee.previousExpiry < now, let fresh = TicketKey.random() {
                memory.pointee.previous = memory.pointee.current
                memory.pointee.previousExpiry = memory.pointee.currentExpiry
                memory.pointee.current = memory.pointee.next
                memory.pointee.next = fresh
            }
            memory.pointee.currentExpiry = max(memory.pointee.currentExpiry, expiry)
        }
    }
}
