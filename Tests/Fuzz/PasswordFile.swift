import ApusMail
import Auth

/// A password file, and its entries' answers to clients whose addresses do and do not fit. Hashes are not computed, since
/// they are slow by design.
func fuzzPasswordFile(_ input: Span<UInt8>) {
    let file = PasswdFile(parsing: input)
    precondition(file.problems.count <= PasswdFile.mostProblems && file.problems.count <= file.problemCount)
    precondition(file.entries.isEmpty == (file.dummy == nil))
    for (user, entry) in file.entries {
        precondition(!user.isEmpty && !user.span.hasControlCharacter)
        precondition(!(entry.user ?? []).contains { $0.isASCIIControl })
        for address in ["192.0.2.1", "::1", "unix:", "", "x"] { _ = entry.admits(clientAt: address.bytes) }
    }
}

/// What workers and password helpers say to each other: what can be read can be written and read again.
func fuzzHashMessage(_ input: Span<UInt8>) {
    if let request = HashRequest(input), let datagram = request.datagram {
        precondition(datagram.withBytes { HashRequest($0) } == request)
    }
    if let answer = HashAnswer(input) {
        precondition(answer.datagram.withBytes { HashAnswer($0) } == answer)
    }
}
