/// The memory of all relaying sessions of a worker; a session is named by its position.
///
/// Growing moves the sessions: no pointer to one is kept while another is added.
struct RelaySlab: ~Copyable {
    private(set) var sessions: UnsafeMutablePointer<RelaySession>
    private var capacity = 16
    private var free: [UInt32] = []
    private var used: UInt32 = 0

    init() {
        sessions = .allocate(capacity: capacity)
        sessions.initialize(repeating: RelaySession(), count: capacity)
    }

    deinit { sessions.deallocate() }

    /// All positions that were ever used.
    var indices: Range<UInt32> { 0..<used }
    var liveCount: Int { Int(used) - free.count }

    mutating func take() -> UInt32 {
        if let slot = free.popLast() { return slot }
        if Int(used) == capacity { grow() }
        used += 1
        return used - 1
    }

    mutating func giveBack(_ index: UInt32) { free.append(index) }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<RelaySession>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: sessions, count: capacity)
        (larger + capacity).initialize(repeating: RelaySession(), count: capacity)
        sessions.deallocate()
        sessions = larger
        capacity *= 2
    }
}
