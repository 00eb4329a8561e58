import Glibc

/// A system call failed unexpectedly.
package struct SystemError: Error, Equatable, Sendable {
    package let call: StaticString
    package let errno: CInt

    package init(call: StaticString, errno: CInt) { (self.call, self.errno) = (call, errno) }

    /// What the system says about the last failed call.
    package static func last(_ call: StaticString) -> SystemError { SystemError(call: call, errno: Glibc.errno) }

    package static func == (left: SystemError, right: SystemError) -> Bool {
        left.errno == right.errno && left.call.description == right.call.description
    }

    /// The system's text for an error number.
    package static func text(_ number: CInt) -> String { String(cString: strerror(number)) }

    /// `(errno: text)`, as log lines end.
    package var suffix: String { "(\(errno): \(Self.text(errno)))" }

    /// The peer or the network between did it: reset, broken pipe, timed out, refused, unreachable.
    package var isOrdinaryNetworkFailure: Bool {
        switch errno {
        case ECONNRESET, EPIPE, ENOTCONN, ETIMEDOUT, ECONNREFUSED, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH: true
        default: false
        }
    }
}
