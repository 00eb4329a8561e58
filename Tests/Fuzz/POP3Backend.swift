import ApusMail
import POP3

/// What the server behind says; each 0xFF stands for a moment at which the dialog looks at what has come.
func fuzzPOP3Backend(_ input: Span<UInt8>) throws {
    var dialog = try makePOP3BackendDialog()
    var received: [UInt8] = []
    for index in 0..<input.count {
        if input[index] != 0xFF { received.append(input[index]) }
        guard input[index] == 0xFF || index + 1 == input.count else { continue }
        switch try dialog.receive(received.span) {
        case .needMoreInput: break
        case .send(let command, _):
            let lineEnds = command.withBytes { $0.bytes.count { $0 == 0x0A } }
            precondition(lineEnds == 1, "one command is one line")
            received = []
        case .loggedIn(let reply):
            precondition(reply == received)
            return
        case .failed: preconditionFailure("POP3 has no such step")
        case .unexpected(let quoted), .malformed(let quoted):
            precondition(quoted.lowerBound >= 0 && quoted.upperBound <= received.count)
            return
        }
    }
}

private func makePOP3BackendDialog() throws -> any BackendDialog {
    let context = ServiceContext(serverName: [], startTLS: .off, isStrict: false, settings: Settings())
    var client = POP3.declaration.makeService(context).makeClientDialog(
        ClientFacts(isEncrypted: false, challenge: Challenge { [] }))
    let line = "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n".bytes
    _ = try client.receive(line.span)
    return try client.makeBackendDialog(
        BackendLogin(user: "bob".bytes, password: Secret("secret".bytes), clientAddress: [], method: .plain))
}
