/// What an authentication provider decided.
public enum Verdict: Sendable {
    /// The credentials are good.
    case accepted(Acceptance)
    /// They are not. With a `delay`, a day at most, the reply waits that long and the client may try again; without, it is
    /// the end.
    /// `user` is the name the log goes on with, when the provider gave one.
    case refused(Refusal, delay: Duration?, user: [UInt8]?)
    /// Ask again after the delay, 0.1 seconds at least; the client sees nothing. After five times `timeout` the client hears an
    /// internal error.
    case wait(Duration, user: [UInt8]?)
    /// No decision: the client hears an internal error. The text is for the log.
    case failed(AuthFailure)
}

/// Where the user's mail is, and what to say there.
public struct Acceptance: Sendable {
    /// The server's address: an IPv4 or IPv6 literal without brackets. Checked by the session.
    public var server: [UInt8]
    /// Its port, decimal. Checked by the session.
    public var port: [UInt8]
    /// Replaces the login.
    public var user: [UInt8]?
    /// Replaces the password.
    public var password: Secret?

    /// The server's address and port, and what replaces the client's words there.
    public init(server: [UInt8], port: [UInt8], user: [UInt8]? = nil, password: Secret? = nil) {
        (self.server, self.port, self.user, self.password) = (server, port, user, password)
    }
}

/// Why a provider could not decide, as one line of the log; the text is empty when nothing is to be logged.
public struct AuthFailure: Error, Equatable, Sendable {
    /// The level of its line in the log.
    public enum Level: Equatable, Sendable {
        /// Somebody has to act at once.
        case alert
        /// A failure of this machine.
        case critical
        /// A failure of somebody else's.
        case error
        /// Nothing unusual.
        case info
    }
    /// How serious it is.
    public var level: Level
    /// The line; control characters in it are escaped.
    public var message: [UInt8]
    /// The system error to be told with it; 0: none.
    public var errno: Int32
    /// The name the log goes on with, when the provider gave one.
    public var user: [UInt8]?

    /// A failure that the log tells with this line.
    public init(_ message: [UInt8], errno: Int32 = 0, level: Level = .error, user: [UInt8]? = nil) {
        (self.message, self.errno, self.level, self.user) = (message, errno, level, user)
    }
}
