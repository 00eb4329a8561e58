import EventLoop
import Glibc
import Observability
import Platform
import Testing

@testable import DNS

/// A resolver with its servers, and what it answers.
private final class Stage {
    let loop: EventLoop
    var servers: [ScriptedServer] = []
    private(set) var resolver: Resolver?
    var addresses: [Result<[SocketAddress.Host], ResolverFailure>] = []
    var names: [Result<[UInt8], ResolverFailure>] = []
    private var lookups: [Lookup] = []
    var socketCount = 0

    init(_ scripts: [(ScriptedServer.Question) -> [[UInt8]]], validity: Duration? = nil, usesIPv6: Bool = false) throws
    {
        loop = try EventLoop()
        for script in scripts { servers.append(try ScriptedServer(loop, script)) }
        makeResolver(validity: validity, usesIPv6: usesIPv6)
    }

    func makeResolver(validity: Duration? = nil, usesIPv6: Bool = false) {
        resolver = Resolver(
            ResolverDirective(servers: servers.map(\.address), validity: validity, usesIPv6: usesIPv6), loop: loop,
            log: .silent()
        ) { [unowned self] in
            socketCount += 1
            return UInt64(socketCount)
        }
    }

    deinit {
        lookups = []
        resolver = nil
        for server in servers { server.stop() }
    }

    func endResolver() { resolver = nil }
    func forgetLookups() { lookups = [] }

    func askAddresses(_ name: String = "a.test", within timeout: Duration = .seconds(5)) {
        guard let resolver else { return }
        lookups.append(
            resolver.addresses(of: Array(name.utf8), within: timeout) { [unowned self] in addresses.append($0) })
    }

    func askName(_ host: SocketAddress.Host = .ipv4([192, 0, 2, 1]), within timeout: Duration = .seconds(5)) {
        guard let resolver else { return }
        lookups.append(resolver.name(of: host, within: timeout) { [unowned self] in names.append($0) })
    }

    /// Turns until it is so; 10 seconds at most.
    func turn(until condition: () -> Bool) {
        let end = MonotonicClock.milliseconds + 10_000
        let guardian = loop.schedule(after: .seconds(10)) {}
        while !condition(), MonotonicClock.milliseconds < end { loop.turn() }
        loop.cancel(guardian)
    }

    func turn(for duration: Duration) {
        var isOver = false
        _ = loop.schedule(after: duration) { isOver = true }
        turn { isOver }
    }

    func addressesOf(_ name: String = "a.test", within timeout: Duration = .seconds(5))
        -> Result<[SocketAddress.Host], ResolverFailure>?
    {
        let count = addresses.count
        askAddresses(name, within: timeout)
        turn { addresses.count > count }
        return addresses.last
    }
}

private let first = SocketAddress.Host.ipv4([192, 0, 2, 1])

@Suite struct `Looking names up` {
    @Test func `a name and its addresses`() throws {
        let stage = try Stage([{ [$0.answer($0.type == 12 ? [Message.ptr("MX.test")] : [Message.a(1)])] }])
        #expect(stage.addressesOf() == .success([first]))
        stage.askName()
        stage.turn { !stage.names.isEmpty }
        #expect(stage.names == [.success(Array("mx.test".utf8))])
        #expect(stage.servers[0].questions.map(\.name) == ["a.test", "1.2.0.192.in-addr.arpa"])
    }

    @Test func `the answer never comes from inside the question`() throws {
        let stage = try Stage([{ [$0.answer([Message.a(1)])] }])
        stage.askAddresses("no..name")
        #expect(stage.addresses.isEmpty)
        stage.turn { !stage.addresses.isEmpty }
        #expect(stage.addresses == [.failure(.notFound)])
        #expect(stage.addressesOf() == .success([first]))
        stage.askAddresses()
        #expect(stage.addresses.count == 2, "what is kept is told later as well")
        stage.turn { stage.addresses.count == 3 }
    }

