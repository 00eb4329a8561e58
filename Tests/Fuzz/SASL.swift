import ApusMail

/// The first byte chooses the mechanism, whether the first response is initial, and whether the lines are Base64 already
/// or become it here, so that what lies behind the decoder is reached too; LF separates the lines.
///
/// Whatever is accepted has neither control characters nor more bytes than were sent.
func fuzzSASL(_ input: Span<UInt8>) {
    guard input.count > 0 else { return }
    let choice = input[0]
    let mechanisms = SASLMechanism.allCases
    let mechanism = mechanisms[Int(choice & 15) % mechanisms.count]
    let sent: [UInt8] = input.extracting(1...).bytes
    var lines = sent.split(separator: 0x0A, omittingEmptySubsequences: false).map { Array($0) }
    if choice & 32 != 0 { lines = lines.map { Base64.encode($0.span) } }
    var exchange = SASLExchange(mechanism, salt: "<1.2@mx>".bytes)
    var step: SASLStep?
    if choice & 16 == 0 { step = exchange.begin() }
    for line in lines {
        switch step {
        case nil: step = exchange.begin(with: line.span)
        case .challenge: step = exchange.respond(line.span)
        case .authenticate(let credentials): return check(credentials, mechanism, sentBytes: sent.count, line)
        case .failed: return
        }
    }
    if case .authenticate(let credentials) = step { check(credentials, mechanism, sentBytes: sent.count, []) }
}

private func check(_ credentials: Credentials, _ mechanism: SASLMechanism, sentBytes: Int, _ next: [UInt8]) {
    precondition(!credentials.login.span.hasControlCharacter)
    precondition(!credentials.password.withBytes { $0.hasControlCharacter })
    precondition(credentials.login.count + credentials.password.count <= sentBytes, "more came out than went in")
    precondition((credentials.salt != nil) == (mechanism == .cramMD5))
    precondition(credentials.method.givesToken == (mechanism == .xoauth2 || mechanism == .oauthBearer))
    if mechanism == .oauthBearer { precondition(!credentials.login.isEmpty && !credentials.password.isEmpty) }
    let refusal = Refusal(message: [], errorData: "e30=".bytes)
    guard let told = SASLRefusal(refusal, of: credentials.method, reply: [1]) else {
        return precondition(!credentials.method.givesToken)
    }
    let acknowledgement = mechanism == .xoauth2 ? [] : "AQ==".bytes
    precondition((told.reply(to: next.span, orElse: []) == [1]) == (next == acknowledgement))
}
