import Config
import Observability
import Testing

@testable import Supervisor

@Suite struct `Settings of the process` {
    /// Applies one directive of a group, as the loader would, and answers with the settings or the message.
    private func apply<Group: SettingsBlock>(
        _ text: String, to group: Group.Type, isPrivileged: Bool = true, warnings: (String) -> Void = { _ in }
    ) throws(ConfigError) -> Group {
        let words = text.split(separator: " ").map { Word(String($0)) }
        var told: [String] = []
        let environment = LoadingEnvironment(
            prefix: "/p/", configurationPrefix: "/p/", isPrivileged: isPrivileged, warn: { told.append($0) })
        let directive = Group.directives.first { $0.name == words[0].text }!
        let use = DirectiveUse(
            name: words[0].text, arguments: Array(words.dropFirst()), position: Position(file: "f", line: 3),
            isFirst: true, environment: environment)
        var settings = Group()
        let store = try directive.read(use)
        store(&settings)
        told.forEach(warnings)
        return settings
    }

    @Test(
        arguments: [
            ("worker_processes x", "\"worker_processes\" directive invalid value in f:3"),
            ("worker_processes AUTO", "\"worker_processes\" directive invalid value in f:3"),
            ("worker_priority 1x", "\"worker_priority\" directive invalid number in f:3"),
            ("worker_cpu_affinity 012", "invalid character \"2\" in \"worker_cpu_affinity\" in f:3"),
            ("worker_cpu_affinity auto 1 1", "invalid number of arguments in \"worker_cpu_affinity\" directive in f:3"),
            ("user no-such-user", "getpwnam(\"no-such-user\") failed in f:3"),
            ("user root no-such-group", "getgrnam(\"no-such-group\") failed in f:3"),
            ("thread_pool a threads=0", "invalid threads value \"threads=0\" in f:3"),
            ("thread_pool a max_queue=1", "\"thread_pool\" must have \"threads\" parameter in f:3"),
            ("thread_pool a threads=1 max_queue=x", "invalid max_queue value \"max_queue=x\" in f:3"),
            ("debug_points x", "invalid value \"x\" in f:3"),
            ("ssl_engine x", "\"ssl_engine\" directive is not supported in f:3"),
            ("worker_shutdown_timeout 1y", "\"worker_shutdown_timeout\" directive invalid value in f:3"),
        ])
    func `errors of the main block`(text: String, message: String) {
        #expect(throws: ConfigError(message)) { try apply(text, to: CoreSettings.self) }
    }

    @Test(
        arguments: [
            ("worker_connections x", "invalid number \"x\" in f:3"),
            ("use kqueue", "invalid event type \"kqueue\" in f:3"),
            ("debug_connection 1.2.3.4/33", "host not found in debug_connection \"1.2.3.4/33\" in f:3"),
        ])
    func `errors of the events block`(text: String, message: String) {
        #expect(throws: ConfigError(message)) { try apply(text, to: EventsSettings.self) }
    }

    @Test func values() throws {
        #expect(try apply("worker_processes auto", to: CoreSettings.self).workerCount == .automatic)
        #expect(try apply("worker_priority -10", to: CoreSettings.self).priority == -10)
        #expect(try apply("pid a", to: CoreSettings.self).pidFile == "/p/a")
        #expect(try apply("env A=b=c", to: CoreSettings.self).environment == [.init(name: "A", value: "b=c")])
        #expect(try apply("worker_rlimit_core 1g", to: CoreSettings.self).coreLimit == 1 << 30)
    }

