/// A refusal with error data: the client is sent the data, has to acknowledge it, and only then hears the refusal itself
/// (RFC 7628 §3.2.3, RFC 4422 §3.6).
public struct SASLRefusal: Sendable {
    /// Base64, to be sent behind the protocol's mark for a continuation.
    public let errorData: [UInt8]
    private let method: AuthenticationMethod
    private let reply: [UInt8]

    /// A refusal with the provider's error data.
    ///
    /// - Parameters:
    ///   - refusal: What the provider said.
    ///   - method: How the client authenticated.
    ///   - reply: The refusal in the protocol's words, line end included.
    /// - Returns: nil when there is no such data, or the method knows none.
    public init?(_ refusal: Refusal, of method: AuthenticationMethod, reply: [UInt8]) {
        guard method.givesToken, let errorData = refusal.errorData else { return nil }
        (self.errorData, self.method, self.reply) = (errorData, method, reply)
    }

    /// What is said to the client's next line: the refusal when it is the acknowledgement, else `invalid`.
    public func reply(to response: Span<UInt8>, orElse invalid: [UInt8]) -> [UInt8] {
        // The acknowledgement of OAUTHBEARER is the byte 1, that of XOAUTH2 an empty line.
        let isAcknowledged = method == .oauthbearer ? response.equals("AQ==") : response.isEmpty
        return isAcknowledged ? reply : invalid
    }
}
