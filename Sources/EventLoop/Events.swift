/// Kinds of readiness, as epoll reports them.
///
/// Everything is inlinable: an option set of another target that is not costs thousands of instructions per event.
@usableFromInline
package struct Events: OptionSet, Sendable {
    @usableFromInline package let rawValue: UInt32
    @inlinable package init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable package static var input: Events { Events(rawValue: 0x001) }
    @inlinable package static var output: Events { Events(rawValue: 0x004) }
    @inlinable package static var error: Events { Events(rawValue: 0x008) }
    @inlinable package static var hangup: Events { Events(rawValue: 0x010) }
    /// The peer has shut its sending side down.
    @inlinable package static var peerClosed: Events { Events(rawValue: 0x2000) }
    /// Wake one of the processes that share a listening socket.
    @inlinable package static var exclusive: Events { Events(rawValue: 0x1000_0000) }
    /// Report changes, not states.
    @inlinable package static var edgeTriggered: Events { Events(rawValue: 0x8000_0000) }

    @inlinable package var canRead: Bool { rawValue & 0x2019 != 0 }
    @inlinable package var canWrite: Bool { rawValue & 0x001C != 0 }
}
