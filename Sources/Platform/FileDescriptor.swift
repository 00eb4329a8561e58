public import CLinux
public import Glibc

/// The one owner of an open descriptor; it is closed when its owner goes away.
@usableFromInline
package struct FileDescriptor: ~Copyable {
    @usableFromInline package let number: CInt

    @inlinable package init(owning number: CInt) { self.number = number }

    // Linux frees the number even when close(2) reports EINTR: a retry could close a stranger's.
    @inlinable deinit { _ = close(number) }

    /// Gives the descriptor up to somebody else, who closes it.
    package consuming func release() -> CInt {
        let number = self.number
        discard self
        return number
    }
}

/// The outcome of one read from a non-blocking stream.
@usableFromInline
package enum ReadOutcome: Equatable { case bytes(Int), wouldBlock, endOfStream, failed(CInt) }

/// The outcome of one write to a non-blocking stream.
@usableFromInline
package enum WriteOutcome: Equatable { case bytes(Int), wouldBlock, failed(CInt) }

/// Reading and writing a stream socket by its number.
@usableFromInline
package enum Stream {
    @inlinable package static func read(_ number: CInt, into space: UnsafeMutableRawBufferPointer) -> ReadOutcome {
        while true {
            let count = linux_recv(number, space.baseAddress, UInt(space.count))
            if count > 0 { return .bytes(count) }
            if count == 0 { return .endOfStream }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let code: return .failed(code)
            }
        }
    }

    /// Reads and leaves the bytes where they are.
    package static func peek(_ number: CInt, into space: UnsafeMutableRawBufferPointer) -> ReadOutcome {
        while true {
            let count = linux_peek(number, space.baseAddress, UInt(space.count))
            if count > 0 { return .bytes(count) }
            if count == 0 { return .endOfStream }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let code: return .failed(code)
            }
        }
    }

    @inlinable package static func write(_ number: CInt, _ bytes: UnsafeRawBufferPointer) -> WriteOutcome {
        while true {
            let count = linux_send(number, bytes.baseAddress, UInt(bytes.count))
            if count >= 0 { return .bytes(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let code: return .failed(code)
            }
        }
    }
}
