import EventLoop
import Glibc
import TLS

/// A TLS connection that is over but for its end: close_notify is sent, the peer's awaited for three seconds at most.
///
/// It keeps itself alive through its registration.
final class TLSFarewell: EventSource {
    private var tls: TLSSession?
    private var descriptor: CInt
    private let registration: Registration
    private let loop: EventLoop
    private let farewells: Farewells
    private var timer: TimerHandle?

    private static var longestWait: Duration { .seconds(3) }

    /// Takes the socket over; `registration` is its place in the loop.
    static func begin(
        _ tls: consuming TLSSession, descriptor: CInt, registration: Registration, loop: EventLoop,
        among farewells: Farewells
    ) {
        let farewell = TLSFarewell(tls, descriptor, registration, loop, farewells)
        loop.retarget(registration, to: farewell)
        farewell.go()
    }

    private init(
        _ tls: consuming TLSSession, _ descriptor: CInt, _ registration: Registration, _ loop: EventLoop,
        _ farewells: Farewells
    ) {
        self.tls = consume tls
        (self.descriptor, self.registration, self.loop, self.farewells) = (descriptor, registration, loop, farewells)
        farewells.count += 1
    }

    func ready(_ events: Events) { go() }

    private func go() {
        guard descriptor >= 0 else { return }
        switch (try? tls?.shutdown()) ?? .closed {
        case .wantsRead: wait()
        case .wantsWrite:
            try? loop.modify(registration, descriptor, [.input, .output, .peerClosed, .edgeTriggered])
            wait()
        case .done, .closed: end()
        }
    }

    private func wait() {
        guard timer == nil else { return }
        timer = loop.schedule(after: Self.longestWait) { [weak self] in self?.end() }
    }

    private func end() {
        guard descriptor >= 0 else { return }
        let number = descriptor
        descriptor = -1
        loop.cancel(&timer)
        tls = nil
        loop.remove(registration, number, isClosing: true)
        _ = close(number)
        farewells.count -= 1
        farewells.oneEnded()
    }
}

/// The farewells of a worker: it does not end before they do.
final class Farewells {
    fileprivate(set) var count = 0
    /// Called after each.
    var oneEnded: () -> Void = {}
}
