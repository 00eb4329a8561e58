// The event loop of a process: hands out readiness and timers, and runs work put off to the end of a turn.
// Master, workers and helpers each have one, made after fork. It knows descriptors by number and owns none:
// whoever registers one takes it out before closing it.

import CLinux
import Glibc
package import Platform

/// Whoever hears about a descriptor.
package protocol EventSource: AnyObject {
    /// The descriptor became ready. May remove and close it.
    func ready(_ events: Events)
}

/// Hears about the descriptors that were handed over with ``EventLoop/retarget(_:toRelay:)``.
///
/// Plain functions and a pointer: a reference would be retained and released with every event.
package struct RelayTarget {
    /// The index is what the descriptor was handed over with.
    package typealias Ready = @convention(c) (UnsafeMutableRawPointer, UInt32, UInt32) -> Void
    /// The timer of a relay ran out.
    package typealias Timeout = @convention(c) (UnsafeMutableRawPointer, UInt32) -> Void

    /// Handed to the functions; what it points to outlives the loop's running.
    let owner: UnsafeMutableRawPointer
    let ready: Ready
    let timeout: Timeout

    package init(_ owner: UnsafeMutableRawPointer, ready: Ready, timeout: Timeout) {
        (self.owner, self.ready, self.timeout) = (owner, ready, timeout)
    }
}

/// A registration: slot and generation. Events of an earlier user of the slot do not reach the next.
@usableFromInline
package struct Registration: Equatable, Sendable {
    @usableFromInline package let token: UInt64
    @inlinable init(token: UInt64) { self.token = token }
    @inlinable package static var none: Registration { Registration(token: .max) }
}

