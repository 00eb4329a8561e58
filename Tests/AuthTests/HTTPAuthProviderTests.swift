import ApusMail
import Auth
import EventLoop
import Glibc
import Platform
import Testing

/// An authentication service on a loopback port that does what its script says, in the loop of the test.
private final class ScriptedService: EventSource {
    enum Reaction {
        case answer(String), answerAndClose(String), close, silence
        /// The second part is sent later.
        case inParts(String, String)
    }

    private let loop: EventLoop
    private let listener: CInt
    private var registration = Registration.none
    private var connections: [Served] = []
    var script: [Reaction]
    private(set) var requests: [String] = []
    private(set) var accepted = 0
    let port: UInt16

    final class Served: EventSource {
        unowned let service: ScriptedService
        let descriptor: CInt
        var registration = Registration.none
        var received: [UInt8] = []
        init(_ service: ScriptedService, _ descriptor: CInt) { (self.service, self.descriptor) = (service, descriptor) }
        func ready(_ events: Events) { service.read(self) }
    }

    init(_ loop: EventLoop, _ script: [Reaction]) throws {
        (self.loop, self.script) = (loop, script)
        (listener, port) = try Self.listening()
        registration = try loop.add(listener, [.input], self)
    }

    private static func listening() throws -> (CInt, UInt16) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        let address = SocketAddress(.ipv4([127, 0, 0, 1]))
        let bound = address.withKernelForm { bind(listener, $0.assumingMemoryBound(to: sockaddr.self), $1) }
        try #require(bound == 0 && listen(listener, 16) == 0)
        var name = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutableBytes(of: &name) {
            _ = getsockname(listener, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        return (listener, try #require(SocketAddress(name, length: Int(length))).port)
    }

    private var isListening = true

    func stop() {
        guard isListening else { return }
        isListening = false
        for connection in connections { end(connection) }
        loop.remove(registration, listener)
        close(listener)
    }

    func ready(_ events: Events) {
        while true {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            accepted += 1
            let connection = Served(self, descriptor)
            connections.append(connection)
            connection.registration = (try? loop.add(descriptor, [.input], connection)) ?? .none
        }
    }

    func read(_ connection: Served) {
        var space = [UInt8](repeating: 0, count: 65_536)
        let count = recv(connection.descriptor, &space, space.count, 0)
        guard count > 0 else { return end(connection) }
        connection.received += space.prefix(count)
        guard String(decoding: connection.received, as: UTF8.self).hasSuffix("\r\n\r\n") else { return }
        requests.append(String(decoding: connection.received, as: UTF8.self))
        connection.received = []
        react(connection)
    }

    private func react(_ connection: Served) {
        switch script.isEmpty ? .silence : script.removeFirst() {
        case .answer(let text): send(text, connection)
        case .answerAndClose(let text):
            send(text, connection)
            end(connection)
        case .close: end(connection)
        case .silence: break
        case .inParts(let first, let second):
            send(first, connection)
            _ = loop.schedule(after: .milliseconds(20)) { [weak self] in self?.send(second, connection) }
        }
    }

    /// Sends on the connection last accepted, unasked.
    func sendUnasked(_ text: String) { connections.last.map { send(text, $0) } }
    func closeConnections() { for connection in connections { end(connection) } }

    private func send(_ text: String, _ connection: Served) {
        _ = Array(text.utf8).withUnsafeBytes { Stream.write(connection.descriptor, $0) }
    }

    private func end(_ connection: Served) {
        guard let index = connections.firstIndex(where: { $0 === connection }) else { return }
        connections.remove(at: index)
        loop.remove(connection.registration, connection.descriptor)
        close(connection.descriptor)
    }
}

@Suite struct `Asking an HTTP authentication service` {
    static let headers = "Auth-Status: OK\r\nAuth-Server: 198.51.100.1\r\nAuth-Port: 143\r\n"
    static let closing = "HTTP/1.0 200 OK\r\n\(headers)\r\n"
    static let keeping = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\(headers)\r\n"
    static let accepted = "accepted 198.51.100.1 143 - -"

    /// One worker, one service.
    private final class Scene {
        let loop: EventLoop
        let service: ScriptedService
        let pool: HTTPAuthPool
        let provider: HTTPAuthProvider
        var verdicts: [String] = []

        init(_ script: [ScriptedService.Reaction], timeout: Duration = .seconds(5), keep: Int = 16) throws {
            loop = try EventLoop()
            service = try ScriptedService(loop, script)
            pool = HTTPAuthPool(loop: loop)
            var settings = AuthHTTPSettings()
            settings.timeout = timeout
            settings.keptConnections = keep
            provider = HTTPAuthProvider(
                HTTPAuthService(
                    address: SocketAddress(.ipv4([127, 0, 0, 1]), port: service.port), host: Array("localhost".utf8)),
                settings: settings, requiresPassword: true, pool: pool)
        }

        deinit {
            service.stop()
            pool.closeIdle()
        }

        func ask() -> any AuthInquiry {
            let request = `HTTP authentication requests`.request(`HTTP authentication requests`.credentials())
            var isInside = true
            defer { isInside = false }
            return provider.decide(request) { [unowned self] verdict in
                #expect(!isInside)
                verdicts.append(`HTTP authentication answers`.text(verdict))
            }
        }

        /// Turns until so many verdicts are there, or the condition holds.
        func turn(until condition: () -> Bool) {
            let end = MonotonicClock.milliseconds + 5000
            // Keeps the loop from waiting for ever.
            let timer = loop.schedule(after: .seconds(5)) {}
            while !condition() && MonotonicClock.milliseconds < end { loop.turn() }
            loop.cancel(timer)
        }

        func login() -> String {
            let count = verdicts.count
            let inquiry = ask()
            turn { verdicts.count > count }
            withExtendedLifetime(inquiry) {}
            return verdicts.count == count + 1 ? verdicts[count] : "no verdict"
        }

        func turns(_ count: Int) {
            for _ in 0..<count {
                let timer = loop.schedule(after: .milliseconds(5)) {}
                loop.turn()
                loop.cancel(timer)
            }
        }

        var name: String { "127.0.0.1:\(service.port)" }
    }

    @Test func `one request, one answer`() throws {
        let scene = try Scene([.answerAndClose(Self.closing)])
        #expect(scene.login() == Self.accepted)
        #expect(scene.service.requests.count == 1)
        #expect(scene.service.requests[0].hasSuffix("Client-IP: 192.0.2.7\r\nConnection: keep-alive\r\n\r\n"))
        #expect(scene.pool.idleCount == 0)
    }

    @Test func `without keep-alive the request is nginx's`() throws {
        let scene = try Scene([.answer(Self.keeping), .answer(Self.keeping)], keep: 0)
        #expect(scene.login() == Self.accepted)
        #expect(scene.login() == Self.accepted)
        #expect(scene.service.requests.allSatisfy { !$0.contains("Connection") })
        #expect(scene.service.accepted == 2)
    }

    @Test func `an answer in parts`() throws {
        let scene = try Scene([.inParts("HT", String(Self.closing.dropFirst(2)))])
        #expect(scene.login() == Self.accepted)
    }

    @Test func `a connection is kept, and used one request at a time`() throws {
        let scene = try Scene(Array(repeating: .answer(Self.keeping), count: 8))
        for _ in 0..<4 { #expect(scene.login() == Self.accepted) }
        #expect(scene.service.accepted == 1)
        #expect(scene.pool.idleCount == 1)
        let both = [scene.ask(), scene.ask()]
        scene.turn { scene.verdicts.count == 6 }
        withExtendedLifetime(both) {}
        #expect(scene.service.accepted == 2)
        #expect(scene.pool.idleCount == 2)
    }

    @Test func `no more connections are kept than may be`() throws {
        let scene = try Scene(Array(repeating: .answer(Self.keeping), count: 8), keep: 2)
        let all = (0..<5).map { _ in scene.ask() }
        scene.turn { scene.verdicts.count == 5 }
        withExtendedLifetime(all) {}
        #expect(scene.pool.idleCount == 2)
    }

    @Test func `a body is read before its connection is used again`() throws {
        let head = Self.keeping.replacing("Content-Length: 0", with: "Content-Length: 5")
        let scene = try Scene([.inParts(head, "12345"), .answer(Self.keeping), .answer(Self.keeping)])
        #expect(scene.login() == Self.accepted)
        // The body has not come: another connection it is.
        #expect(scene.login() == Self.accepted)
        #expect(scene.service.accepted == 2)
        scene.turns(20)
        #expect(scene.pool.idleCount == 2)
    }

    @Test(arguments: ["x", "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n\r\n"])
    func `a byte too many ends a connection`(more: String) throws {
        let scene = try Scene([.answer(Self.keeping + more), .answer(Self.keeping), .answer(Self.keeping)])
        #expect(scene.login() == Self.accepted)
        #expect(scene.pool.idleCount == 0)
        #expect(scene.login() == Self.accepted)
        #expect(scene.pool.idleCount == 1)
        scene.service.sendUnasked(more)
        scene.turn { scene.pool.idleCount == 0 }
        #expect(scene.pool.idleCount == 0)
        #expect(scene.login() == Self.accepted)
        #expect(scene.service.accepted == 3)
    }

    @Test func `a byte too many that is there when the connection is taken`() throws {
        let scene = try Scene([.answer(Self.keeping), .answer(Self.keeping)])
        #expect(scene.login() == Self.accepted)
        // The loop has not turned since: the connection looks fine, and the stray answer comes before the real one.
        scene.service.sendUnasked("HTTP/1.0 200 OK\r\nAuth-Status: Stray\r\n\r\n")
        #expect(scene.login() == Self.accepted)
        #expect(scene.service.accepted == 2)
    }

    @Test func `a kept connection that the service closed is no failure`() throws {
        let scene = try Scene([.answer(Self.keeping), .answer(Self.keeping), .close, .answer(Self.keeping)])
        #expect(scene.login() == Self.accepted)
        // Closed while idle.
        scene.service.closeConnections()
        #expect(scene.login() == Self.accepted)
        // Closed when the request came: asked again, once, on a new connection.
        #expect(scene.login() == Self.accepted)
        #expect(scene.service.requests.count == 4)
        #expect(scene.service.accepted == 3)
    }

    @Test func `the second attempt is the last`() throws {
        let scene = try Scene([.answer(Self.keeping), .close, .close, .answer(Self.keeping)])
        #expect(scene.login() == Self.accepted)
        #expect(scene.login() == "failed auth http server \(scene.name) prematurely closed connection 0")
        #expect(scene.service.requests.count == 3)
    }

    @Test func `nothing is asked again once an answer has begun`() throws {
        let scene = try Scene([.answer(Self.keeping), .answerAndClose("H"), .answer(Self.keeping)])
        #expect(scene.login() == Self.accepted)
        #expect(scene.login() == "failed auth http server \(scene.name) prematurely closed connection 0")
        #expect(scene.service.requests.count == 2)
    }

    @Test(
        arguments: [
            ("", " prematurely closed connection"),
            ("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n", " prematurely closed connection"),
            ("HTTP/1.0 200 OK\rX", " sent invalid response"), ("_", " sent invalid header in response"),
            ("HTTP/1.0 200 OK\r\n\r\n", " did not send Auth-Status"),
        ])
    func `failures and their lines`(answer: String, text: String) throws {
        let scene = try Scene([.answerAndClose(answer)])
        #expect(scene.login() == "failed auth http server \(scene.name)\(text) 0")
    }

    @Test func `silence has an end`() throws {
        let scene = try Scene([.silence, .answer("HTTP/1.0 200 OK\r\n")], timeout: .milliseconds(50))
        #expect(scene.login() == "failed auth http server \(scene.name) timed out 110")
        #expect(scene.login() == "failed auth http server \(scene.name) timed out 110")
        #expect(scene.pool.idleCount == 0)
    }

    @Test func `nobody listens`() throws {
        let scene = try Scene([])
        scene.service.stop()
        let verdict = scene.login()
        #expect(verdict == "failed connect() to \(scene.name) failed 111")
    }

    @Test func `a UNIX socket that is not there`() throws {
        let scene = try Scene([])
        let provider = HTTPAuthProvider(
            HTTPAuthService(address: SocketAddress(.unix(Array("/nonexistent/x".utf8))), host: Array("localhost".utf8)),
            settings: AuthHTTPSettings(), requiresPassword: true, pool: scene.pool)
        var verdict: String?
        let inquiry = provider.decide(
            `HTTP authentication requests`.request(`HTTP authentication requests`.credentials())
        ) { verdict = `HTTP authentication answers`.text($0) }
        #expect(verdict == nil)
        scene.turn { verdict != nil }
        withExtendedLifetime(inquiry) {}
        #expect(verdict == "failed connect() to unix:/nonexistent/x failed 2")
    }

    @Test func `a cancelled inquiry hears nothing and keeps no connection`() throws {
        let scene = try Scene([.answer(Self.keeping), .silence])
        #expect(scene.login() == Self.accepted)
        let inquiry = scene.ask()
        scene.turn { scene.service.requests.count == 2 }
        inquiry.cancel()
        scene.service.sendUnasked(Self.keeping)
        scene.turns(5)
        #expect(scene.verdicts.count == 1)
        #expect(scene.pool.idleCount == 0)
    }

    @Test func `an inquiry that is dropped ends`() throws {
        let scene = try Scene([.silence])
        do { _ = scene.ask() }
        scene.turns(3)
        #expect(scene.verdicts.isEmpty)
        #expect(scene.loop.registrationCount == 1)
    }

    @Test func `a quitting worker keeps nothing`() throws {
        let scene = try Scene([.answer(Self.keeping), .answer(Self.keeping)])
        #expect(scene.login() == Self.accepted)
        scene.pool.stopKeeping()
        #expect(scene.pool.idleCount == 0)
        #expect(scene.login() == Self.accepted)
        #expect(scene.pool.idleCount == 0)
        scene.turns(3)
        // The listener alone.
        #expect(scene.loop.registrationCount == 1)
    }
}
