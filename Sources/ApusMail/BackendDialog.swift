/// The dialog with the server behind, up to its acceptance of the login: bytes in, actions out.
public protocol BackendDialog {
    /// What the server is sent as soon as the connection is there, asked for once, before anything else. nil, as without
    /// an implementation: the server speaks first.
    mutating func opening() throws(Bug) -> Secret?

    /// Looks at what the server has sent since the last step.
    ///
    /// - Parameter input: All bytes since the server was last sent something, the opening included; more may follow. The
    ///   dialog says itself when a reply is complete.
    mutating func receive(_ input: Span<UInt8>) throws(Bug) -> BackendStep
}

extension BackendDialog {
    /// Nothing: the server greets.
    public func opening() -> Secret? { nil }
}

/// What a dialog made of the server's bytes.
public enum BackendStep {
    /// No complete reply yet. When `proxy_buffer` is full with it the session ends.
    case needMoreInput
    /// The reply was the awaited one: send this next. All input is used up.
    /// `activity` names it in the log after "while", for example `sending user name to upstream`.
    case send(Secret, activity: StaticString)
    /// Logged in. `reply` goes to the client, then both sides are relayed.
    case loggedIn(reply: [UInt8])
    /// A refusal. `quoted` is the part of the input that the log shows, up to where it repeats the password or a secret part of
    /// what was sent last (``Secret/Part/secret(_:)``); with `proxy_pass_error_message` the client hears all of the input.
    case unexpected(quoted: Range<Int>)
    /// No reply of the protocol: nonsense, more than one, a positive one where it means nothing. `quoted` is for the log, as
    /// with ``unexpected(quoted:)``; the client never hears it. (IMAP, POP3 and SMTP do as nginx does: they pass on whatever is
    /// not the awaited reply.)
    case malformed(quoted: Range<Int>)
    /// The dialog cannot go on, whatever the server has said: what it would have to send cannot be sent. The note is for the
    /// log at level error.
    case failed(note: StaticString)
}

/// What is told the server behind.
public struct BackendLogin: Sendable {
    /// The login, the provider's where it gave one.
    public var user: [UInt8]
    /// nil: none is known; an empty one is a password.
    public var password: Secret?
    /// The client's address as text, without port and brackets; `unix:` for UNIX sockets.
    public var clientAddress: [UInt8]
    /// The client's host name from DNS or its placeholder; empty where the protocol does not ask for it.
    public var clientHostName: [UInt8]
    /// How the client authenticated.
    public var method: AuthenticationMethod

    /// What is told the server behind.
    public init(
        user: [UInt8], password: Secret?, clientAddress: [UInt8], clientHostName: [UInt8] = [],
        method: AuthenticationMethod
    ) {
        self.user = user
        self.password = password
        self.clientAddress = clientAddress
        self.clientHostName = clientHostName
        self.method = method
    }
}
