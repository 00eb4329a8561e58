/// Why a name or an address was not resolved: the answer's code (RFC 1035 section 4.1.1), or 110 when time ran out.
package struct ResolverFailure: Error, Equatable, Sendable {
    package let code: Int

    init(code: Int) { self.code = code }

    package static var formatError: ResolverFailure { ResolverFailure(code: 1) }
    package static var serverFailure: ResolverFailure { ResolverFailure(code: 2) }
    /// NXDOMAIN, or an answer without any record.
    package static var notFound: ResolverFailure { ResolverFailure(code: 3) }
    /// ETIMEDOUT, as log lines show it.
    package static var timedOut: ResolverFailure { ResolverFailure(code: 110) }

    package var text: StaticString {
        switch code {
        case 1: "Format error"
        case 2: "Server failure"
        case 3: "Host not found"
        case 4: "Unimplemented"
        case 5: "Operation refused"
        case 110: "Operation timed out"
        default: "Unknown error"
        }
    }
}