    @Test(arguments: [2, 3, 4, 5]) func `what the server refuses`(code: Int) throws {
        let stage = try Stage([{ [$0.answer(code: UInt16(code))] }])
        #expect(stage.addressesOf() == .failure(ResolverFailure(code: code)))
        #expect(stage.addressesOf() == .failure(ResolverFailure(code: code)))
        #expect(stage.servers[0].questions.count == 2, "failures are not kept, and not asked again by themselves")
    }

    @Test func `a family that is empty is fine, one that fails is not`() throws {
        var code: UInt16 = 0
        let stage = try Stage([{ [$0.type == 28 ? $0.answer(code: code) : $0.answer([Message.a(1, ttl: 0)])] }])
        stage.makeResolver(usesIPv6: true)
        #expect(stage.addressesOf() == .success([first]))
        code = 2
        #expect(stage.addressesOf("b.test") == .failure(.serverFailure))
        code = 3
        #expect(stage.addressesOf("c.test") == .failure(.notFound))
    }

    @Test func `names that are not of the DNS are not asked for`() throws {
        let stage = try Stage([{ _ in [] }])
        stage.makeResolver(usesIPv6: true)
        #expect(stage.addressesOf("hidden.onion") == .failure(.notFound))
        #expect(stage.servers[0].questions.isEmpty)
    }

    @Test func `silence lasts until the time is over`() throws {
        let stage = try Stage([{ _ in [] }])
        #expect(stage.addressesOf(within: .milliseconds(30)) == .failure(.timedOut))
        #expect(stage.servers[0].questions.count == 1)
    }

    @Test func `what is not the answer is not taken for it`() throws {
        let stage = try Stage([
            { question in
                let right = question.answer([Message.a(1)])
                let wrongID = [right[0] ^ 1] + right.dropFirst()
                let otherQuestion = Message.answer(to: Message.question("b.test", .a), id: question.id, [Message.a(9)])
                return [wrongID, otherQuestion, [], [1, 2, 3], right]
            }
        ])
        #expect(stage.addressesOf() == .success([first]))
    }

    @Test func `nonsense fails at once, or another server is asked`() throws {
        let alone = try Stage([{ [$0.answer([Message.record(1, [1])])] }])
        #expect(alone.addressesOf() == .failure(.formatError))
        let stage = try Stage([{ [$0.answer(code: 1)] }, { [$0.answer([Message.a(1)])] }])
        #expect(stage.addressesOf() == .success([first]))
        #expect(stage.servers.map(\.questions.count) == [1, 1])
    }

    @Test func `a server that is not there is passed over`() throws {
        let stage = try Stage([{ _ in [] }, { [$0.answer([Message.a(1)])] }])
        stage.servers[0].stop()
        #expect(stage.addressesOf() == .success([first]))
        let alone = try Stage([{ _ in [] }])
        alone.servers[0].stop()
        #expect(alone.addressesOf(within: .milliseconds(50)) == .failure(.timedOut))
    }

    @Test func `the rest of a truncated answer comes over TCP`() throws {
        let stage = try Stage([
            { [$0.overStream ? $0.answer((1...100).map { Message.a($0) }) : $0.answer(flags: 0x8380)] }
        ])
        guard case .success(let hosts) = stage.addressesOf() else {
            Issue.record("\(stage.addresses)")
            return
        }
        #expect(hosts.count == 100)
        #expect(stage.servers[0].questions.map(\.overStream) == [false, true])
    }

    @Test func `a large datagram is had over TCP`() throws {
        let stage = try Stage([{ [$0.answer((1...100).map { Message.a($0) })] }])
        guard case .success(let hosts) = stage.addressesOf() else {
            Issue.record("\(stage.addresses)")
            return
        }
        #expect(hosts.count == 100)
    }

    @Test func `aliases are followed, in a circle not for ever`() throws {
        let stage = try Stage([
            { question in
                switch question.name {
                case "a.test": [question.answer([Message.cname("b.test")])]
                case "b.test": [question.answer([Message.a(1)])]
                default: [question.answer([Message.cname("circle.test")])]
                }
            }
        ])
        #expect(stage.addressesOf() == .success([first]))
        #expect(stage.addressesOf("circle.test") == .failure(.notFound))
        #expect(stage.servers[0].questions.count == 2 + 1 + Resolution.longestChain)
    }

