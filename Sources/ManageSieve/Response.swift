import ApusMail

/// What a server says to a command (RFC 5804 §1.3, §4).
enum Response {
    static func ok(_ text: StaticString) -> [UInt8] { line("OK ", text.bytes) }

    /// - Parameter code: A response code with its parentheses and a space behind them.
    static func no(_ text: StaticString, code: StaticString = "") -> [UInt8] {
        line("NO ".bytes + code.bytes, text.bytes)
    }

    static func no(quoting text: [UInt8]) -> [UInt8] { line("NO ", text) }
    static func bye(_ text: StaticString) -> [UInt8] { line("BYE ", text.bytes) }

    /// `OK`, with what NOOP was given to be told again (RFC 5804 §2.13).
    static func ok(tag: [UInt8], _ text: StaticString) -> [UInt8] {
        line("OK (TAG ".bytes + string(tag) + ") ".bytes, text.bytes)
    }

    /// A string alone on its line: a challenge.
    static func challenge(_ text: [UInt8]) -> [UInt8] { string(text) + "\r\n".bytes }

    /// A string: quoted, or a literal where it is too long for quotes or has bytes that cannot stand between them
    /// (RFC 5804 §4).
    static func string(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count <= 1024, !bytes.contains(where: { $0 == 0 || $0 == 0x0D || $0 == 0x0A }) else {
            return "{\(bytes.count)}\r\n".bytes + bytes
        }
        let escaped = bytes.flatMap { $0 == 0x22 || $0 == 0x5C ? [0x5C, $0] : [$0] }
        return "\"".bytes + escaped + "\"".bytes
    }

    private static func line(_ start: StaticString, _ text: [UInt8]) -> [UInt8] { line(start.bytes, text) }
    private static func line(_ start: [UInt8], _ text: [UInt8]) -> [UInt8] { start + string(text) + "\r\n".bytes }
}
