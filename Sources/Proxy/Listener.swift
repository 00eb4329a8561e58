import CLinux
import EventLoop
import Glibc
import Observability
import Platform

/// One listening socket in a worker: accepts, and hands connections to the worker.
final class Listener: EventSource {
    unowned let worker: Worker
    let descriptor: CInt
    let plan: ListenerPlan
    private var registration = Registration.none
    private var acceptedSinceTurnOver = 0

    /// After so many accepts a shared socket is registered anew: exclusive wake-ups tend to favour one worker.
    private static let acceptsPerTurnOver = 16

    init(_ plan: ListenerPlan, descriptor: CInt, worker: Worker) {
        (self.plan, self.descriptor, self.worker) = (plan, descriptor, worker)
    }

    var isAccepting: Bool { registration != .none }

    func open() {
        guard !isAccepting else { return }
        let events: Events = worker.sharesListeners ? [.input, .exclusive] : [.input]
        do throws(SystemError) {
            registration = try worker.loop.add(descriptor, events, self)
        } catch {
            worker.log.write(.alert, errno: error.errno, { $0.append("epoll_ctl(ADD) failed") })
        }
    }

    func pause() {
        guard isAccepting else { return }
        worker.loop.remove(registration, descriptor)
        registration = .none
    }

    /// Takes what is queued already, then closes: a connection the kernel completed is never lost.
    func close() {
        pause()
        while acceptOne() {}
        _ = Glibc.close(descriptor)
    }

    func ready(_ events: Events) {
        guard worker.settings.acceptsMany else {
            _ = acceptOne()
            return
        }
        while isAccepting, acceptOne() {}
    }

    private func acceptOne() -> Bool {
        var storage = sockaddr_storage()
        var length = UInt32(MemoryLayout<sockaddr_storage>.size)
        let accepted = linux_accept4(descriptor, &storage, &length)
        guard accepted >= 0 else { return acceptFailed(errno) }
        worker.accepted(accepted, from: SocketAddress(storage, length: Int(length)), on: self)
        takeTurns()
        return true
    }

    private func takeTurns() {
        guard worker.sharesListeners, isAccepting else { return }
        acceptedSinceTurnOver += 1
        if acceptedSinceTurnOver >= Self.acceptsPerTurnOver {
            acceptedSinceTurnOver = 0
            pause()
            open()
        }
    }

    private func acceptFailed(_ code: CInt) -> Bool {
        switch code {
        case EAGAIN: return false
        case EINTR: return true
        case ECONNABORTED:
            worker.log.write(.error, errno: code, { $0.append("accept4() failed") })
            return true
        case EMFILE, ENFILE:
            worker.log.write(.critical, errno: code, { $0.append("accept4() failed") })
            worker.descriptorsAreScarce()
            return false
        case ENOBUFS, ENOMEM:
            worker.log.write(.alert, errno: code, { $0.append("accept4() failed") })
            worker.descriptorsAreScarce()
            return false
        default:
            worker.log.write(.alert, errno: code, { $0.append("accept4() failed") })
            return false
        }
    }

    /// Which `listen` a connection belongs to.
    func entry(for descriptor: CInt) throws(SystemError) -> ListenerPlan.Entry {
        guard !plan.specific.isEmpty else { return plan.main }
        var storage = sockaddr_storage()
        var length = UInt32(MemoryLayout<sockaddr_storage>.size)
        guard linux_getsockname(descriptor, &storage, &length) == 0 else { throw .last("getsockname") }
        let local = SocketAddress(storage, length: Int(length))
        return plan.specific.first { $0.listen.address == local } ?? plan.main
    }
}
