import Glibc
import Platform

/// The other side of the control socket: one order, one answer.
package enum ControlCall {
    package struct Failure: Error, Equatable, Sendable {
        package let message: String
        package init(message: String) { self.message = message }
    }

    private static var longestAnswer: Int { 1 << 20 }

    /// Asks, and waits for the answer.
    ///
    /// - Returns: The answer as it came, a line of JSON.
    /// - Throws: When nobody answers, or the answer is a failure: its reason.
    package static func ask(_ command: String, waits: Bool, at path: String) throws(Failure) -> String {
        let line = try exchange(command, waits: waits, at: path)
        guard let members = JSONText(object: Array(line.utf8))?.members else {
            throw Failure(message: "the answer at \"\(path)\" cannot be read")
        }
        guard members["ok"] == .flag(true) else {
            if case .string(let reason)? = members["error"] { throw Failure(message: reason) }
            throw Failure(message: "failed")
        }
        return line
    }

    private static func exchange(_ command: String, waits: Bool, at path: String) throws(Failure) -> String {
        guard let command = ControlRequest.Command(rawValue: command) else {
            throw Failure(message: "there is no command \"\(command)\"")
        }
        do throws(SystemError) {
            let socket = try LocalSocket.connect(to: path)
            let request = Array((ControlRequest(command, waits: waits).text + "\n").utf8)
            guard case .bytes(request.count) = request.withUnsafeBytes({ Stream.write(socket.number, $0) }) else {
                throw .last("send")
            }
            return try answer(socket.number)
        } catch {
            throw Failure(message: "\(error.call)() at control socket \"\(path)\" failed \(error.suffix)")
        }
    }

    private static func answer(_ socket: CInt) throws(SystemError) -> String {
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while answer.last != 0x0A, answer.count < longestAnswer {
            let count = read(socket, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .last("read") }
            guard count > 0 else { break }
            answer += chunk[..<count]
        }
        if answer.isEmpty { throw SystemError(call: "read", errno: ECONNRESET) }
        return String(decoding: answer.last == 0x0A ? answer.dropLast() : answer[...], as: UTF8.self)
    }

    /// What a person reads of the answer to `status`.
    package static func summary(ofStatus line: String) -> String {
        guard let status = JSONText(object: Array(line.utf8))?.members else { return line }
        func text(_ name: String) -> String {
            switch status[name] {
            case .string(let text)?: text
            case .number(let number)?: String(number)
            default: "none"
            }
        }
        var lines = [
            "\(text("program")), master \(text("pid")), up \(text("uptime")) s",
            "sessions: \(text("sessions")), connections so far: \(text("connections"))",
            "configuration \(text("generation"))"
                + (status["reloading"] == .flag(true) ? ", a reload is on its way" : ""),
        ]
        for (name, meaning) in [("successor", "new master"), ("predecessor", "old master")] where status[name] != .null
        {
            lines.append("\(meaning) \(text(name))")
        }
        if case .list(let workers)? = status["workers"] {
            lines += workers.compactMap { $0.members.map(summary(ofWorker:)) }
        }
        if case .list(let addresses)? = status["listening"] {
            let texts = addresses.compactMap { if case .string(let text) = $0 { text } else { nil } }
            lines.append("listening: " + texts.joined(separator: ", "))
        }
        return lines.joined(separator: "\n")
    }

    private static func summary(ofWorker worker: [String: JSONText]) -> String {
        let state =
            worker["leaving"] == .flag(true)
            ? "ends its sessions" : worker["accepting"] == .flag(true) ? "accepts" : "begins"
        return "worker \(worker["pid"]?.text ?? "?"), configuration \(worker["generation"]?.text ?? "?"): \(state), "
            + "sessions: \(worker["sessions"]?.text ?? "?")"
    }
}
