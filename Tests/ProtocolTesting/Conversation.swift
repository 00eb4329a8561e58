// What the tests of every protocol share: a conversation with its client dialog, written as tables of what is sent and
// what is done then. A protocol's tests name their own: `typealias Service = TestService<IMAP>`.

package import ApusMail
import Testing

/// The declaration that a protocol's room offers.
package protocol ProtocolUnderTest {
    static var declaration: ProtocolDeclaration { get }
}

/// A client dialog with a session around it that keeps minutes of what the dialog wants done.
///
/// One line each: a reply as it stands, without its last line end and with ` / ` for those inside; `counted: REPLY`,
/// `close: REPLY`, `counted, close: REPLY`, `tls: REPLY`, `too long: REPLY`; `auth METHOD "LOGIN" "PASSWORD"`, or `auth none HELO | MAIL | RCPT`,
/// which are refused with `no`, and with the service's error data first; `refused: REPLY` ends that; `(NOTE)` before what it goes with.
package struct TestConversation<Tested: ProtocolUnderTest> {
    private var dialog: any ClientDialog
    private var buffer: [UInt8] = []
    package private(set) var minutes: [String] = []
    package private(set) var isClosed = false
    package let client: ClientFacts
    private let errorData: [UInt8]?

    package init(_ service: TestService<Tested> = TestService()) throws {
        client = service.client
        errorData = service.errorData?.bytes
        dialog = try service.make().makeClientDialog(client)
        _ = try dialog.greeting()
    }

    /// The session has counted enough commands.
    package mutating func exhaust() { dialog.refusesCommands = true }

    package mutating func send(_ bytes: some Sequence<UInt8>) throws {
        buffer += bytes
        while !isClosed, try takeStep() {}
    }

    /// One call of `receive`; false when it waits for more.
    private mutating func takeStep() throws -> Bool {
        let input = buffer
        let step = try dialog.receive(input.span)
        guard (0...buffer.count).contains(step.consumed) else { throw ApusMail.Bug("consumed more than there is") }
        buffer.removeFirst(step.consumed)
        if let note = step.note {
            minutes.append("(\(note)\(String(decoding: step.quoting ?? [], as: UTF8.self)))")
        }
        switch step.action {
        case .needMoreInput:
            guard buffer.count >= dialog.inputLimit else { return false }
            end("too long: ", try dialog.inputTooLong())
        case .reply(let reply): write("", reply)
        case .invalid(let reply): write("counted: ", reply)
        case .invalidAndClose(let reply): end("counted, close: ", reply)
        case .replyAndClose(let reply): end("close: ", reply)
        case .startTLS(let reply):
            write("tls: ", reply)
            buffer = []
            var encrypted = client
            encrypted.isEncrypted = true
            try dialog.startedTLS(encrypted)
            let greeting = try dialog.greetingInTLS()
            if !greeting.isEmpty { write("", greeting) }
        case .authenticate(let credentials):
            minutes.append(Self.describe(credentials))
            switch try dialog.refused(Refusal(message: "no".bytes, errorData: errorData)) {
            case .reply(let reply), .errorData(let reply): write("", reply)
            }
        case .tooManyCommands(let reply): end("too many: ", reply)
        case .endRefusal(let reply): write("refused: ", reply)
        }
        return true
    }

    private mutating func write(_ prefix: String, _ reply: [UInt8]) {
        var lines = String(decoding: reply, as: UTF8.self).split(
            separator: "\r\n" as Character, omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() } else { lines.append("(no line end)") }
        minutes.append(prefix + lines.joined(separator: " / "))
    }

    private mutating func end(_ prefix: String, _ reply: [UInt8]) {
        write(prefix, reply)
        isClosed = true
    }

    private static func describe(_ credentials: Credentials) -> String {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        if let envelope = credentials.envelope {
            return "auth \(credentials.method.rawValue) "
                + [envelope.helo, envelope.from, envelope.to].map(text).joined(separator: " | ")
        }
        let password = credentials.password.withBytes { text($0.bytes) }
        let salt = credentials.salt.map { " salt \(text($0))" } ?? ""
        return "auth \(credentials.method.rawValue) \"\(text(credentials.login))\" \"\(password)\"\(salt)"
    }
}

/// The `server` block a conversation is held with.
package struct TestService<Tested: ProtocolUnderTest>: Sendable {
    package var directives: [String] = []
    package var startTLS = StartTLSPolicy.off
    package var isStrict = false
    package var isEncrypted = false
    package var canVerifyDigests = true
    /// What comes with refusals, Base64.
    package var errorData: String?

    package init(
        directives: [String] = [], startTLS: StartTLSPolicy = .off, isStrict: Bool = false, isEncrypted: Bool = false,
        canVerifyDigests: Bool = true, errorData: String? = nil
    ) {
        self.directives = directives
        self.startTLS = startTLS
        self.isStrict = isStrict
        self.isEncrypted = isEncrypted
        self.canVerifyDigests = canVerifyDigests
        self.errorData = errorData
    }

    package var client: ClientFacts {
        ClientFacts(
            isEncrypted: isEncrypted, canVerifyDigests: canVerifyDigests, challenge: Challenge { "<1.2@mx>".bytes })
    }

    package func make() throws -> any ProtocolService {
        let text = directives.map { $0 + ";" }.joined()
        return Tested.declaration.makeService(
            ServiceContext(
                serverName: "mx".bytes, startTLS: startTLS, isStrict: isStrict,
                settings: try Settings(reading: text, with: Tested.declaration.directives)))
    }
}

/// What a client sends and what is to be in the minutes then.
package struct TestExchange<Tested: ProtocolUnderTest>: Sendable, CustomTestStringConvertible {
    package let input: String
    package let minutes: [String]

    package init(_ input: String, _ minutes: String...) { (self.input, self.minutes) = (input, minutes) }

    package var testDescription: String { String(reflecting: input) }

    /// The whole, one byte at a time, and in two pieces cut at every place.
    package var deliveries: [[[UInt8]]] {
        let bytes = input.bytes
        return [[bytes], bytes.map { [$0] }]
            + bytes.indices.map { [Array(bytes[..<$0]), Array(bytes[$0...])] }
    }

    package func held(_ delivery: [[UInt8]], with service: TestService<Tested> = TestService()) throws -> [String] {
        var conversation = try TestConversation(service)
        for piece in delivery { try conversation.send(piece) }
        return conversation.minutes
    }
}
