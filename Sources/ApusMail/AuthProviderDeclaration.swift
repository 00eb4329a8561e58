/// A way to authenticate users, declared by one value: what `auth_http` is, under a directive of your own.
public struct AuthProviderDeclaration {
    /// The directive that selects the provider, one of ``directives``. As with `auth_http`, the innermost block that says
    /// how users are authenticated decides; two ways in one block are an error.
    public var directive: String
    /// The directives the provider brings along.
    public var directives: [AnyDirective]
    /// Called for each `server` block whose users it authenticates, when the configuration is read: refuses settings that
    /// cannot work. The place of the block is added to the message.
    public var check: (ServiceContext) throws(ConfigError) -> Void
    /// Makes the provider of one `server` block; called once for each in each worker, before it accepts connections.
    public var makeProvider: (ProviderContext) -> any AuthProvider

    /// - Parameters:
    ///   - directive: The name of the directive that selects the provider, lower case.
    ///   - directives: That directive, and all others the provider knows.
    ///   - check: Refuses settings that cannot work.
    ///   - makeProvider: Called in the worker, once for each `server` block.
    public init(
        directive: String, directives: [AnyDirective],
        check: @escaping (ServiceContext) throws(ConfigError) -> Void = { (_) throws(ConfigError) in },
        makeProvider: @escaping (ProviderContext) -> any AuthProvider
    ) {
        (self.directive, self.directives) = (directive, directives)
        (self.check, self.makeProvider) = (check, makeProvider)
    }
}

/// What a provider learns about the `server` block whose users it authenticates.
public struct ProviderContext {
    /// The ``ProtocolDeclaration/name`` of the block's protocol.
    public var protocolName: String
    /// An ``Acceptance`` must come with a password where the client gave none
    /// (``ProtocolDeclaration/requiresPassword``).
    public var requiresPassword: Bool
    /// The settings of the block, the provider's own among them.
    public var settings: Settings
    /// The loop of the worker the provider lives in.
    public var loop: any WorkerLoop

    /// - Parameters:
    ///   - protocolName: The name of the block's protocol.
    ///   - requiresPassword: An acceptance must come with a password.
    ///   - settings: The settings of the block.
    ///   - loop: The loop of the worker.
    public init(protocolName: String, requiresPassword: Bool, settings: Settings, loop: any WorkerLoop) {
        self.protocolName = protocolName
        self.requiresPassword = requiresPassword
        self.settings = settings
        self.loop = loop
    }
}

/// The event loop of a worker, as a provider may use it.
///
/// A worker has one thread, and all its sessions live in it: a provider never blocks. It watches the descriptors it waits
/// for, sets timers, and answers from there.
public protocol WorkerLoop: AnyObject {
    /// Milliseconds of a clock that only goes forward, as of the beginning of this turn.
    var now: UInt64 { get }

    /// Runs `action` once, at the end of this turn.
    func later(_ action: @escaping () -> Void)

    /// Runs `action` once, after `delay` (in whole milliseconds, one at least), unless it is cancelled before.
    func schedule(after delay: Duration, _ action: @escaping () -> Void) -> any Cancellable

    /// Calls `ready` in each turn in which the descriptor is ready for what is asked, until it is cancelled. Errors and
    /// the end of the stream are readiness too: the next read or write tells.
    ///
    /// The descriptor stays the caller's, who cancels before closing it. The watch has one more of its own until then.
    ///
    /// - Parameters:
    ///   - descriptor: A socket or a pipe, not blocking.
    ///   - interest: What is waited for.
    ///   - ready: Called with what the descriptor is ready for.
    /// - Returns: nil when the kernel cannot watch it: it is closed, or a file, or the process has no descriptor left.
    func watch(
        _ descriptor: CInt, for interest: Readiness, _ ready: @escaping (Readiness) -> Void
    ) -> (any Cancellable)?
}

/// What a descriptor is ready for (poll(2)).
public struct Readiness: OptionSet, Sendable {
    /// The bits, as the static members name them.
    public let rawValue: UInt8
    /// - Parameter rawValue: The bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// A read does not block.
    public static var input: Readiness { Readiness(rawValue: 1) }
    /// A write does not block.
    public static var output: Readiness { Readiness(rawValue: 2) }
}

/// Something under way that nobody may want any more.
public protocol Cancellable: AnyObject {
    /// Ends it; nothing of it is called afterwards. More calls, and calls after the end, do nothing.
    func cancel()
}
