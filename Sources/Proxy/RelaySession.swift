import EventLoop

/// A relaying session: two endpoints and a few numbers. It refers to no object and to no configuration.
struct RelaySession {
    var client = RelayEndpoint()
    var upstream = RelayEndpoint()
    /// The connection number of the log.
    var number: UInt64 = 0
    /// Milliseconds of the monotonic clock when bytes last moved.
    var lastActivity: UInt64 = 0
    /// `, client: ..., upstream: ...` as the log ends its lines; raw, escaped when it is logged.
    var context: UnsafeMutablePointer<UInt8>?
    var timer = TimerHandle.none
    var contextLength: UInt16 = 0
    /// The `server` block, by its position in the configuration of this generation: whose log, whose limits.
    var server: UInt16 = 0
    /// False: a free slot.
    var isLive: Bool = false
    /// Put off to the end of the turn, so that others get theirs.
    var isDeferred: Bool = false

    /// One side has ended and the other has everything it sent.
    var isFinished: Bool {
        client.flags.isAtEnd && !upstream.hasPending || upstream.flags.isAtEnd && !client.hasPending
    }
}