    @Test func `the user directive only warns where it cannot work`() throws {
        var warnings: [String] = []
        let settings = try apply("user nobody-at-all", to: CoreSettings.self, isPrivileged: false) {
            warnings.append($0)
        }
        #expect(settings.user == nil)
        #expect(
            warnings == [
                "the \"user\" directive makes sense only if the master process runs with super-user privileges, ignored "
                    + "in f:3"
            ])
    }

    @Test(
        arguments: [
            ("error_log a info warn", "duplicate log level \"warn\" in f:3"),
            ("error_log a info debug_mail", "invalid log level \"debug_mail\" in f:3"),
            ("error_log a json", "invalid log level \"json\" in f:3"),
            ("error_log memory:1k", "invalid buffer size \"1k\" in f:3"),
            ("error_log syslog:", "unknown syslog parameter \"\" in f:3"),
            ("error_log syslog:tag=a", "no syslog server specified in f:3"),
            ("error_log syslog:server=unix:", "no path in the unix domain socket in syslog server \"unix:\" in f:3"),
            ("error_log syslog:tag=a,tag=b", "duplicate syslog \"tag\" in f:3"),
            ("error_log syslog:facility=local8", "unknown syslog facility \"local8\" in f:3"),
            ("error_log syslog:severity=notic", "unknown syslog severity \"notic\" in f:3"),
            ("error_log syslog:tag=a-b", "syslog \"tag\" only allows alphanumeric characters and underscore in f:3"),
            ("error_log syslog:tag=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "syslog tag length exceeds 32 in f:3"),
            ("error_log syslog:server=127.0.0.1,", "unknown syslog parameter \"\" in f:3"),
        ])
    func `errors of error_log`(text: String, message: String) {
        #expect(throws: ConfigError(message)) { try apply(text, to: LogSettings.self) }
    }

    @Test func `levels and targets of error_log`() throws {
        #expect(try apply("error_log a", to: LogSettings.self).lines == [.init(.file("/p/a"), .error)])
        #expect(
            try apply("error_log stderr debug_core debug_mail", to: LogSettings.self).lines == [
                .init(.standardError, .debug)
            ])
    }

    @Test func `every directive is documented`() {
        let all = AnyDirective.all(of: CoreSettings.self) + AnyDirective.all(of: EventsSettings.self)
        for directive in all { #expect(directive.documentation.utf8.count > 40, "\(directive.name)") }
    }
}

@Suite struct `Parts of the master` {
    @Test(
        arguments: [
            ("", [], nil), ("5;6:", [5, 6], nil),
            (
                "x;5;", [],
                "invalid socket number \"x;5;\" in APUS environment variable, ignoring the rest of the variable"
            ),
            (
                "5;-1;", [5],
                "invalid socket number \"-1;\" in APUS environment variable, ignoring the rest of the variable"
            ),
            ("5;12", [5], "invalid socket number \"12\" in APUS environment variable, ignoring"),
        ] as [(String, [CInt], String?)])
    func `inherited sockets`(text: String, numbers: [CInt], problem: String?) {
        let parsed = InheritedSockets.parse(text, variable: "APUS")
        #expect(parsed == InheritedSockets.Parsed(numbers: numbers, problem: problem))
    }

    @Test func `CPUs of workers`() {
        let masks = ProcessorAffinity(isAutomatic: false, masks: [[true, false], [false, true]])
        #expect(masks.processors(ofWorker: 0) == [true, false])
        #expect(masks.processors(ofWorker: 5) == [false, true])
        #expect(masks.mismatches(workerCount: 3) && !masks.mismatches(workerCount: 2))
        let automatic = ProcessorAffinity(isAutomatic: true, masks: [[true, false, true]])
        #expect(automatic.processors(ofWorker: 1) == [false, false, true])
        #expect(automatic.processors(ofWorker: 2) == [true, false, false])
        #expect(ProcessorAffinity(isAutomatic: true, masks: [[false]]).processors(ofWorker: 0) == nil)
    }

    @Test func `after five crashes in ten seconds there is a pause`() {
        var history = CrashHistory()
        for time in 0..<5 { #expect(history.add(at: UInt64(time)) == .zero) }
        #expect(history.add(at: 9_000) > .zero)
        #expect(history.add(at: 30_000) == .zero)
    }

    @Test func `messages survive the way`() {
        let message = ControlMessage(.logFile, 0x1234_5678)
        #expect(ControlMessage(message.bytes) == message)
        #expect(ControlMessage([]) == nil)
        #expect(ControlMessage([200, 0, 0, 0, 0]) == nil)
    }
}
