import Config
import Glibc
import Observability
import Platform
import Testing

/// A directory of its own for each test.
final class Scratch {
    let path: String
    init() {
        var template = Array("/tmp/apus-log-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    deinit {
        for name in ["a", "b", "c", "link"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    func lines(_ name: String) -> [String] {
        let number = open("\(path)/\(name)", O_RDONLY)
        guard number >= 0 else { return [] }
        defer { close(number) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = read(number, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

@Suite struct `Logs` {
    private let scratch = Scratch()

    private func registry(_ lines: [LogSettings.Line]) throws -> LogRegistry {
        setenv("TZ", "UTC", 1)
        let registry = LogRegistry(LogEnvironment(clock: WallClock(seconds: 1_787_313_600)))
        var settings = LogSettings()
        settings.lines = lines
        try registry.openMain(settings, defaultPath: "\(scratch.path)/c")
        return registry
    }

    private func file(_ name: String, _ level: LogLevel) -> LogSettings.Line {
        .init(.file("\(scratch.path)/\(name)"), level)
    }

    @Test func `a line has time, level, process, connection, text, error and context`() throws {
        let log = try registry([file("a", .info)]).main
        log.write(.error, connection: 7, errno: ECONNREFUSED, { $0.append("connect() failed") }) {
            $0.append(" while connecting")
        }
        let pid = getpid()
        let line = "[error] \(pid)#\(pid): *7 connect() failed (111: Connection refused) while connecting"
        #expect(scratch.lines("a") == ["2026/08/21 12:00:00 \(line)"])
    }

    @Test func `each log takes what its level admits`() throws {
        let log = try registry([file("a", .error), file("b", .debug), file("a", .warning)]).main
        #expect(log.admits(.debug))
        for level in [LogLevel.error, .warning, .info] { log.write(level, "\(level)") }
        #expect(scratch.lines("a").count == 3)
        #expect(scratch.lines("b").count == 3)
    }

    @Test func `without a file in the main list the default is added`() throws {
        let log = try registry([]).main
        log.write(.error, "one")
        log.write(.warning, "two")
        #expect(scratch.lines("c").count == 1)
        #expect(!log.admits(.warning))
    }

    @Test func `a rate suppresses what is more, but not the gravest, and tells how much it was`() throws {
        let registry = try registry([
            .init(.file("\(scratch.path)/a"), .info, rate: 2), .init(.file("\(scratch.path)/b"), .info),
        ])
        for level in [LogLevel.info, .info, .info, .error, .alert, .warning, .emergency] {
            registry.main.write(level, "\(level)")
        }
        #expect(texts("a") == ["info", "info", "alert", "emergency"])
        #expect(scratch.lines("b").count == 7)
        registry.tellSuppressed()
        registry.tellSuppressed()
        #expect(
            scratch.lines("a").last?.hasSuffix("[error] \(getpid())#\(getpid()): 3 messages suppressed by rate=2")
                == true)
        #expect(scratch.lines("a").count == 5)
        #expect(scratch.lines("b").count == 7)
    }

    @Test func `a rate tells of the last second before the first line of the next, or when it is over`() throws {
        let registry = LogRegistry(LogEnvironment())
        var actions: [() -> Void] = []
        registry.environment.nextSecond = { actions.append($0) }
        var settings = LogSettings()
        settings.lines = [.init(.file("\(scratch.path)/a"), .info, rate: 1)]
        try registry.openMain(settings, defaultPath: nil)
        // The wall's clock goes on by itself: at least one of these seconds sees two lines.
        let end = registry.environment.clock.seconds + 2
        while actions.isEmpty, registry.environment.clock.seconds < end { registry.main.write(.info, "x") }
        try #require(!actions.isEmpty)
        while let action = actions.popLast() { action() }
        #expect(texts("a").filter { $0 == "1 message suppressed by rate=1" }.count == 1)
    }

    private func texts(_ name: String) -> [String] {
        scratch.lines(name).map { String($0.split(separator: ": ", maxSplits: 1)[1]) }
    }

    @Test func `context is left out of debug messages`() throws {
        let log = try registry([file("a", .alert)]).main.forcingDebug()
        log.write(.debug, connection: 1, { $0.append("accept") }) { $0.append(", client: x") }
        #expect(scratch.lines("a")[0].hasSuffix("[debug] \(getpid())#\(getpid()): *1 accept"))
    }

    @Test func `a renamed file is left when the logs are opened anew`() throws {
        let registry = try registry([file("a", .notice)])
        registry.main.write(.notice, "before")
        rename("\(scratch.path)/a", "\(scratch.path)/b")
        #expect(registry.reopen(reportingTo: registry.main) == [0])
        registry.main.write(.notice, "after")
        #expect(scratch.lines("b").count == 1)
        #expect(scratch.lines("a")[0].hasSuffix("after"))
    }

    @Test func `a link in a directory of others is not followed`() throws {
        chmod(scratch.path, 0o777)
        symlink("\(scratch.path)/b", "\(scratch.path)/link")
        #expect(throws: ConfigError("open() \"\(scratch.path)/link\" failed (40: Too many levels of symbolic links)")) {
            try registry([file("link", .notice)])
        }
        chmod(scratch.path, 0o755)
        _ = try registry([file("link", .notice)])
    }

    @Test func `syslog gets one datagram a message`() throws {
        let receiver = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
        defer { close(receiver) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = "\(scratch.path)/a"
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(receiver, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        var parameters = SyslogParameters()
        parameters.server = SocketAddress(.unix(Array(path.utf8)))
        parameters.facility = 2
        parameters.tag = "mail_1"
        parameters.namesHost = false
        let log = try registry([file("b", .emergency), .init(.syslog(parameters), .info)]).main
        log.write(.notice, "hello")
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(receiver, &bytes, bytes.count, 0)
        let received = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        #expect(received.hasPrefix("<21>Aug 21 "))
        #expect(received.contains(" mail_1: 2026/08/21 "))
        #expect(received.hasSuffix("[notice] \(getpid())#\(getpid()): hello"))
    }

    @Test func `an absent syslog server is told once a message to the other logs`() throws {
        var parameters = SyslogParameters()
        parameters.server = SocketAddress(.unix(Array("\(scratch.path)/none".utf8)))
        parameters.serverText = parameters.server.text
        let log = try registry([.init(.syslog(parameters), .info), file("b", .info)]).main
        log.write(.info, "hello")
        let lines = scratch.lines("b")
        #expect(lines.count == 2)
        #expect(
            lines.contains {
                $0.hasSuffix(
                    "connect() failed (2: No such file or directory) while logging to syslog, server: "
                        + "unix:\(scratch.path)/none")
            })
    }
}
