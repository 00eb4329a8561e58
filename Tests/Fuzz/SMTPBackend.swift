import ApusMail
import SMTP

/// The first byte chooses the client and the `server` block; the rest is what the server behind says, each 0xFF a moment
/// at which the dialog looks at what has come.
func fuzzSMTPBackend(_ input: Span<UInt8>) throws {
    guard input.count > 0 else { return }
    let choice = input[0]
    var dialog = try makeSMTPBackendDialog(choice)
    var received: [UInt8] = []
    for index in 1..<max(input.count, 1) {
        if input[index] != 0xFF { received.append(input[index]) }
        guard input[index] == 0xFF || index + 1 == input.count else { continue }
        switch try dialog.receive(received.span) {
        case .needMoreInput: break
        case .send(let command, _):
            let line: [UInt8] = command.withBytes { $0.bytes }
            precondition(
                line.count(where: { $0 == 0x0A }) == 1 && line.suffix(2) == [0x0D, 0x0A], "one line at a time")
            received = []
        case .loggedIn(let reply):
            precondition(choice & 1 == 0 ? reply == received : reply == "235 2.0.0 OK\r\n".bytes)
            return
        case .unexpected(let quoted), .malformed(let quoted):
            precondition(quoted.lowerBound >= 0 && quoted.upperBound <= received.count)
            return
        case .failed: preconditionFailure("there is a password")
        }
    }
}

private func makeSMTPBackendDialog(_ choice: UInt8) throws -> any BackendDialog {
    var settings = Settings()
    FuzzedSMTPClient.store("smtp_auth", ["none"], in: &settings)
    FuzzedSMTPClient.store("xclient", [choice & 2 != 0 ? "on" : "off"], in: &settings)
    FuzzedSMTPClient.store("proxy_smtp_auth", [choice & 4 != 0 ? "on" : "off"], in: &settings)
    let context = ServiceContext(serverName: "mx".bytes, startTLS: .off, isStrict: false, settings: settings)
    var client = SMTP.declaration.makeService(context).makeClientDialog(
        ClientFacts(isEncrypted: false, challenge: Challenge { [] }))
    let helo = choice & 8 != 0 ? "EHLO me\r\n" : "NOOP\r\n"
    let lines = helo + (choice & 1 != 0 ? "AUTH PLAIN AGJvYgA\r\n" : "MAIL FROM:<a>\r\nRCPT TO:<b>\r\n")
    var input = lines.bytes
    while !input.isEmpty {
        let step = try client.receive(input.span)
        input.removeFirst(step.consumed)
    }
    return try client.makeBackendDialog(
        BackendLogin(
            user: "bob".bytes, password: Secret("secret".bytes), clientAddress: "192.0.2.7".bytes,
            method: choice & 1 != 0 ? .plain : .none))
}
