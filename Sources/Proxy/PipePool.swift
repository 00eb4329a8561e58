import CLinux
import Glibc

/// Pipes through which bulk data passes from socket to socket without leaving the kernel.
///
/// A pipe is lent out only while bytes are in it. There is a limit: a client that does not read leaves a pipe full, and
/// those who come after the limit are served through the worker's buffer.
final class PipePool {
    /// No pipe.
    static var none: Int16 { -1 }
    private static var mostPipes: Int { 64 }
    private static var mostIdle: Int { 16 }
    /// Bytes that one pipe holds, if the system admits it.
    static var capacity: Int { 262_144 }

    private struct Pipe {
        var readEnd: CInt = -1
        var writeEnd: CInt = -1
    }

    private var pipes: [Pipe] = []
    /// Open and empty.
    private var idle: [Int16] = []
    /// Without descriptors.
    private var vacant: [Int16] = []

    deinit {
        for index in pipes.indices { close(at: index) }
    }

    /// An empty pipe; ``none`` when there is none to be had.
    func take() -> Int16 {
        if let index = idle.popLast() { return index }
        guard vacant.isEmpty == false || pipes.count < Self.mostPipes, let pipe = Self.open() else { return Self.none }
        if let index = vacant.popLast() {
            pipes[Int(index)] = pipe
            return index
        }
        pipes.append(pipe)
        return Int16(pipes.count - 1)
    }

    /// Takes a pipe back that was lent out.
    func giveBack(_ index: Int16, isEmpty: Bool) {
        guard pipes.indices.contains(Int(index)) else { return }
        if isEmpty && idle.count < Self.mostIdle {
            idle.append(index)
        } else {
            close(at: Int(index))
            vacant.append(index)
        }
    }

    /// Moves bytes from a socket into a pipe, as splice(2) answers: a count, 0 at the end, or -1 and errno.
    func fill(_ index: Int16, from socket: CInt) -> Int {
        guard pipes.indices.contains(Int(index)) else { return 0 }
        return Self.splice(socket, pipes[Int(index)].writeEnd, Self.capacity)
    }

    /// Moves at most `count` bytes out of a pipe to a socket.
    func drain(_ index: Int16, to socket: CInt, _ count: Int) -> Int {
        guard pipes.indices.contains(Int(index)) else { return 0 }
        return Self.splice(pipes[Int(index)].readEnd, socket, count)
    }

    private static func splice(_ from: CInt, _ to: CInt, _ count: Int) -> Int {
        while true {
            let moved = linux_splice(from, to, UInt(count))
            if moved >= 0 || errno != EINTR { return moved }
        }
    }

    private static func open() -> Pipe? {
        var ends: [CInt] = [-1, -1]
        guard linux_pipe(&ends) == 0 else { return nil }
        // Refused when the user has too many pages in pipes: then it holds what it holds.
        _ = linux_pipe_size(ends[1], CInt(capacity))
        return Pipe(readEnd: ends[0], writeEnd: ends[1])
    }

    private func close(at index: Int) {
        if pipes[index].readEnd >= 0 { _ = Glibc.close(pipes[index].readEnd) }
        if pipes[index].writeEnd >= 0 { _ = Glibc.close(pipes[index].writeEnd) }
        pipes[index] = Pipe()
    }
}
