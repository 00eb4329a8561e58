import ApusMail

/// Finds the end of the line at the front of the input, however it is cut into pieces; no byte is looked at twice.
struct LineReader {
    private let bufferSize: Int
    private let isResponse: Bool
    /// There is no line feed before this.
    private var scanned = 0
    /// The line begins with AUTH and a space.
    private var isAuth = false

    /// - Parameter isResponse: The line is one of an AUTH exchange.
    init(bufferSize: Int, isResponse: Bool = false) { (self.bufferSize, self.isResponse) = (bufferSize, isResponse) }

    /// The most bytes the line may have. SASL responses, the initial one too, have a limit of their own (RFC 4954 §4).
    var limit: Int {
        if isResponse { return max(bufferSize, SASLExchange.longestResponse + 2) }
        // `AUTH`, a mechanism's name (20, RFC 4422 §3.1), two spaces and CRLF.
        return isAuth ? max(bufferSize, SASLExchange.longestResponse + 4 + 20 + 4) : bufferSize
    }

    /// The line's length with its end, and without; nil when it is not complete.
    mutating func read(_ input: Span<UInt8>) -> (whole: Int, content: Int)? {
        isAuth = input.count >= 5 && input.extracting(0..<5).spells("AUTH ")
        let seen = input.extracting(0..<min(input.count, limit))
        guard let end = seen.firstIndex(of: 0x0A, from: min(scanned, seen.count)) else {
            scanned = seen.count
            return nil
        }
        scanned = 0
        return (end + 1, end > 0 && seen[end - 1] == 0x0D ? end - 1 : end)
    }
}
