import ApusMail

/// A line of the capability list: a name, and often a value (RFC 5804 §1.7).
struct Capability: Equatable, Sendable {
    let name: [UInt8]
    let value: [UInt8]?

    init(_ name: StaticString, _ value: String? = nil) { (self.name, self.value) = (name.bytes, value?.bytes) }

    /// - Parameter word: `NAME` or `NAME=value`; nil when the name has other bytes than letters, digits and hyphens, or
    ///   the value has control characters or more than 1024 bytes.
    init?(_ word: [UInt8]) {
        let end = word.firstIndex(of: 0x3D) ?? word.count
        name = Array(word[..<end])
        value = end < word.count ? Array(word[(end + 1)...]) : nil
        guard !name.isEmpty, name.allSatisfy({ $0.isASCIILetter || $0.isASCIIDigit || $0 == 0x2D }),
            value?.span.hasControlCharacter != true, value?.count ?? 0 <= 1024
        else { return nil }
    }

    func isNamed(_ name: StaticString) -> Bool { self.name.span.spells(name) }

    func isNamed(as other: Capability) -> Bool {
        name.elementsEqual(other.name) { $0.asciiUppercased == $1.asciiUppercased }
    }

    /// As `sieve_capabilities` has it.
    var word: Word { Word(name + (value.map { "=".bytes + $0 } ?? [])) }

    var line: [UInt8] {
        Response.string(name) + (value.map { " ".bytes + Response.string($0) } ?? []) + "\r\n".bytes
    }

    /// What Dovecot's Pigeonhole shows before the login.
    static var pigeonhole: [Capability] {
        [
            Capability(
                "SIEVE",
                """
                fileinto reject envelope encoded-character vacation subaddress comparator-i;ascii-numeric relational \
                regex imap4flags copy include variables body enotify environment mailbox date index ihave duplicate \
                mime foreverypart extracttext
                """),
            Capability("NOTIFY", "mailto"),
        ]
    }
}
