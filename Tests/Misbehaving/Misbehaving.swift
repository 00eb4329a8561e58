import ApusMail

/// A protocol of lines: `LOGIN name password`, `TLS`, `BYE`; anything else is answered with `fine`.
enum Misbehaving {
    static var declaration: ProtocolDeclaration {
        ProtocolDeclaration(
            name: "misbehaving", kind: ProtocolKind(rawValue: 99), defaultPorts: [9], applicationProtocol: "",
            internalServerError: "internal error\r\n", certificateError: "bad certificate\r\n",
            missingCertificate: "no certificate\r\n", requiresPassword: true,
            directives: AnyDirective.all(of: MisbehavingSettings.self),
            makeService: { MisbehavingService(fault: $0.settings[MisbehavingSettings.self].fault) })
    }
}

struct MisbehavingSettings: SettingsBlock {
    var fault = ""
    static var title: String { "Misbehaviour" }
    static var directives: [Directive<MisbehavingSettings>] {
        [Directive("misbehaviour", in: [.mail, .server], \.fault, .string("fault"), "What the protocol does wrong.")]
    }
}

final class MisbehavingService: ProtocolService {
    let fault: String
    init(fault: String) { self.fault = fault }
    func makeClientDialog(_ client: ClientFacts) -> any ClientDialog { MisbehavingClientDialog(fault: fault) }
}

struct MisbehavingClientDialog: ClientDialog {
    let fault: String
    var isOver = false
    var isRefused = false

    init(fault: String) { self.fault = fault }

    /// Throws where that is the fault.
    private func fail(in place: String) throws(Bug) {
        if fault == place + " throws" { throw Bug("a \(place) that does not throw") }
    }

    var inputLimit: Int {
        switch fault {
        case "hungry", "swallows": .max
        case "no room": 0
        case "less than no room": -1
        default: 64
        }
    }

    var greetingDelay: Duration {
        switch fault {
        case "spokeTooEarly throws", "early": .seconds(5)
        case "negative delay": .seconds(-5)
        case "endless delay": .seconds(Int64.max)
        case "immeasurable delay": .seconds(Int64.max) * 10
        default: .zero
        }
    }

    func greeting() throws(Bug) -> [UInt8] {
        try fail(in: "greeting")
        if fault == "clients speak first" { return [] }
        return "hello\r\n".bytes
    }

    func spokeTooEarly() throws(Bug) -> [UInt8] {
        try fail(in: "spokeTooEarly")
        return "too early\r\n".bytes
    }

    func startedTLS(_ client: ClientFacts) throws(Bug) { try fail(in: "startedTLS") }

    func greetingInTLS() throws(Bug) -> [UInt8] {
        try fail(in: "greetingInTLS")
        return []
    }

    func inputTooLong() throws(Bug) -> [UInt8] {
        try fail(in: "inputTooLong")
        return "too long\r\n".bytes
    }

    mutating func receive(_ input: Span<UInt8>) throws(Bug) -> ClientStep {
        try fail(in: "receive")
        // The session has said that it is over, and asks all the same.
        if isOver { return ClientStep(consumed: input.count, .reply("still there\r\n".bytes)) }
        switch fault {
        case "hungry": return ClientStep(consumed: 0, .needMoreInput)
        case "swallows": return ClientStep(consumed: input.count, .needMoreInput)
        case "uses up too much": return ClientStep(consumed: input.count + 1, .reply("fine\r\n".bytes))
        case "uses up less than nothing": return ClientStep(consumed: -1, .reply("fine\r\n".bytes))
        case "stands still": return ClientStep(consumed: 0, .reply("again\r\n".bytes))
        case "stands still in silence": return ClientStep(consumed: 0, .reply([]))
        default: break
        }
        guard let end = input.firstIndex(of: 0x0A) else { return ClientStep(consumed: 0, .needMoreInput) }
        if fault == "logs in without using anything up" {
            return ClientStep(consumed: 0, .authenticate(credentials(["", "bob", "wonderland"])))
        }
        return ClientStep(consumed: end + 1, perform(input.extracting(0..<end)))
    }

    private mutating func perform(_ line: Span<UInt8>) -> ClientAction {
        let words = line.bytes.split(whereSeparator: { $0 == 0x20 || $0 == 0x0D }).map { Array($0) }
        if isRefused && fault == "error data for ever" { return .authenticate(credentials(["", "bob", "wonderland"])) }
        switch words.first.map({ String(decoding: $0, as: UTF8.self) }) {
        case "BYE":
            isOver = fault == "replies after the end"
            return .replyAndClose("bye\r\n".bytes)
        case "TLS": return .startTLS("go on\r\n".bytes)
        case "LOGIN" where words.count == 3:
            return .authenticate(Credentials(method: .plain, login: words[1], password: Secret(words[2])))
        case "EXTERNAL": return .authenticate(Credentials(method: .external, login: "bob".bytes, password: Secret([])))
        case "RAW":
            return .authenticate(
                Credentials(method: .plain, login: "a\r\nb".bytes, password: Secret("c\r\nd".bytes)))
        case "END": return .endRefusal("ended\r\n".bytes)
        default: return .reply("fine\r\n".bytes)
        }
    }

    private func credentials(_ words: [String]) -> Credentials {
        Credentials(method: .plain, login: words[1].bytes, password: Secret(words[2].bytes))
    }

    mutating func refused(_ refusal: Refusal) throws(Bug) -> RefusalStep {
        try fail(in: "refused")
        isRefused = true
        if fault == "error data for ever" { return .errorData("data\r\n".bytes) }
        return .reply("no: ".bytes + refusal.message + "\r\n".bytes)
    }

    func makeBackendDialog(_ login: BackendLogin) throws(Bug) -> any BackendDialog {
        try fail(in: "makeBackendDialog")
        return MisbehavingBackendDialog(fault: fault, user: login.user)
    }
}

struct MisbehavingBackendDialog: BackendDialog {
    let fault: String
    let user: [UInt8]
    var hasSent = false

    init(fault: String, user: [UInt8]) { (self.fault, self.user) = (fault, user) }

    mutating func opening() throws(Bug) -> Secret? {
        switch fault {
        case "opening throws": throw Bug("an opening that does not throw")
        case "clients speak first":
            hasSent = true
            return Secret(joining: [.text("USER "), .bytes(user), .text("\r\n")])
        default: return nil
        }
    }

    mutating func receive(_ input: Span<UInt8>) throws(Bug) -> BackendStep {
        switch fault {
        case "backend throws": throw Bug("a backend dialog that does not throw")
        case "backend hungry": return .needMoreInput
        case "backend sends for ever": return .send(Secret("again\r\n".bytes), activity: "sending for ever")
        case "backend sends nothing": return .send(Secret([]), activity: "sending nothing")
        case "backend quotes too much": return .unexpected(quoted: 5..<5_000_000)
        case "backend calls nonsense what is not there": return .malformed(quoted: 5..<5_000_000)
        case "backend gives up": return .failed(note: "the backend dialog gives up")
        case "backend is silent": return .loggedIn(reply: [])
        default: break
        }
        guard input.firstIndex(of: 0x0A) != nil else { return .needMoreInput }
        guard !hasSent else { return .loggedIn(reply: "welcome\r\n".bytes) }
        hasSent = true
        return .send(Secret(joining: [.text("USER "), .bytes(user), .text("\r\n")]), activity: "sending user name")
    }
}
