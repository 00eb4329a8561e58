import EventLoop
import Glibc
import Platform
import Testing

private final class Recorder: EventSource {
    var seen: [Events] = []
    var action: () -> Void = {}
    func ready(_ events: Events) {
        seen.append(events)
        action()
    }
}

@Suite struct `Event loop` {
    @Test func `timers come in the order of their deadlines`() throws {
        let loop = try EventLoop()
        var order: [Int] = []
        for delay in [30, 10, 20] {
            _ = loop.schedule(after: .milliseconds(delay)) {
                order.append(delay)
                if order.count == 3 { loop.isStopped = true }
            }
        }
        loop.run()
        #expect(order == [10, 20, 30])
    }

    @Test func `a cancelled timer is silent, and its handle does not hit the next`() throws {
        let loop = try EventLoop()
        var fired: [String] = []
        let first = loop.schedule(after: .milliseconds(1)) { fired.append("first") }
        loop.cancel(first)
        _ = loop.schedule(after: .milliseconds(2)) {
            fired.append("second")
            loop.isStopped = true
        }
        loop.cancel(first)
        loop.run()
        #expect(fired == ["second"])
    }

    @Test func `a timer of no length that sets itself anew does not keep the turn`() throws {
        let loop = try EventLoop()
        var count = 0
        func again() {
            count += 1
            guard count < 1000 else { return }
            _ = loop.schedule(after: .zero) { again() }
        }
        again()
        for _ in 1...3 { loop.turn() }
        #expect((2...4).contains(count))
    }

    @Test func `deferred work runs at the end of the turn`() throws {
        let loop = try EventLoop()
        var order: [Int] = []
        loop.later {
            order.append(1)
            loop.later { order.append(2) }
        }
        loop.turn()
        #expect(order == [1])
        loop.turn()
        #expect(order == [1, 2])
    }

    @Test func `an event of a removed source does not reach the next in its slot`() throws {
        let loop = try EventLoop()
        let (one, other) = try MessageSocket.pair()
        let (third, fourth) = try MessageSocket.pair()
        defer { for number in [one, other, third, fourth] { close(number) } }
        let (first, second, late) = (Recorder(), Recorder(), Recorder())
        var registrations: [Registration] = []
        registrations.append(try loop.add(one, .input, first))
        registrations.append(try loop.add(third, .input, second))
        // Whoever is called first takes the other out and puts a newcomer in its slot.
        func replace(_ index: Int, _ descriptor: CInt) {
            loop.remove(registrations[index], descriptor)
            let (new, _) = (try? MessageSocket.pair()) ?? (-1, -1)
            _ = try? loop.add(new, .input, late)
        }
        first.action = { replace(1, third) }
        second.action = { replace(0, one) }
        _ = MessageSocket.send([1], to: other)
        _ = MessageSocket.send([1], to: fourth)
        loop.turn()
        #expect(first.seen.count + second.seen.count == 1)
        #expect(late.seen.isEmpty)
    }
}
