import ApusMail
import Auth
import EventLoop
import Glibc
import Observability
import Platform
import Testing

/// Helper processes, forked as the master would.
private final class Helpers {
    private var children: [pid_t] = []
    private var controls: [CInt] = []
    private var path: String

    init(count: Int, file text: String) throws {
        path = "/tmp/apus-passwd-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try write(text)
        for index in 0..<count {
            let (ours, theirs) = try MessageSocket.pair()
            let file = open(path, O_RDONLY)
            let child = forkProcess()
            if child == 0 {
                // As the master's other descriptors would: a helper must see its peers go.
                for number in 3..<256 where number != theirs && number != file { close(CInt(number)) }
                HashHelper.run(
                    control: theirs, files: [("users", file)], log: .silent(), logs: nil, isFirst: index == 0)
                _exit(0)
            }
            close(theirs)
            close(file)
            children.append(child)
            controls.append(ours)
        }
    }

    private func forkProcess() -> pid_t { fork() }

    private func write(_ text: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        try #require(file >= 0)
        _ = Array(text.utf8).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        close(file)
    }

    /// A socket for a worker, whose other end all helpers share.
    func worker(_ number: UInt32) throws -> CInt {
        let (ours, theirs) = try MessageSocket.pair()
        for control in controls {
            _ = MessageSocket.send(HelperMessage(.workerAppeared, number).bytes, descriptor: theirs, to: control)
        }
        close(theirs)
        return ours
    }

    func change(to text: String) throws {
        try write(text)
        let file = open(path, O_RDONLY)
        for control in controls {
            _ = MessageSocket.send(HelperMessage(.fileChanged, 0).bytes, descriptor: file, to: control)
        }
        close(file)
    }

    func tell(_ bytes: [UInt8]) { for control in controls { _ = MessageSocket.send(bytes, to: control) } }

    /// Ends them as a master that dies; the exit statuses.
    func end() -> [CInt] {
        unlink(path)
        for control in controls { close(control) }
        controls = []
        let statuses = children.map { child in
            var status: CInt = -1
            waitpid(child, &status, 0)
            return status
        }
        children = []
        return statuses
    }
}

@Suite(.serialized) struct `Asking a password file` {
    private final class Scene {
        let loop: EventLoop
        let client: HashClient
        let provider: PasswdFileProvider
        var verdicts: [String] = []

        init(socket: CInt, relay: Bool = false, server: SocketAddress? = nil, requiresPassword: Bool = true) throws {
            loop = try EventLoop()
            client = try HashClient(owning: socket, loop: loop)
            var settings = PasswdFileSettings()
            settings.isRelay = relay
            settings.server = server
            provider = PasswdFileProvider(
                file: 0, settings: settings, requiresPassword: requiresPassword, client: client)
        }

        deinit { client.close() }

        func ask(_ request: AuthRequest) -> any AuthInquiry {
            var isInside = true
            defer { isInside = false }
            return provider.decide(request) { [unowned self] verdict in
                #expect(!isInside)
                verdicts.append(`HTTP authentication answers`.text(verdict))
            }
        }

        func turn(until condition: () -> Bool) {
            let end = MonotonicClock.milliseconds + 5000
            let timer = loop.schedule(after: .seconds(5)) {}
            while !condition() && MonotonicClock.milliseconds < end { loop.turn() }
            loop.cancel(timer)
        }

        func login(_ request: AuthRequest) -> String {
            let count = verdicts.count
            let inquiry = ask(request)
            turn { verdicts.count > count }
            withExtendedLifetime(inquiry) {}
            return verdicts.count == count + 1 ? verdicts[count] : "no verdict"
        }
    }

    private static func request(
        _ method: AuthenticationMethod = .plain, _ login: String = "bob", _ password: String = "secret",
        salt: String? = nil, subject: String? = nil, verification: String = "SUCCESS", from: String = "192.0.2.7"
    ) -> AuthRequest {
        var request = AuthRequest(
            credentials: `HTTP authentication requests`.credentials(method, login, password, salt: salt),
            protocolName: "imap", loginAttempt: 1, clientAddress: Array(from.utf8))
        request.encryption = subject.map {
            EncryptionFacts(verification: Array(verification.utf8), subject: Array($0.utf8))
        }
        return request
    }

    static let file = """
        bob:{PLAIN}secret::::::host=198.51.100.1 port=143
        tim:{PLAIN}tanstaaftanstaaf::::::port=993
        ann:\(`Password files`.hashes[0].1)::::::pass=there
        eve:{PLAIN}secret::::::nodelay

        """
    static let refused = "refused \"Authentication failed.\" - 2.0 seconds -"
    static let proxy = SocketAddress(.ipv4([127, 0, 0, 1]), port: 1143)