    @Test func `what was found is kept for as long as it says`() throws {
        let stage = try Stage([{ [$0.answer([Message.a(1, ttl: $0.name == "short.test" ? 0 : 60)])] }])
        #expect(stage.addressesOf() == .success([first]))
        #expect(stage.addressesOf("A.TEST.") == .success([first]))
        #expect(stage.servers[0].questions.count == 1)
        #expect(stage.addressesOf("short.test") == .success([first]))
        stage.turn(for: .milliseconds(1010))
        #expect(stage.addressesOf("short.test") == .success([first]))
        #expect(stage.servers[0].questions.count == 3)
    }

    @Test func `or for as long as the configuration says`() throws {
        let stage = try Stage([{ [$0.answer([Message.a(1, ttl: 0)])] }], validity: .seconds(60))
        #expect(stage.addressesOf() == .success([first]))
        stage.turn(for: .milliseconds(1010))
        #expect(stage.addressesOf() == .success([first]))
        #expect(stage.servers[0].questions.count == 1)
    }

    @Test func `who asks the same meanwhile shares the question`() throws {
        var pending: ScriptedServer.Question?
        let stage = try Stage([
            { question in
                pending = question
                return []
            }
        ])
        for timeout in [40, 5000, 5000] { stage.askAddresses(within: .milliseconds(timeout)) }
        stage.turn { stage.addresses.count == 1 }
        #expect(stage.addresses == [.failure(.timedOut)])
        #expect(pending != nil && stage.servers[0].questions.count == 1)
        stage.askAddresses(within: .milliseconds(10))
        stage.turn { stage.addresses.count == 2 }
        #expect(stage.servers[0].questions.count == 1)
    }

    @Test func `servers take turns`() throws {
        let stage = try Stage([{ [$0.answer([Message.a(1)])] }, { [$0.answer([Message.a(1)])] }])
        for name in ["a.test", "b.test", "a.test", "c.test", "d.test"] { _ = stage.addressesOf(name) }
        #expect(stage.servers[0].questions.map(\.name) == ["a.test", "c.test"])
        #expect(stage.servers[1].questions.map(\.name) == ["b.test", "d.test"])
    }

    @Test func `nobody is told who does not wait any more`() throws {
        let stage = try Stage([{ [$0.answer([Message.a(1)])] }])
        stage.askAddresses()
        stage.askAddresses("no..name")
        stage.forgetLookups()
        stage.turn(for: .milliseconds(50))
        #expect(stage.addresses.isEmpty)
        // The next one asks anew.
        #expect(stage.addressesOf() == .success([first]))
        #expect(stage.servers[0].questions.count == 2)
    }

    @Test func `it goes in the middle of its work, and nothing of it stays`() throws {
        let stage = try Stage([{ _ in [] }])
        let timers = stage.loop.timers.count
        let registrations = stage.loop.registrationCount
        stage.askAddresses()
        stage.turn { !stage.servers[0].questions.isEmpty }
        #expect(stage.loop.registrationCount == registrations + 1)
        #expect(stage.socketCount == 1)
        stage.endResolver()
        stage.forgetLookups()
        #expect(stage.loop.registrationCount == registrations)
        #expect(stage.loop.timers.count == timers)
        #expect(stage.addresses.isEmpty)
    }

    @Test func `many questions at once`() throws {
        let stage = try Stage([{ [$0.answer([Message.a(1)])] }])
        // No more than the socket of the server holds.
        for number in 0..<200 { stage.askAddresses("host\(number).test") }
        stage.turn { stage.addresses.count == 200 }
        #expect(stage.addresses.allSatisfy { $0 == .success([first]) })
        #expect(Set(stage.servers[0].questions.map(\.id)).count == 200)
        #expect(stage.socketCount == 1)
    }
}
