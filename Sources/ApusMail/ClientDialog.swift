/// The client's side of a protocol up to hand-over: bytes in, actions out. It knows no socket and no clock.
///
/// The session calls ``greeting()`` once, then ``receive(_:)`` whenever input is there, until that answers with
/// something else than to go on. While credentials are checked it is not called at all.
public protocol ClientDialog {
    /// How much input is kept for it, in bytes, from 1 to 1,048,576: so much without a complete command is a command too long.
    var inputLimit: Int { get }

    /// Set by the session when the client has used up its commands (`max_commands`): the next one that the parser
    /// understands is not carried out, but answered with ``ClientAction/tooManyCommands(_:)``. Where a dialog takes no
    /// notice, the session closes with what ``inputTooLong()`` says. To take notice is to store it:
    /// `var refusesCommands = false`.
    var refusesCommands: Bool { get set }

    /// How long the greeting waits. A client that speaks meanwhile hears ``spokeTooEarly()`` instead of it.
    var greetingDelay: Duration { get }

    /// The client spoke before a delayed greeting: the reply before the session closes.
    mutating func spokeTooEarly() throws(Bug) -> [UInt8]

    /// What is sent when the client has connected (nginx: `init_session`); empty where clients speak first.
    mutating func greeting() throws(Bug) -> [UInt8]

    /// TLS has been started inside the session: everything learned before it is forgotten (nginx: `init_protocol`).
    mutating func startedTLS(_ client: ClientFacts) throws(Bug)

    /// What is sent when TLS has been started inside the session, where the protocol has the server speak first then;
    /// empty where it does not.
    mutating func greetingInTLS() throws(Bug) -> [UInt8]

    /// One attempt to take a command from the front of the input (nginx: `parse_command` and `auth_state`).
    ///
    /// - Parameter input: Everything received and not consumed yet; the same bytes come again, with more behind
    ///   them, after ``ClientAction/needMoreInput``.
    mutating func receive(_ input: Span<UInt8>) throws(Bug) -> ClientStep

    /// The input is as long as ``inputLimit`` and still no command: the reply before the session closes.
    mutating func inputTooLong() throws(Bug) -> [UInt8]

    /// What the client hears before the session closes for this reason: a line, or more, behind the reply to its last command
    /// where there is one; empty where the protocol has no words for it.
    func farewell(_ reason: Farewell) -> [UInt8]

    /// What a log may show of input: enough to recognise a command, nothing that may be a password. Without an
    /// implementation, `...`.
    ///
    /// Asked when input is refused without a dialog having answered it: it was too long, or came before the greeting. The
    /// session escapes control characters, and cuts the line of the log at 2,048 bytes.
    ///
    /// - Parameter input: All that is there: often half a command, perhaps several.
    func redacted(_ input: Span<UInt8>) -> [UInt8]

    /// The credentials were refused.
    mutating func refused(_ refusal: Refusal) throws(Bug) -> RefusalStep

    /// The dialog with the server behind, for credentials that were accepted.
    func makeBackendDialog(_ login: BackendLogin) throws(Bug) -> any BackendDialog
}

extension ClientDialog {
    /// Takes no notice.
    public var refusesCommands: Bool {
        get { false }
        set {}
    }
    /// Shows nothing.
    public func redacted(_ input: Span<UInt8>) -> [UInt8] { "...".bytes }
    /// No delay.
    public var greetingDelay: Duration { .zero }
    /// Throws: without a delay nobody speaks before the greeting.
    public func spokeTooEarly() throws(Bug) -> [UInt8] { throw Bug("a greeting without delay is sent at once") }
    /// Nothing: the client speaks first.
    public func greetingInTLS() throws(Bug) -> [UInt8] { [] }
    /// Nothing.
    public func farewell(_ reason: Farewell) -> [UInt8] { [] }
}

/// Why a session ends without its client having asked for it.
public enum Farewell: Sendable {
    /// The client's time for logging in is over (`timeout`).
    case timeout
    /// `max_errors` is reached.
    case tooManyErrors
    /// The credentials were refused for good.
    case loginRefused
}

/// What a dialog made of its input.
public struct ClientStep {
    /// The bytes used up from the front of the input.
    public var consumed: Int
    /// What is to be done.
    public var action: ClientAction
    /// A line for the log at level info, such as `client sent invalid login in AUTH PLAIN command`. Before what it is
    /// ``quoting`` it ends in a space: `client was rejected: `.
    public var note: StaticString?
    /// Bytes of the client that the note ends with, in quotation marks; control characters are escaped. Nothing without a note.
    public var quoting: [UInt8]?

    /// A step that uses up `consumed` bytes; the note goes to the log at level info, with what it is `quoting`.
    public init(consumed: Int, _ action: ClientAction, note: StaticString? = nil, quoting: [UInt8]? = nil) {
        (self.consumed, self.action, self.note, self.quoting) = (consumed, action, note, quoting)
    }
}

/// What the session is to do for a dialog.
public enum ClientAction {
    /// No complete command yet. A step may use up what belongs to none, such as an empty line; ``ClientDialog/receive(_:)`` is
    /// called again at once then, when there is more.
    case needMoreInput
    /// Send, then go on with the next command. An empty one sends nothing.
    case reply([UInt8])
    /// The parser refused the command: send, count it for `max_errors`, go on.
    case invalid([UInt8])
    /// As ``invalid(_:)``, but close after it.
    case invalidAndClose([UInt8])
    /// The command was understood, but it is one too many: send what an invalid command is answered with, and close.
    case tooManyCommands([UInt8])
    /// Send and close.
    case replyAndClose([UInt8])
    /// Send, drop all input, do the TLS handshake, call ``ClientDialog/startedTLS(_:)``, and send what
    /// ``ClientDialog/greetingInTLS()`` answers.
    case startTLS([UInt8])
    /// Ask the authentication provider.
    case authenticate(Credentials)
    /// The client has answered the error data of a refusal: send. Close after it, or go on with the next command, as the
    /// provider said.
    case endRefusal([UInt8])
}

/// How a client hears of a refusal.
public enum RefusalStep: Equatable, Sendable {
    /// Send. The dialog is back at its start (it may be closed anyway).
    case reply([UInt8])
    /// Send error data, and hand the client's next line to ``ClientDialog/receive(_:)``, which answers it with
    /// ``ClientAction/endRefusal(_:)``.
    case errorData([UInt8])
}

/// A refusal of the authentication provider.
public struct Refusal: Equatable, Sendable {
    /// The text for the user, without line end; free of control characters.
    public var message: [UInt8]
    /// SMTP's reply code, when the provider gave one: `535`, or with an enhanced status code behind, `535 5.7.8`
    /// (RFC 5321 §4.2.1, RFC 2034). It has to begin with 4 or 5.
    public var code: [UInt8]?
    /// What a client of XOAUTH2 or OAUTHBEARER is told before, Base64, when the provider gave it.
    public var errorData: [UInt8]?

    /// A reply would begin with a code that tells the client that it is logged in, or with none at all.
    package var hasCodeOfSuccess: Bool {
        guard let code else { return false }
        guard code.count >= 3, code[1].isASCIIDigit, code[2].isASCIIDigit else { return true }
        return code[0] != 0x34 && code[0] != 0x35 || code.count > 3 && code[3] != 0x20
    }

    /// A refusal with this text.
    public init(message: [UInt8], code: [UInt8]? = nil, errorData: [UInt8]? = nil) {
        (self.message, self.code, self.errorData) = (message, code, errorData)
    }
}
