/// What was found and still holds. Failures are not kept.
///
/// Two halves bound it: new entries go into the young one; when that is full it becomes the old one, and what was not
/// used since the time before goes.
struct AnswerCache {
    private struct Entry {
        let value: ResolverValue
        /// The last second of the monotonic clock in which it holds.
        let lastSecond: UInt64
    }

    private let capacity: Int
    private var young: [ResolverKey: Entry] = [:]
    private var old: [ResolverKey: Entry] = [:]

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { young.count + old.count }

    /// - Parameter now: A second of the monotonic clock. What has a lifetime of 0 holds until its end.
    mutating func value(for key: ResolverKey, at now: UInt64) -> ResolverValue? {
        if let entry = young[key] {
            if entry.lastSecond >= now { return entry.value }
            young[key] = nil
            return nil
        }
        guard let entry = old.removeValue(forKey: key), entry.lastSecond >= now else { return nil }
        insert(entry, for: key)
        return entry.value
    }

    mutating func keep(_ value: ResolverValue, for key: ResolverKey, at now: UInt64, seconds: UInt64) {
        let (sum, overflow) = now.addingReportingOverflow(seconds)
        old[key] = nil
        insert(Entry(value: value, lastSecond: overflow ? .max : sum), for: key)
    }

    private mutating func insert(_ entry: Entry, for key: ResolverKey) {
        if young.count >= capacity / 2 { (old, young) = (young, [:]) }
        young[key] = entry
    }
}