@usableFromInline
package final class EventLoop {
    private struct Slot {
        var generation: UInt32
        var relay: UInt32
        var source: (any EventSource)?
    }
    private static let noRelay = UInt32.max

    /// What changes with every event. It lies behind a pointer, since exclusivity checks on properties of a class cost
    /// more than the rest of a turn.
    private struct State {
        var slots: UnsafeMutableBufferPointer<Slot>
        var freeSlots: [UInt32] = []
        var usedSlots = 0
        var deferred: [() -> Void] = []
        var isStopped = false
        var relays: RelayTarget?
    }

    private let epoll: FileDescriptor
    private let state: UnsafeMutablePointer<State>
    private let ready: UnsafeMutableBufferPointer<epoll_event>
    @usableFromInline package let timers = TimerQueue()
    /// Where relays are handled; set once by the worker, which outlives the loop's running.
    package var relays: RelayTarget? {
        get { state.pointee.relays }
        set { state.pointee.relays = newValue }
    }
    /// Set by whoever wants the loop to end.
    package var isStopped: Bool {
        get { state.pointee.isStopped }
        set { state.pointee.isStopped = newValue }
    }
    /// Milliseconds of the monotonic clock at the beginning of this turn.
    @inlinable package var now: UInt64 { clock.pointee }
    // Apart from the rest of the state, for other rooms to be compiled with: it is read for each event.
    @usableFromInline package let clock: UnsafeMutablePointer<UInt64>
    /// Called when waiting failed, with the error; the loop goes on.
    package var waitFailed: ((SystemError) -> Void)?

    /// - Parameter eventsPerTurn: How many events one wait fetches at most.
    package init(eventsPerTurn: Int = 512) throws(SystemError) {
        let number = linux_epoll_create()
        guard number >= 0 else { throw .last("epoll_create") }
        epoll = FileDescriptor(owning: number)
        ready = .allocate(capacity: max(1, eventsPerTurn))
        ready.initialize(repeating: epoll_event())
        let slots = UnsafeMutableBufferPointer<Slot>.allocate(capacity: 64)
        slots.initialize(repeating: Slot(generation: 0, relay: Self.noRelay, source: nil))
        state = .allocate(capacity: 1)
        state.initialize(to: State(slots: slots))
        clock = .allocate(capacity: 1)
        clock.initialize(to: MonotonicClock.milliseconds)
    }

    deinit {
        state.pointee.slots.deinitialize()
        state.pointee.slots.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
        clock.deallocate()
        ready.deallocate()
    }

    // MARK: Registrations

    /// Registers a descriptor; the source is kept alive until it is removed.
    package func add(_ descriptor: CInt, _ events: Events, _ source: any EventSource) throws(SystemError)
        -> Registration
    {
        let index = takeSlot()
        state.pointee.slots[index].source = source
        state.pointee.slots[index].relay = Self.noRelay
        let token = UInt64(state.pointee.slots[index].generation) << 32 | UInt64(index)
        guard linux_epoll_ctl(epoll.number, EPOLL_CTL_ADD, descriptor, events.rawValue, UInt(token)) == 0 else {
            let error = SystemError.last("epoll_ctl")
            giveBack(index)
            throw error
        }
        return Registration(token: token)
    }

    /// Changes what a descriptor is watched for.
    package func modify(_ registration: Registration, _ descriptor: CInt, _ events: Events) throws(SystemError) {
        guard linux_epoll_ctl(epoll.number, EPOLL_CTL_MOD, descriptor, events.rawValue, UInt(registration.token)) == 0
        else { throw .last("epoll_ctl") }
    }

    /// Takes a descriptor out. Events that were already fetched for it go nowhere.
    ///
    /// - Parameter isClosing: It is closed right after and no copy of it is open elsewhere, so that the kernel forgets
    ///   it by itself. Otherwise the registration would outlive close(2).
    package func remove(_ registration: Registration, _ descriptor: CInt, isClosing: Bool = false) {
        guard let index = slot(of: registration.token) else { return }
        if !isClosing { _ = linux_epoll_ctl(epoll.number, EPOLL_CTL_DEL, descriptor, 0, 0) }
        giveBack(index)
    }

    /// Hands a registration over to the relay: from now on ``relays`` hears of it, by `index`. No system call.
    package func retarget(_ registration: Registration, toRelay index: UInt32) {
        guard let slot = slot(of: registration.token) else { return }
        state.pointee.slots[slot].source = nil
        state.pointee.slots[slot].relay = index
    }

    /// Gives a registration to another source. No system call.
    package func retarget(_ registration: Registration, to source: any EventSource) {
        guard let slot = slot(of: registration.token) else { return }
        state.pointee.slots[slot].relay = Self.noRelay
        state.pointee.slots[slot].source = source
    }

    /// How many descriptors are registered: what `worker_connections` limits.
    package var registrationCount: Int { state.pointee.usedSlots - state.pointee.freeSlots.count }

    private func slot(of token: UInt64) -> Int? {
        let index = Int(UInt32(truncatingIfNeeded: token))
        guard index < state.pointee.usedSlots,
            state.pointee.slots[index].generation == UInt32(truncatingIfNeeded: token >> 32)
        else { return nil }
        return index
    }

    private func takeSlot() -> Int {
        if let free = state.pointee.freeSlots.popLast() { return Int(free) }
        if state.pointee.usedSlots == state.pointee.slots.count { grow() }
        state.pointee.usedSlots += 1
        return state.pointee.usedSlots - 1
    }

    private func grow() {
        let larger = UnsafeMutableBufferPointer<Slot>.allocate(capacity: state.pointee.slots.count * 2)
        let rest = larger.moveInitialize(fromContentsOf: state.pointee.slots)
        larger[rest...].initialize(repeating: Slot(generation: 0, relay: Self.noRelay, source: nil))
        state.pointee.slots.deallocate()
        state.pointee.slots = larger
    }

    private func giveBack(_ index: Int) {
        // The source may go away with this, and take others out on its way: last of all.
        let source = state.pointee.slots[index].source
        state.pointee.slots[index] = Slot(
            generation: state.pointee.slots[index].generation &+ 1, relay: Self.noRelay, source: nil)
        state.pointee.freeSlots.append(UInt32(index))
        withExtendedLifetime(source) {}
    }

    // MARK: Timers and deferred work

    /// Runs `action` once after `delay`, unless cancelled: never in this turn, which would have no end when an action sets its
    /// timer anew.
    package func schedule(after delay: Duration, _ action: @escaping () -> Void) -> TimerHandle {
        timers.add(deadline: now &+ max(1, delay.milliseconds), .action(action))
    }

    @inlinable package func cancel(_ timer: inout TimerHandle?) {
        if let handle = timer { timers.remove(handle) }
        timer = nil
    }

    package func cancel(_ timer: TimerHandle) { timers.remove(timer) }

    /// Runs `action` at the end of this turn.
    package func later(_ action: @escaping () -> Void) { state.pointee.deferred.append(action) }

    // MARK: Turning

    /// Turns until ``isStopped``.
    package func run() {
        while !isStopped { turn() }
    }

    /// Waits once and handles what came.
    package func turn() {
        linux_note_activity(0, nil)
        let wait = state.pointee.deferred.isEmpty ? timers.millisecondsToNext(from: now) : 0
        let count = epoll_wait(epoll.number, ready.baseAddress, CInt(ready.count), wait)
        clock.pointee = MonotonicClock.milliseconds
        if count < 0 {
            if errno != EINTR { waitFailed?(.last("epoll_wait")) }
        } else {
            for position in 0..<Int(count) { hand(out: ready[position]) }
        }
        expireTimers()
        runDeferred()
    }

    private func hand(out event: epoll_event) {
        guard let index = slot(of: event.data.u64) else { return }
        let events = Events(rawValue: event.events)
        if state.pointee.slots[index].relay != Self.noRelay {
            guard let relays = state.pointee.relays else { return }
            relays.ready(relays.owner, state.pointee.slots[index].relay, events.rawValue)
        } else if let source = state.pointee.slots[index].source {
            // Held here while it works: it may take itself out.
            source.ready(events)
        }
    }

    private func expireTimers() {
        while let target = timers.takeExpired(at: now) {
            switch target {
            case .action(let action): action()
            case .relay(let index):
                guard let relays else { continue }
                relays.timeout(relays.owner, index)
            }
        }
    }

    private func runDeferred() {
        guard !state.pointee.deferred.isEmpty else { return }
        let actions = state.pointee.deferred
        state.pointee.deferred = []
        for action in actions { action() }
    }
}
