import ApusMail
import ManageSieve

/// The first byte chooses the `server` block; the rest is what the client sends, at once and byte by byte: both must
/// come to the same.
func fuzzManageSieveClient(_ input: Span<UInt8>) throws {
    guard input.count > 0 else { return }
    let choice = input[0]
    let sent: [UInt8] = input.extracting(1...).bytes
    var atOnce = try FuzzedManageSieveClient(choice)
    try atOnce.send(sent)
    var slowly = try FuzzedManageSieveClient(choice)
    for byte in sent { try slowly.send([byte]) }
    precondition(atOnce.log == slowly.log, "the outcome depends on how the input is cut")
}

/// A session around the dialog, which logs everything it is told.
private struct FuzzedManageSieveClient {
    private var dialog: any ClientDialog
    private var client: ClientFacts
    private var buffer: [UInt8] = []
    private var isClosed = false
    private(set) var log: [UInt8] = []

    init(_ choice: UInt8) throws {
        client = ClientFacts(
            isEncrypted: choice & 1 != 0, canVerifyDigests: choice & 2 != 0, challenge: Challenge { "<1.2@mx>".bytes })
        let policy: StartTLSPolicy = [.off, .on, .only, .on][Int(choice >> 2 & 3)]
        let context = ServiceContext(
            serverName: "mx".bytes, startTLS: policy, isStrict: choice & 16 != 0, settings: Self.settings(choice))
        dialog = ManageSieve.declaration.makeService(context).makeClientDialog(client)
        log = try dialog.greeting()
    }

    private static func settings(_ choice: UInt8) -> Settings {
        var settings = Settings()
        store(
            "sieve_auth",
            choice & 32 != 0 ? ["plain", "login", "cram-md5", "external", "xoauth2", "oauthbearer"] : ["external"],
            in: &settings)
        return settings
    }

    private static func store(_ name: String, _ words: [String], in settings: inout Settings) {
        let environment = LoadingEnvironment(prefix: "", configurationPrefix: "", isPrivileged: false, warn: { _ in })
        let use = DirectiveUse(
            name: name, arguments: words.map { Word($0) }, position: Position(file: nil, line: 1), isFirst: true,
            environment: environment)
        let directive = ManageSieve.declaration.directives.first { $0.name == name }
        try? directive?.read(use)(&settings)
    }

    mutating func send(_ bytes: [UInt8]) throws {
        buffer += bytes
        // Each step uses up input, asks for more, or ends the loop.
        var steps = 0
        while !isClosed, try takeStep() {
            steps += 1
            precondition(steps <= 2 * (buffer.count + bytes.count) + 2 * 65536, "the dialog makes no progress")
        }
    }

    private mutating func takeStep() throws -> Bool {
        let input = buffer
        let step = try dialog.receive(input.span)
        precondition((0...input.count).contains(step.consumed), "more is consumed than there is")
        buffer.removeFirst(step.consumed)
        if let note = step.note { log += note.bytes }
        switch step.action {
        case .needMoreInput:
            precondition(step.consumed == 0)
            guard buffer.count >= dialog.inputLimit else { return false }
            log += try dialog.inputTooLong()
            isClosed = true
        case .reply(let reply): log += reply
        case .invalid(let reply): log += "counted ".bytes + reply
        case .invalidAndClose(let reply), .replyAndClose(let reply), .tooManyCommands(let reply):
            log += reply
            isClosed = true
        case .startTLS(let reply):
            log += reply
            client.isEncrypted = true
            // What came in the same read is dropped, so that the rest depends on how the input is cut.
            isClosed = true
        case .authenticate(let credentials):
            let password: [UInt8] = credentials.password.withBytes { $0.bytes }
            precondition(!credentials.login.span.hasControlCharacter && !password.span.hasControlCharacter)
            log += credentials.method.rawValue.bytes + credentials.login + password
            switch try dialog.refused(Refusal(message: "no".bytes, errorData: "e30=".bytes)) {
            case .reply(let reply), .errorData(let reply): log += reply
            }
        case .endRefusal(let reply): log += reply
        }
        return true
    }
}
