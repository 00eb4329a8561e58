import ApusMail
import Auth

/// An answer of the authentication service, at once and byte by byte: both must come to the same, and nobody is let in
/// without having been accepted.
func fuzzHTTPAuth(_ input: Span<UInt8>) {
    var atOnce = HTTPAuthResponse()
    let whole = atOnce.receive(input)
    var slowly = HTTPAuthResponse()
    var last = HTTPAuthResponse.Progress.needMoreInput
    var index = 0
    while last == .needMoreInput, index < input.count {
        last = slowly.receive(input.extracting(index...index))
        index += 1
    }
    switch (whole, last) {
    case (.needMoreInput, .needMoreInput): break
    case (.failed(let problem), .failed(let other)): precondition(problem == other)
    case (.complete(let answer, let consumed), .complete(let other, _)):
        precondition(answer == other && consumed == index, "the answer depends on how it is cut")
        judge(answer)
    default: preconditionFailure("the outcome depends on how the answer is cut")
    }
}

private func judge(_ answer: HTTPAuthAnswer) {
    for method in [AuthenticationMethod.plain, .cramMD5, .external, .none] {
        let judge = HTTPAuthVerdict(service: "192.0.2.1:80".bytes, requiresPassword: true)
        guard case .accepted(let acceptance) = judge.verdict(on: answer, method: method) else { continue }
        precondition(answer.saysOK && answer.refusal == nil && !answer.saysWait)
        precondition(!(acceptance.user ?? []).contains { $0.isASCIIControl })
        precondition(acceptance.password.map { !$0.withBytes { $0.hasControlCharacter } } ?? true)
    }
}
