import Proxy

/// A header of the PROXY protocol, at once and byte by byte: both must come to the same, and nothing is awaited behind
/// the limit.
func fuzzProxyHeader(_ input: Span<UInt8>) {
    let whole = ProxyHeader.read(input, isAll: false)
    if input.count >= ProxyHeader.longest { precondition(whole != .incomplete, "there is no end to it") }
    for count in 0...input.count {
        let beginning = ProxyHeader.read(input.extracting(first: count), isAll: false)
        precondition(beginning == .incomplete || isSame(beginning, whole), "the outcome depends on how it is cut")
        if count == input.count || beginning != .incomplete { break }
    }
    switch ProxyHeader.read(input, isAll: true) {
    case .incomplete: preconditionFailure("more is awaited where nothing comes")
    case .refused(.broken(let shown)): precondition((0...input.count).contains(shown))
    case .refused: break
    case .complete(let header):
        precondition(whole == .complete(header))
        precondition((1...min(input.count, ProxyHeader.longest)).contains(header.length))
        let addresses = (header.facts?.sourceAddress ?? []) + (header.facts?.destinationAddress ?? [])
        precondition(!addresses.contains { $0 <= 0x20 || $0 >= 0x7F }, "an address has what is none of an address")
    }
}

private func isSame(_ one: ProxyHeader.Outcome, _ other: ProxyHeader.Outcome) -> Bool {
    switch (one, other) {
    case (.refused(.broken), .refused(.broken)): true
    default: one == other
    }
}
