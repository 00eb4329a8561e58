package import ApusMail

/// What an authentication service answered, as far as its headers have a meaning (auth-http.md 3).
package struct HTTPAuthAnswer: Equatable, Sendable {
    /// What the status line said.
    package enum Status: Equatable, Sendable {
        /// There was no status line; nginx reads such an answer all the same.
        case missing
        /// nil: no number where one belongs.
        case code(Int?)

        var isSuccess: Bool {
            switch self {
            case .missing: true
            case .code(let code): code.map { (200...299).contains($0) } ?? false
            }
        }
    }

    package var status = Status.missing
    /// `Auth-Status: OK` was there.
    package var saysOK = false
    /// `Auth-Status: WAIT` was there.
    package var saysWait = false
    /// The last `Auth-Status` that is neither; an OK does not undo it.
    package var refusal: [UInt8]?
    package var server: [UInt8] = []
    package var port: [UInt8] = []
    package var user: [UInt8]?
    package var password: Secret?
    /// `Auth-Wait`, in seconds, when it is a number.
    package var wait: Int?
    package var errorCode: [UInt8]?
    /// `Auth-Error-SASL`: error data for a client of XOAUTH2 or OAUTHBEARER.
    package var errorData: [UInt8]?
    /// How many bytes follow the headers; nil when the connection cannot be used again after them.
    package var bodyLength: Int?
}

/// How the headers of an answer say whether its connection can be used again (decisions.md 11).
struct HTTPFraming {
    private var lengths: [Int?] = []
    private var hasTransferEncoding = false
    private var asksToKeep = false
    /// The answer is HTTP/1.1, whose connections stay unless it says otherwise (RFC 9112 9.3).
    var isPersistent = false
    private var asksToClose = false

    mutating func contentLength(_ value: Span<UInt8>) {
        guard lengths.count < 2 else { return }
        lengths.append(value.decimal(atMost: 1 << 40))
    }

    mutating func transferEncoding() { hasTransferEncoding = true }

    /// A list of tokens (RFC 9110 7.6.1).
    mutating func connection(_ value: Span<UInt8>) {
        let list: [UInt8] = value.bytes
        for token in list.split(separator: 0x2C) {
            let word = token.filter { $0 != 0x20 && $0 != 0x09 }
            if word.span.spells("KEEP-ALIVE") { asksToKeep = true }
            if word.span.spells("CLOSE") { asksToClose = true }
        }
    }

    /// What follows the headers, when the connection may be used after it.
    func bodyLength(after status: HTTPAuthAnswer.Status) -> Int? {
        guard case .code(let code?) = status, code >= 200, asksToKeep || isPersistent, !asksToClose,
            !hasTransferEncoding
        else {
            return nil
        }
        if code == 204 { return lengths.allSatisfy { $0 == 0 } ? 0 : nil }
        return lengths.count == 1 ? lengths[0] : nil
    }
}