    @Test func `logins are decided by helper processes`() throws {
        let helpers = try Helpers(count: 2, file: Self.file)
        do {
            let scene = try Scene(socket: helpers.worker(1), server: Self.proxy)
            let table: [(AuthRequest, String)] = [
                (Self.request(), "accepted 198.51.100.1 143 - -"),
                (Self.request(.plain, "bob", "wrong"), Self.refused),
                (Self.request(.plain, "nobody", "secret"), Self.refused),
                (Self.request(.plain, "", ""), Self.refused),
                (Self.request(.plain, "bob", String(repeating: "x", count: 100_000)), Self.refused),
                (Self.request(.plain, "ann", "secret"), "accepted 127.0.0.1 1143 - there"),
                (Self.request(.plain, "tim", "tanstaaftanstaaf"), "accepted 127.0.0.1 993 - -"),
                (Self.request(.plain, "eve", "x"), "refused \"Authentication failed.\" - - -"),
                (
                    Self.request(
                        .cramMD5, "tim", "b913a602c7eda7a495b4e6e7334d3890",
                        salt: "<1896.697170952@postoffice.reston.mci.net>"), "accepted 127.0.0.1 993 - tanstaaftanstaaf"
                ),
                // EXTERNAL only with a verified certificate of that name.
                (Self.request(.external, "ann", ""), Self.refused),
                (Self.request(.external, "ann", "", subject: "CN=ann"), "accepted 127.0.0.1 1143 - there"),
                (Self.request(.external, "ann", "", subject: "CN=bob"), Self.refused),
                (Self.request(.external, "ann", "", subject: "CN=ann,CN=bob"), Self.refused),
                (Self.request(.external, "ann", "", subject: "CN=ann", verification: "FAILED:x"), Self.refused),
                (Self.request(.external, "ann", "", subject: "CN=ann", verification: "NONE"), Self.refused),
                (Self.request(.external, "ann", "", subject: "CN=ann", verification: ""), Self.refused),
                (Self.request(.external, "nobody", "", subject: "CN=nobody"), Self.refused),
                (Self.request(.external, "", "", subject: "CN="), Self.refused),
                (
                    Self.request(.external, "bob", "", subject: "CN=bob"),
                    "failed no password for the server behind: this user's entry has no pass 0"
                ),
                (Self.request(.none, "", ""), Self.refused),
            ]
            for (request, expected) in table { #expect(scene.login(request) == expected) }
            #expect(scene.provider.canVerifyDigests)
        }
        #expect(helpers.end() == [0, 0])
    }

    @Test func `a session without login needs relay and a server`() throws {
        let (worker, helper) = try MessageSocket.pair()
        defer { close(helper) }
        let scene = try Scene(socket: worker, relay: true, server: Self.proxy)
        #expect(scene.login(Self.request(.none, "", "")) == "accepted 127.0.0.1 1143 - -")
    }

    @Test func `a user without a server`() throws {
        let helpers = try Helpers(count: 1, file: Self.file)
        do {
            let scene = try Scene(socket: helpers.worker(1))
            let text = "failed no server behind for this user: neither host and port nor proxy_pass 0"
            #expect(scene.login(Self.request(.plain, "eve", "secret")) == text)
            #expect(scene.login(Self.request()) == "accepted 198.51.100.1 143 - -")
        }
        #expect(helpers.end() == [0])
    }

    @Test func `many at once, in whatever order`() throws {
        let helpers = try Helpers(count: 3, file: Self.file)
        do {
            let scene = try Scene(socket: helpers.worker(1), server: Self.proxy)
            var inquiries: [any AuthInquiry] = []
            for index in 0..<200 {
                // As many networks as keep within the share of each.
                inquiries.append(
                    scene.ask(Self.request(.plain, index % 2 == 0 ? "bob" : "eve", "x", from: "10.0.\(index).1")))
            }
            scene.turn { scene.verdicts.count == 200 }
            #expect(scene.verdicts.filter { $0 == Self.refused }.count == 100)
            #expect(scene.verdicts.filter { $0 == "refused \"Authentication failed.\" - - -" }.count == 100)
        }
        #expect(helpers.end() == [0, 0, 0])
    }

    @Test func `a changed file counts from now on`() throws {
        let helpers = try Helpers(count: 2, file: Self.file)
        do {
            let scene = try Scene(socket: helpers.worker(1), server: Self.proxy)
            #expect(scene.login(Self.request()) == "accepted 198.51.100.1 143 - -")
            scene.turn { scene.provider.canVerifyDigests }
            try helpers.change(to: "bob:\(`Password files`.hashes[4].1)::::::host=203.0.113.1 port=1\n")
            scene.turn { !scene.provider.canVerifyDigests }
            #expect(!scene.provider.canVerifyDigests)
            // The other helper may not have seen it yet; it does before it is done with one more.
            scene.turn { scene.login(Self.request()) == "accepted 203.0.113.1 1 - -" }
            #expect(scene.verdicts.last == "accepted 203.0.113.1 1 - -")
        }
        #expect(helpers.end() == [0, 0])
    }

    @Test func `workers come and go, and nonsense hurts nobody`() throws {
        let helpers = try Helpers(count: 1, file: Self.file)
        helpers.tell([1])
        helpers.tell([9, 0, 0, 0, 0])
        helpers.tell([1, 0, 0, 0, 0])
        helpers.tell([3, 0, 0, 0, 0])
        do {
            let nonsense = try helpers.worker(7)
            for bytes in [[0], [1], [UInt8](repeating: 1, count: 100), [UInt8](repeating: 0xFF, count: 20_000)] {
                _ = MessageSocket.send(bytes, to: nonsense)
            }
            let gone = try Scene(socket: helpers.worker(1), server: Self.proxy)
            #expect(gone.login(Self.request()) == "accepted 198.51.100.1 143 - -")
            let asked = gone.ask(Self.request())
            gone.client.close()
            #expect(gone.verdicts.last == "failed no password helper 0")
            withExtendedLifetime(asked) {}
            #expect(gone.login(Self.request()) == "failed no password helper 0")
            let scene = try Scene(socket: helpers.worker(2), server: Self.proxy)
            #expect(scene.login(Self.request()) == "accepted 198.51.100.1 143 - -")
            helpers.tell(HelperMessage(.workerGone, 2).bytes)
            scene.turn { scene.login(Self.request()) == "failed no password helper 0" }
            #expect(scene.verdicts.last == "failed no password helper 0")
            close(nonsense)
        }
        #expect(helpers.end() == [0])
    }

    @Test func `one network has its share, no more`() throws {
        // A helper that never answers.
        let (worker, helper) = try MessageSocket.pair()
        defer { close(helper) }
        let scene = try Scene(socket: worker, server: Self.proxy)
        var inquiries: [any AuthInquiry] = []
        for _ in 0..<HashClient.mostOfOneNetwork { inquiries.append(scene.ask(Self.request())) }
        #expect(
            scene.login(Self.request(from: "192.0.2.200"))
                == "failed too many password checks are waiting for the client's network 0")
        // Others are served until all is full, and nothing blocks although nobody reads.
        for index in 0..<(HashClient.mostOutstanding - HashClient.mostOfOneNetwork) {
            inquiries.append(scene.ask(Self.request(from: "10.1.\(index / 4).1")))
        }
        #expect(scene.login(Self.request(from: "10.2.0.1")) == "failed too many password checks are waiting 0")
        #expect(scene.verdicts.count == 2)
        // What was sent has cost a hash already, and counts although nobody waits for it.
        inquiries[0].cancel()
        #expect(
            scene.login(Self.request()) == "failed too many password checks are waiting 0")
    }

    @Test func `an answer reaches its request alone`() throws {
        let (worker, helper) = try MessageSocket.pair()
        defer { close(helper) }
        let scene = try Scene(socket: worker, server: Self.proxy)
        let inquiry = scene.ask(Self.request())
        guard case .message(let bytes, _) = MessageSocket.receive(from: helper, limit: HashRequest.longest),
            let request = HashRequest(bytes.span)
        else {
            Issue.record("no request")
            return
        }
        func answer(_ id: UInt64) {
            let answer = HashAnswer(id: id, .accepted(HashAnswer.Accepted()), hasPlainEntries: false)
            answer.datagram.withBytes { _ = MessageSocket.send($0.bytes as [UInt8], to: helper) }
        }
        for id in [request.id &- 1, request.id &+ 1, 0] { answer(id) }
        _ = MessageSocket.send([1, 2, 3], to: helper)
        for _ in 0..<3 {
            let timer = scene.loop.schedule(after: .milliseconds(5)) {}
            scene.loop.turn()
            scene.loop.cancel(timer)
        }
        #expect(scene.verdicts.isEmpty)
        answer(request.id)
        scene.turn { !scene.verdicts.isEmpty }
        answer(request.id)
        #expect(scene.login(Self.request(.none, "", "")) == Self.refused)
        #expect(scene.verdicts == ["accepted 127.0.0.1 1143 - -", Self.refused])
        withExtendedLifetime(inquiry) {}
    }
}
