import CAres
import CLinux
import EventLoop
import Glibc
import Observability
import Platform

/// A socket of a ``Channel``, as the loop knows it.
final class ChannelSocket: EventSource {
    private unowned let channel: Channel  // closes its sockets before it goes
    let descriptor: CInt
    fileprivate var registration = Registration.none
    /// Something was sent: what fails from now on is not the connect.
    fileprivate var isConnected = false

    fileprivate init(_ descriptor: CInt, of channel: Channel) {
        (self.descriptor, self.channel) = (descriptor, channel)
    }

    func ready(_ events: Events) { channel.process(descriptor, events) }
}

// What c-ares asks of the system. The calls are ours so that the log can say what failed, and sockets are like all others
// of the worker: non-blocking, close-on-exec, numbered.

extension Channel {
    private static func of(_ context: UnsafeMutableRawPointer?) -> Channel? {
        context.map { Unmanaged<Channel>.fromOpaque($0).takeUnretainedValue() }
    }

    /// c-ares opened a socket, wants to hear more or less of it, or is about to close it.
    static let watch: ares_sock_state_cb = { context, descriptor, reads, writes in
        Channel.of(context)?.watch(descriptor, reads: reads != 0, writes: writes != 0)
    }

    private func watch(_ descriptor: CInt, reads: Bool, writes: Bool) {
        guard let socket = sockets[descriptor] else { return }
        var events: Events = []
        if reads { events.insert(.input) }
        if writes { events.insert(.output) }
        do throws(SystemError) {
            if events.isEmpty {
                loop.remove(socket.registration, descriptor)
                socket.registration = .none
            } else if socket.registration == .none {
                socket.registration = try loop.add(descriptor, events, socket)
            } else {
                try loop.modify(socket.registration, descriptor, events)
            }
        } catch {
            report(error, .alert)
        }
    }

    static var socketFunctions: ares_socket_functions {
        ares_socket_functions(
            asocket: { family, _, _, context in Channel.of(context)?.makeSocket(family) ?? -1 },
            aclose: { descriptor, context in
                Channel.of(context)?.sockets[descriptor] = nil
                return close(descriptor)
            },
            aconnect: { descriptor, address, length, context in
                Channel.of(context)?.connect(descriptor, address, length) ?? -1
            },
            arecvfrom: { descriptor, space, count, _, address, length, context in
                Channel.of(context)?.receive(descriptor, space, count, address, length) ?? -1
            },
            asendv: { descriptor, parts, count, context in
                guard let parts, count > 0 else { return 0 }
                return Channel.of(context)?.send(descriptor, parts.pointee) ?? -1
            })
    }

    private func makeSocket(_ family: CInt) -> CInt {
        let descriptor = isStream ? linux_socket_stream(family, 0) : linux_socket_datagram(family)
        guard descriptor >= 0 else {
            report(.last("socket"), .alert)
            return -1
        }
        _ = takeNumber()
        sockets[descriptor] = ChannelSocket(descriptor, of: self)
        return descriptor
    }

    private func connect(_ descriptor: CInt, _ address: UnsafePointer<sockaddr>?, _ length: ares_socklen_t) -> CInt {
        if linux_connect(descriptor, address, length) == 0 { return 0 }
        let error = SystemError.last("connect")
        if error.errno != EINPROGRESS {
            report(error, isStream && error.isOrdinaryNetworkFailure ? .error : .critical)
        }
        errno = error.errno
        return -1
    }

    private func receive(
        _ descriptor: CInt, _ space: UnsafeMutableRawPointer?, _ count: Int, _ address: UnsafeMutablePointer<sockaddr>?,
        _ length: UnsafeMutablePointer<ares_socklen_t>?
    ) -> Int {
        while true {
            let received = recvfrom(descriptor, space, count, 0, address, length)
            if received > 0 { return received }
            if received == 0 {
                // A datagram of no bytes is no answer; c-ares 1.18 takes it for the end of a connection (CVE-2023-32067).
                if isStream { return 0 }
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: break
            default: return failed("recv")
            }
            errno = EAGAIN
            return -1
        }
    }

    /// Sends the first part: of what is not sent c-ares says it again.
    private func send(_ descriptor: CInt, _ part: iovec) -> Int {
        let bytes = UnsafeRawBufferPointer(start: part.iov_base, count: part.iov_len)
        switch Stream.write(descriptor, bytes) {
        case .bytes(let count):
            sockets[descriptor]?.isConnected = true
            return count
        case .wouldBlock:
            errno = EAGAIN
            return -1
        case .failed(let code):
            errno = code
            return failed(!isStream || sockets[descriptor]?.isConnected ?? true ? "send" : "connect")
        }
    }

    private func failed(_ call: StaticString) -> Int {
        let error = SystemError.last(call)
        report(error, error.isOrdinaryNetworkFailure ? .error : .alert)
        errno = error.errno
        return -1
    }

    private func report(_ error: SystemError, _ level: LogLevel) {
        log.write(
            level, errno: error.errno,
            {
                $0.append(error.call)
                $0.append("() ")
                if self.isStream && error.call.description == "connect" { $0.append("to \(self.server.text) ") }
                $0.append("failed")
            }
        ) { $0.append(" while resolving, resolver: \(self.server.text)") }
    }
}
