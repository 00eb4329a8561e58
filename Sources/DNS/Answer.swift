package import Platform

/// The kinds of records that are asked for (RFC 1035 section 3.2.2, RFC 3596 section 2.1).
package enum RecordType: UInt16, Sendable { case a = 1, ptr = 12, aaaa = 28 }

/// What an answer says; nothing at all where the name has no records of the type.
package struct Answer: Equatable, Sendable {
    /// In their order.
    package var addresses: [SocketAddress.Host] = []
    /// What the first PTR record names, in lower case and as c-ares writes names: bytes that are not printable as `\DDD`.
    package var name: [UInt8]?
    /// What the last CNAME record names, where nothing else was found.
    package var alias: [UInt8]?
    /// The smallest TTL of all records, in seconds.
    package var lifetime: UInt32 = .max
}

/// What there is to say about the bytes a server sent.
package enum AnswerReading: Equatable, Sendable {
    case answer(Answer)
    /// The server says that there is nothing, or that it cannot tell.
    case failure(ResolverFailure)
    /// The rest is to be had over TCP.
    case truncated
    /// As if nothing had come from this server.
    case unusable(AnswerProblem)
}

/// Why an answer is of no use.
package enum AnswerProblem: Equatable, Sendable {
    case short, questionCount, compressedQuestion, emptyQuestion, invalidName, noAddress, noPTR
    case flags(UInt16), formatError, unknownCode(Int)
    case questionClass(UInt16), questionType(UInt16), recordClass(UInt16)
    case unexpected(RecordType), invalid(RecordType)

    /// What remains when every server answered like this.
    var failure: ResolverFailure {
        if case .unknownCode(let code) = self { return ResolverFailure(code: code) }
        return .formatError
    }
}
