import Glibc
import Platform

/// A child of the master, as the master sees it. There are as many as it takes; a number names each for good.
final class Child {
    enum Kind: Equatable { case worker, helper }

    let kind: Kind
    /// 0, 1, ... among those of its kind and generation; a respawned one has the index of the one before.
    let index: Int
    /// Counted over all children of this master: what helpers call a worker by.
    let serial: UInt32
    let process: CInt
    let generation: Generation
    let channel: Channel
    /// The helpers' end of its socket to them, kept for helpers that are started later; -1 for none.
    let helperEnd: CInt
    /// What it tells of itself.
    let row: ProcessRow
    /// It said that it accepts.
    var isAccepting = false
    /// It was told to go: no other takes its place.
    var isLeaving = false
    /// It hung, and was told to abort.
    var isAborted = false

    init(
        _ kind: Kind, index: Int, serial: UInt32, process: CInt, generation: Generation, channel: Channel,
        helperEnd: CInt, row: ProcessRow
    ) {
        self.kind = kind
        self.index = index
        self.serial = serial
        self.process = process
        self.generation = generation
        self.channel = channel
        self.helperEnd = helperEnd
        self.row = row
    }

    /// `worker process`, as messages name it.
    var name: String {
        switch kind {
        case .worker: "worker process"
        case .helper: generation.service.helpers?.title ?? "helper"
        }
    }

    func tell(_ message: ControlMessage, descriptor: CInt = -1) {
        channel.send(message.bytes, descriptor: descriptor)
    }

    func close() {
        channel.close()
        if helperEnd >= 0 { _ = Glibc.close(helperEnd) }
    }

    /// Closes what it holds, in another child.
    func abandon() {
        channel.abandon()
        if helperEnd >= 0 { _ = Glibc.close(helperEnd) }
    }
}

/// Unexpected ends of children, so that a crash at start does not become a storm.
struct CrashHistory {
    private static var window: UInt64 { 10_000 }
    private static var tolerated: Int { 5 }
    private static var pause: Duration { .seconds(1) }

    private var times: [UInt64] = []

    /// Notes a crash.
    ///
    /// - Parameter now: Milliseconds.
    /// - Returns: How long to wait before the next one is started.
    mutating func add(at now: UInt64) -> Duration {
        times.removeAll { $0 &+ Self.window <= now }
        times.append(now)
        return times.count > Self.tolerated ? Self.pause : .zero
    }
}
