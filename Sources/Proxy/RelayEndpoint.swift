import EventLoop

/// One side of a relaying session: a socket, TLS when it is on, and what could not be written to it yet.
///
/// A plain struct without references, so that a session can be described completely and rebuilt elsewhere.
struct RelayEndpoint {
    var registration = Registration.none
    /// The `SSL *`; nil for a plain connection.
    var ssl: OpaquePointer?
    /// Bytes read from the other side that this one did not take; memory is attached only while there are some.
    var pending: UnsafeMutableRawPointer?
    var pendingStart: UInt32 = 0
    var pendingEnd: UInt32 = 0
    /// Bytes this side has sent us.
    var received: UInt64 = 0
    var descriptor: Int32 = -1
    /// Bytes for this side that wait in a pipe, and which.
    var piped: UInt32 = 0
    var pipe = PipePool.none
    var watched: UInt32 = 0
    var flags = Flags()

    struct Flags {
        var bits: UInt8 = 0
        /// The kernel may have bytes for us.
        var isReadable: Bool {
            get { bits & 1 != 0 }
            set { set(1, newValue) }
        }
        /// The kernel takes bytes from us.
        var isWritable: Bool {
            get { bits & 2 != 0 }
            set { set(2, newValue) }
        }
        /// The peer's FIN is in sight: read until the end shows.
        var isEnding: Bool {
            get { bits & 4 != 0 }
            set { set(4, newValue) }
        }
        /// Everything the peer sent was read.
        var isAtEnd: Bool {
            get { bits & 8 != 0 }
            set { set(8, newValue) }
        }
        /// It failed: nobody is there to say good-bye to.
        var hasFailed: Bool {
            get { bits & 16 != 0 }
            set { set(16, newValue) }
        }

        /// It sends so much that a pipe pays.
        var isBulk: Bool {
            get { bits & 32 != 0 }
            set { set(32, newValue) }
        }

        private mutating func set(_ bit: UInt8, _ isOn: Bool) {
            if isOn { bits |= bit } else { bits &= ~bit }
        }
    }

    /// This side has not taken all that was sent to it.
    var hasPending: Bool { pending != nil || pipe != PipePool.none }

    var pendingCount: Int { Int(pendingEnd &- pendingStart) }
}
