/// What the control socket is asked: `{"version":1,"command":"reload","wait":true}`.
package struct ControlRequest: Equatable, Sendable {
    package enum Command: String, CaseIterable, Sendable { case status, reload, upgrade, reopen, quit, stop }

    package struct Failure: Error, Equatable, Sendable { package let message: String }

    static var version: Int { 1 }

    package let command: Command
    /// Answer when the outcome is known. An upgrade is always waited for.
    package let waits: Bool

    init(_ command: Command, waits: Bool = false) { (self.command, self.waits) = (command, waits) }

    /// Reads one line, without its end.
    package init(_ line: [UInt8]) throws(Failure) {
        guard let members = JSONText(object: line)?.members else {
            throw Failure(message: "a request is a JSON object")
        }
        guard members["version"] == .number(Self.version) else {
            throw Failure(message: "the version of this protocol is \(Self.version)")
        }
        guard case .string(let name)? = members["command"], let command = Command(rawValue: name) else {
            let known = Command.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure(message: "a command is one of \(known)")
        }
        self.command = command
        waits = members["wait"] == .flag(true)
    }

    package var text: String {
        JSONText.object([
            ("version", .number(Self.version)), ("command", .string(command.rawValue)), ("wait", .flag(waits)),
        ]).text
    }
}

/// An answer: `{"version":1,"ok":true, ...}` or `{"version":1,"ok":false,"error":"..."}`.
struct ControlAnswer: Equatable {
    let members: [(name: String, value: JSONText)]
    private let failure: String?

    static func == (one: ControlAnswer, other: ControlAnswer) -> Bool { one.text == other.text }

    static func success(_ members: [(name: String, value: JSONText)] = []) -> ControlAnswer {
        ControlAnswer(members: members, failure: nil)
    }

    static func failure(_ reason: String) -> ControlAnswer { ControlAnswer(members: [], failure: reason) }

    var text: String {
        var all: [(name: String, value: JSONText)] = [
            ("version", .number(ControlRequest.version)), ("ok", .flag(failure == nil)),
        ]
        if let failure { all.append(("error", .string(failure))) }
        return JSONText.object(all + members).text
    }
}
