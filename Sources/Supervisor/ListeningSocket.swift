import Config
import Glibc
import Observability
import Platform

/// A socket that listens, as the master keeps it for all generations of workers.
final class ListeningSocket {
    let descriptor: CInt
    let address: SocketAddress
    let text: String
    let isMultipath: Bool
    private(set) var backlog: Int
    /// A service manager passed it on: it keeps a copy, and a UNIX socket's file is its own.
    let isActivated: Bool
    /// What the manager calls it; empty for others.
    let name: String

    init(
        owning descriptor: CInt, address: SocketAddress, text: String, isMultipath: Bool, backlog: Int,
        isActivated: Bool = false, name: String = ""
    ) {
        self.name = name
        self.isActivated = isActivated
        self.descriptor = descriptor
        self.address = address
        self.text = text
        self.isMultipath = isMultipath
        self.backlog = backlog
    }

    /// Binds and listens.
    ///
    /// - Parameter sharesPort: Another socket of ours is bound to the same address.
    /// - Throws: nil in `BindFailure.error` where the address is in use.
    convenience init(
        opening request: ListenerRequest, sharesPort: Bool, log: Log
    ) throws(ListeningFailure) {
        let address = request.address
        let socket: FileDescriptor
        do throws(SystemError) {
            socket = try ListeningCalls.socket(family: address.family, isMultipath: request.isMultipath)
        } catch {
            let call = error.call.description == "socket" ? "socket()" : error.call.description
            throw ListeningFailure("\(call) \(request.text) failed", error)
        }
        if sharesPort { ListeningCalls.sharePort(socket.number) }
        if case .ipv6 = address.host {
            do throws(SystemError) {
                try ListeningCalls.setIPv6Only(socket.number, request.isIPv6Only)
            } catch {
                log.write(.emergency, errno: error.errno, "setsockopt(IPV6_V6ONLY) \(request.text) failed, ignored")
            }
        }
        do throws(SystemError) {
            try ListeningCalls.bind(socket.number, to: address)
        } catch {
            throw ListeningFailure("bind() to \(request.text) failed", error)
        }
        Self.openToAll(address, log)
        do throws(SystemError) {
            try ListeningCalls.listen(socket.number, backlog: request.backlog)
        } catch {
            throw ListeningFailure("listen() to \(request.text), backlog \(request.backlog) failed", error)
        }
        self.init(
            owning: socket.release(), address: address, text: request.text, isMultipath: request.isMultipath,
            backlog: request.backlog)
    }

    /// Whoever may reach a UNIX socket's directory may connect.
    private static func openToAll(_ address: SocketAddress, _ log: Log) {
        guard case .unix(let path) = address.host else { return }
        let name = String(decoding: path, as: UTF8.self)
        if chmod(name, 0o666) != 0 { log.write(.emergency, errno: errno, "chmod() \"\(name)\" failed") }
    }

    func serves(_ request: ListenerRequest) -> Bool {
        address == request.address && isMultipath == request.isMultipath
    }

    /// Gives the socket the options of a request; what is not asked for stays as it was.
    func apply(_ request: ListenerRequest, log: Log) {
        if backlog != request.backlog {
            do throws(SystemError) {
                try ListeningCalls.listen(descriptor, backlog: request.backlog)
                backlog = request.backlog
            } catch {
                log.write(
                    .alert, errno: error.errno, "listen() to \(text), backlog \(request.backlog) failed, ignored")
            }
        }
        if let size = request.receiveBuffer { set(.receiveBuffer, size, log) }
        if let size = request.sendBuffer { set(.sendBuffer, size, log) }
        switch request.keepAlive {
        case .systemDefault: break
        case .off: set(.keepAlive, 0, log)
        case .on(let idle, let interval, let count):
            set(.keepAlive, 1, log)
            if let idle { set(.keepIdle, idle, log) }
            if let interval { set(.keepInterval, interval, log) }
            if let count { set(.keepCount, count, log) }
        }
    }

    private func set(_ option: ListeningCalls.Option, _ value: Int, _ log: Log) {
        do throws(SystemError) {
            try ListeningCalls.set(option, value, on: descriptor)
        } catch {
            log.write(.alert, errno: error.errno, "setsockopt(\(option.name), \(value)) \(text) failed, ignored")
        }
    }

    func close() { _ = Glibc.close(descriptor) }

    /// Removes the file of a UNIX socket.
    func unlink(log: Log) {
        guard case .unix(let path) = address.host else { return }
        let name = String(decoding: path, as: UTF8.self)
        if Glibc.unlink(name) != 0 { log.write(.emergency, errno: errno, "unlink() \(name) failed") }
    }

    /// Removes the file of a UNIX socket that is not wanted any more, and says so.
    func unlinkWithWarning(log: Log) {
        guard hasFileOfOurs else { return }
        log.write(.warning, "deleting socket \(address.hostText.dropFirst(5))")
        unlink(log: log)
    }

    var hasFileOfOurs: Bool { isUnix && !isActivated }

    var isUnix: Bool {
        if case .unix = address.host { true } else { false }
    }
}

/// A socket could not be opened.
struct ListeningFailure: Error {
    let text: String
    let errno: CInt

    init(_ text: String, _ error: SystemError) { (self.text, errno) = (text, error.errno) }

    var isInUse: Bool { errno == EADDRINUSE && text.hasPrefix("bind()") }
    var configError: ConfigError {
        ConfigError("\(text) (\(errno): \(SystemError.text(errno)))", hint: hint)
    }

    private var hint: String? {
        switch errno {
        case EACCES: "low ports need root or the capability CAP_NET_BIND_SERVICE"
        case EADDRNOTAVAIL: "this machine does not have that address"
        default: nil
        }
    }
}
