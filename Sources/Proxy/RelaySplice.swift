import Glibc
import Platform
import Transport

// Bulk between two plain connections stays in the kernel: socket to pipe, pipe to socket. It costs a third of copying
// through the worker's buffer, and for short messages it would cost more: a direction goes over to it when a read
// filled the whole buffer, and back when there is little to move.

extension Relay {
    /// Less than this moved at once is no bulk.
    private static var bulk: Int { 16_384 }

    /// Moves bytes from `source` into a pipe that then belongs to `target`.
    ///
    /// - Returns: The number of bytes, or ``nothing``, ``end`` or ``failed``; `nil` when it cannot be done this way.
    func splice(
        from source: UnsafeMutablePointer<RelayEndpoint>, to target: UnsafeMutablePointer<RelayEndpoint>
    ) -> Int? {
        let pipe = pipes.take()
        guard pipe != PipePool.none else {
            source.pointee.flags.isBulk = false
            return nil
        }
        let moved = pipes.fill(pipe, from: source.pointee.descriptor)
        let code = errno
        if moved > 0 {
            target.pointee.pipe = pipe
            target.pointee.piped = UInt32(truncatingIfNeeded: moved)
            if moved < Self.bulk { source.pointee.flags.isBulk = false }
            return moved
        }
        pipes.giveBack(pipe, isEmpty: true)
        source.pointee.flags.isBulk = false
        if moved == 0 { return Self.end }
        switch code {
        case EAGAIN:
            source.pointee.flags.isReadable = false
            return Self.nothing
        case EINVAL: return nil
        default: return fail(.system(SystemError(call: "splice", errno: code)))
        }
    }

    /// Moves what the pipe holds on to its endpoint; the pipe goes back when it is empty.
    ///
    /// - Returns: ``nothing``, or ``failed``.
    func drainPipe(of target: UnsafeMutablePointer<RelayEndpoint>) -> Int {
        while target.pointee.pipe != PipePool.none {
            guard target.pointee.flags.isWritable else { return Self.nothing }
            let count = Int(target.pointee.piped)
            let moved = pipes.drain(target.pointee.pipe, to: target.pointee.descriptor, count)
            guard moved > 0 else {
                let code = moved == 0 ? EPIPE : errno
                guard code == EAGAIN else { return fail(.system(SystemError(call: "splice", errno: code))) }
                target.pointee.flags.isWritable = false
                watchOutput(target)
                return Self.nothing
            }
            target.pointee.piped -= UInt32(truncatingIfNeeded: min(moved, count))
            if target.pointee.piped == 0 {
                pipes.giveBack(target.pointee.pipe, isEmpty: true)
                target.pointee.pipe = PipePool.none
            }
        }
        return Self.nothing
    }
}
