import CLinux
import Glibc
import Observability
import Platform

/// What a master hands to the new binary beside its listening sockets: a memfd of lines whose number stands in the
/// variable `APUS_STATE`. A version that is not known is left alone: then a new master begins without it.
struct HandedState: Equatable {
    static var variable: String { "APUS_STATE" }
    private static var title: String { "apus-state 1" }
    private static var limit: Int { 1 << 20 }

    /// The new master's end of the socket to the old one; -1 for none.
    var link: CInt = -1
    /// The memfd of the counter of connections; -1 for none.
    var counter: CInt = -1
    /// The control socket, listening, and its path.
    var control: (descriptor: CInt, path: String)?
    var zones: [HandedZone] = []
    /// Listening sockets that a service manager has passed on, with the names it gave them: their files are not ours.
    var activated: [CInt: String] = [:]

    /// All descriptors that must outlive the exec.
    var descriptors: [CInt] { [link, counter] + zones.map(\.descriptor) + (control.map { [$0.descriptor] } ?? []) }

    static func == (one: HandedState, other: HandedState) -> Bool { one.text == other.text }

    var text: String {
        var lines = [Self.title]
        if link >= 0 { lines.append("link \(link)") }
        if counter >= 0 { lines.append("counter \(counter)") }
        if let control { lines.append("control \(control.descriptor) \(control.path)") }
        for zone in zones {
            lines.append("zone \(zone.descriptor) \(zone.size) \(zone.version) \(zone.use) \(zone.name)")
        }
        for (socket, name) in activated.sorted(by: { $0.key < $1.key }) {
            lines.append("activated \(socket)" + (name.isEmpty ? "" : " \(name)"))
        }
        return lines.map { $0 + "\n" }.joined()
    }

    init() {}

    /// - Returns: nil for another version. A line that cannot be read is left out.
    init?(parsing text: String) {
        let lines = text.split(separator: "\n")
        guard lines.first == Substring(Self.title) else { return nil }
        for line in lines.dropFirst() { read(line) }
    }

    private mutating func read(_ line: Substring) {
        let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: false)
        guard words.count >= 2, let descriptor = CInt(words[1]), descriptor > 2 else { return }
        switch words[0] {
        case "link": link = descriptor
        case "counter": counter = descriptor
        case "control" where words.count >= 3:
            control = (descriptor, String(line.dropFirst("control \(descriptor) ".count)))
        case "zone" where words.count == 6:
            guard let size = Int(words[2]), let version = UInt32(words[3]) else { return }
            zones.append(
                HandedZone(
                    descriptor: descriptor, name: String(words[5]), size: size, use: String(words[4]), version: version)
            )
        case "activated": activated[descriptor] = words.count > 2 ? words[2...].joined(separator: " ") : ""
        default: break
        }
    }

    /// Writes it where the new binary finds it.
    ///
    /// - Returns: A descriptor that is closed by exec, as all others are until the child changes that.
    func write() throws(SystemError) -> FileDescriptor {
        let number = linux_memfd("apus:state")
        guard number >= 0 else { throw .last("memfd_create") }
        let file = FileDescriptor(owning: number)
        let bytes = Array(text.utf8)
        guard Glibc.write(number, bytes, bytes.count) == bytes.count else { throw .last("write") }
        return file
    }

    /// What the environment names, once: the variable is gone afterwards.
    static func take(log: Log) -> HandedState? {
        guard let value = Process.environmentValue(variable) else { return nil }
        unsetenv(variable)
        guard let number = CInt(value), number > 2, fcntl(number, F_GETFD) >= 0 else {
            log.write(.error, "invalid number \"\(value)\" in \(variable) environment variable, ignoring")
            return nil
        }
        let file = FileDescriptor(owning: number)
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = pread(file.number, &bytes, bytes.count, 0)
        guard count > 0, let state = HandedState(parsing: String(decoding: bytes.prefix(count), as: UTF8.self)) else {
            log.write(.notice, "the state of the old master is in a form this version does not know, going on without")
            return nil
        }
        for descriptor in state.descriptors where descriptor >= 0 { _ = linux_set_cloexec(descriptor, 1) }
        return state
    }
}

/// A piece of shared memory that outlives a binary upgrade.
package struct HandedZone: Equatable, Sendable {
    /// A memfd.
    package let descriptor: CInt
    package let name: String
    /// Bytes.
    package let size: Int
    /// What it is for, one word, and the version of its layout.
    package let use: String
    package let version: UInt32

    package init(descriptor: CInt, name: String, size: Int, use: String, version: UInt32) {
        self.descriptor = descriptor
        self.name = name
        self.size = size
        self.use = use
        self.version = version
    }
}
