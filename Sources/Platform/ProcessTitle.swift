import Glibc

/// What `ps` shows. The text goes where the kernel put arguments and environment, which lie one after the other.
package struct ProcessTitle {
    private let start: UnsafeMutablePointer<CChar>?
    private let room: Int

    /// Moves arguments and environment to the heap. Call it once, early, after `CommandLine.arguments` was read.
    package init() {
        let arguments = CommandLine.unsafeArgv
        start = arguments[0]
        guard var end = start else {
            room = 0
            return
        }
        for index in 0..<Int(CommandLine.argc) {
            if let text = arguments[index], text == end { end = text + strlen(text) + 1 }
        }
        var variable = environ
        while let text = variable.pointee {
            if text == end { end = text + strlen(text) + 1 }
            variable.pointee = strdup(text)
            variable += 1
        }
        for index in 0..<Int(CommandLine.argc) {
            if let text = arguments[index] { arguments[index] = strdup(text) }
        }
        room = end - start!
    }

    /// Shows `apus: TEXT`; what does not fit is cut.
    package func set(_ text: String) {
        guard let start, room > 1 else { return }
        let title = Array("apus: \(text)".utf8.prefix(room - 1))
        memset(start, 0, room)
        for (offset, byte) in title.enumerated() { start[offset] = CChar(bitPattern: byte) }
    }
}
