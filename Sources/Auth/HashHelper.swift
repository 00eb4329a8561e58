import ApusMail
import Glibc
package import Observability
import Platform

/// The body of a password helper: a process that reads the password files and computes hashes for the workers.
///
/// It runs after fork, as the workers' user, and blocks in poll(2) alone. Each worker's socket is shared by all
/// helpers; the kernel hands each request to one of them.
package struct HashHelper {
    private struct File {
        var table = PasswdFile()
        /// It was read at least once.
        var isThere = false
    }

    private let control: CInt
    private var isControlled = true
    private let log: Log
    private let logs: LogRegistry?
    private let isFirst: Bool
    private let paths: [String]
    private var files: [File] = []
    /// The workers' sockets by their numbers; owned here.
    private var workers: [UInt32: CInt] = [:]
    private let space = UnsafeMutableRawBufferPointer.allocate(byteCount: HashRequest.longest + 1, alignment: 16)

    /// - Parameters:
    ///   - control: ``HelperMessage`` values arrive here.
    ///   - files: The password files, in the order that requests name them by; read with pread(2).
    ///   - isFirst: Of several helpers one tells what is wrong with a file.
    package static func run(
        control: CInt, files: [(path: String, descriptor: CInt)], log: Log, logs: LogRegistry?, isFirst: Bool
    ) {
        var helper = HashHelper(control: control, paths: files.map(\.path), log: log, logs: logs, isFirst: isFirst)
        for (index, file) in files.enumerated() { helper.read(file.descriptor, as: index) }
        helper.work()
    }

    private init(control: CInt, paths: [String], log: Log, logs: LogRegistry?, isFirst: Bool) {
        (self.control, self.log, self.logs, self.isFirst) = (control, log, logs, isFirst)
        self.paths = paths
        files = Array(repeating: File(), count: paths.count)
    }

    /// Until the master has closed its end and no worker is left.
    private mutating func work() {
        defer { space.deallocate() }
        while isControlled || !workers.isEmpty {
            let sources = workers.sorted { $0.key < $1.key }
            var waits = sources.map { pollfd(fd: $0.value, events: Int16(POLLIN), revents: 0) }
            if isControlled { waits.append(pollfd(fd: control, events: Int16(POLLIN), revents: 0)) }
            let count = poll(&waits, nfds_t(waits.count), -1)
            guard count >= 0 || errno == EINTR else { return }
            guard count > 0 else { continue }
            if isControlled, let last = waits.last, last.revents != 0 { readControl() }
            // One request of each, then look again: the master's word comes before a long queue.
            for (index, source) in sources.enumerated() where waits[index].revents != 0 {
                if workers[source.key] == source.value { serve(source.key, source.value) }
            }
        }
    }

    // MARK: The master

    private mutating func readControl() {
        while true {
            switch MessageSocket.receive(from: control) {
            case .wouldBlock: return
            case .endOfStream, .failed:
                isControlled = false
                return
            case .message(let bytes, let descriptor):
                guard let message = HelperMessage(bytes) else {
                    if descriptor >= 0 { _ = close(descriptor) }
                    continue
                }
                obey(message, descriptor)
            }
        }
    }

    private mutating func obey(_ message: HelperMessage, _ descriptor: CInt) {
        switch message.kind {
        case .workerAppeared where descriptor >= 0:
            forget(message.number)
            workers[message.number] = descriptor
            for index in files.indices { tellState(ofFile: index, to: descriptor) }
        case .fileChanged where descriptor >= 0:
            read(descriptor, as: Int(message.number))
            _ = close(descriptor)
        case .logReopened where descriptor >= 0:
            if let logs { logs.adopt(descriptor, file: Int(message.number)) } else { _ = close(descriptor) }
        case .workerGone:
            forget(message.number)
            if descriptor >= 0 { _ = close(descriptor) }
        case .workerAppeared, .fileChanged, .logReopened: break
        }
    }

    private mutating func forget(_ worker: UInt32) {
        if let socket = workers.removeValue(forKey: worker) { _ = close(socket) }
    }

    // MARK: Files

    private mutating func read(_ descriptor: CInt, as index: Int) {
        guard files.indices.contains(index) else { return }
        guard let content = PasswdFileContent.read(descriptor, limit: PasswdFile.longestFile) else {
            // What was read before stays in force.
            return report(
                "password file \"\(paths[index])\" could not be read, or is larger than \(PasswdFile.longestFile) bytes"
            )
        }
        let table = content.withBytes { PasswdFile(parsing: $0) }
        files[index] = File(table: table, isThere: true)
        for problem in table.problems { report("password file \"\(paths[index])\", \(problem)") }
        if table.problemCount > table.problems.count {
            report(
                "password file \"\(paths[index])\", \(table.problemCount - table.problems.count) more lines are not used"
            )
        }
        for socket in workers.values { tellState(ofFile: index, to: socket) }
    }

    private func report(_ text: String) {
        guard isFirst else { return }
        log.write(.error, text)
    }

    private func tellState(ofFile index: Int, to socket: CInt) {
        let file = files[index]
        guard file.isThere else { return }
        send(HashAnswer(id: UInt64(index), .fileRead, hasPlainEntries: file.table.hasPlainEntries), to: socket)
    }

    // MARK: Workers

    private mutating func serve(_ worker: UInt32, _ socket: CInt) {
        switch Stream.read(socket, into: space) {
        case .wouldBlock: return
        case .endOfStream, .failed: forget(worker)
        case .bytes(let count):
            let received = UnsafeMutableRawBufferPointer(rebasing: space[..<count])
            let request = HashRequest(received.assumingMemoryBound(to: UInt8.self).span)
            wipe(received)
            // The worker gave up on it long ago, or is out of its mind: either way it waits for no answer.
            guard let request, request.deadline > MonotonicClock.milliseconds else { return }
            send(answer(to: request), to: socket)
        }
    }

    private func answer(to request: HashRequest) -> HashAnswer {
        let index = Int(request.file)
        guard files.indices.contains(index), files[index].isThere else {
            return HashAnswer(id: request.id, .unavailable, hasPlainEntries: false)
        }
        let table = files[index].table
        return HashAnswer(id: request.id, table.decision(on: request), hasPlainEntries: table.hasPlainEntries)
    }

    /// What does not fit is lost: the worker's deadline covers it.
    private func send(_ answer: HashAnswer, to socket: CInt) {
        answer.datagram.withBytes { bytes in bytes.withUnsafeBytes { _ = Stream.write(socket, $0) } }
    }
}

/// The whole of a file.
enum PasswdFileContent {
    /// Reads from the file's beginning, whatever the descriptor's offset, which is shared.
    ///
    /// - Returns: nil when it cannot be read or is longer than `limit`.
    static func read(_ descriptor: CInt, limit: Int) -> SecretBuffer? {
        let content = SecretBuffer(capacity: 4096)
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
        defer {
            wipe(piece)
            piece.deallocate()
        }
        while true {
            let count = pread(descriptor, piece.baseAddress, piece.count, off_t(content.count))
            if count == 0 { return content }
            if count < 0 && errno == EINTR { continue }
            guard count > 0, content.count + count <= limit else { return nil }
            content.append(
                UnsafeMutableRawBufferPointer(rebasing: piece[..<count]).assumingMemoryBound(to: UInt8.self).span)
        }
    }
}
