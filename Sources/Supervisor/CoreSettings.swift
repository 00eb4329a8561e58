package import Config
package import Platform

/// What the main block says about processes.
package struct CoreSettings: SettingsBlock {
    package enum WorkerCount: Equatable, Sendable { case fixed(Int), automatic }
    package enum DebugPoint: Equatable, Sendable { case stop, abort }

    /// A variable that workers keep (`value` is nil) or get.
    package struct Variable: Equatable, Sendable {
        package let name: String
        package let value: String?
    }

    package var isDaemon = true
    package var hasMaster = true
    /// Whom workers run as; nil for the built-in user.
    package var user: UserIdentity?
    package var workerCount = WorkerCount.fixed(1)
    package var affinity: ProcessorAffinity?
    package var priority = 0
    package var openFileLimit: Int?
    package var coreLimit: Int?
    /// Zero for no limit.
    package var shutdownTimeout = Duration.zero
    /// How long a worker may be silent; zero for ever.
    package var watchdog = Duration.seconds(30)
    package var workingDirectory: String?
    package var environment: [Variable] = []
    /// Joined with the prefix; nil for the built-in one.
    package var pidFile: String?
    package var lockFile: String?
    /// What becomes of sockets inherited from nginx that the configuration does not name.
    package enum ForeignSockets: Equatable, Sendable { case refuse, close }
    package enum Control: Equatable, Sendable { case builtIn, off, path(String) }
    package var control = Control.builtIn
    package var foreignSockets = ForeignSockets.refuse
    package var timerResolution = Duration.zero
    package var debugPoint: DebugPoint?
    package var threadPools: [String] = []
    package var usesPCREJIT = false
    package var sslEngine: String?

    package init() {}

    /// How often workers show that they are alive; nil where nobody looks. One that stops for a debugger is to be let.
    var watchdogPeriod: Duration? { watchdog > .zero && debugPoint != .stop ? watchdog / 4 : nil }

    /// Where the control socket is to be: beside the pid file unless the configuration says otherwise; nil for nowhere.
    func controlPath(besides pidFile: String) -> String? {
        switch control {
        case .off: nil
        case .path(let path): path
        case .builtIn: (pidFile.hasSuffix(".pid") ? String(pidFile.dropLast(4)) : pidFile) + ".control"
        }
    }

    package static var title: String { "Processes" }

    package static var directives: [Directive<CoreSettings>] {
        processDirectives + [userDirective, affinityDirective, priorityDirective] + limitDirectives
            + [watchdogDirective, takeoverDirective, controlDirective, environmentDirective] + fileDirectives
            + acceptedDirectives + [
                threadPoolDirective
            ]
    }

    private static var processDirectives: [Directive<CoreSettings>] {
        [
            Directive(
                "daemon", in: .main, \.isDaemon, .flag,
                """
                Whether Apus leaves the terminal and goes on in the background. The command returns when all sockets are \
                open and the pid file is written. Under a service manager or in a container, say `off`.
                """),
            Directive(
                "master_process", in: .main, \.hasMaster, .flag,
                """
                Whether a master process supervises workers. With `off` one process does everything as the user who \
                started it, without a second one to take over: for debugging only.
                """),
            Directive(
                "worker_processes", in: .main, \.workerCount, .workerCount,
                """
                How many worker processes serve clients; `auto` means one for each CPU that is on line. All share the \
                listening sockets.
                """),
            Directive(
                "worker_shutdown_timeout", in: .main, \.shutdownTimeout, .time,
                """
                How long a worker that was told to quit lets its sessions go on; what is open then is closed. With \
                `0` it waits until the last session has ended. systemd is asked to wait this long at the end of the \
                service; with `0`, `TimeoutStopSec` of the unit decides.
                """),
        ]
    }

    private static var watchdogDirective: Directive<CoreSettings> {
        Directive(
            "worker_watchdog", in: .main, \.watchdog, .time,
            """
            A worker whose event loop has not turned for this time hangs: the master says so in the log, ends it with a \
            report of where it was, and starts another. `0` leaves such workers alone, as does `debug_points stop`, \
            which is for debuggers.
            """)
    }

    private static var controlDirective: Directive<CoreSettings> {
        Directive(
            "control", in: .main, \.control, .control,
            """
            The UNIX socket at which the master takes the orders of `apusctl`: status, reload, upgrade and others, each \
            answered with its outcome. Only root and the user of the master may connect. Without this directive it is \
            beside the pid file, with `.control` in the place of `.pid`, if it can be made there. It is moved by a \
            reload and handed on by an upgrade.
            """)
    }

    private static var takeoverDirective: Directive<CoreSettings> {
        Directive(
            "takeover_foreign_sockets", in: .main, \.foreignSockets, .choice([("refuse", .refuse), ("close", .close)]),
            """
            What happens when Apus takes the place of a running nginx (its binary replaced, USR2) and nginx listens where \
            this configuration does not, for the web perhaps: the start fails, or Apus closes these sockets, and nobody listens there \
            when nginx has ended.
            """)
    }

    private static var limitDirectives: [Directive<CoreSettings>] {
        [
            Directive(
                "worker_rlimit_nofile", in: .main, \.openFileLimit, .optional(.number),
                """
                The limit of open files (RLIMIT_NOFILE) of each worker. A relayed session takes two. Without it, \
                workers have the limit the master was started with.
                """),
            Directive(
                "worker_rlimit_core", in: .main, \.coreLimit, .optional(.offset),
                """
                The largest core file (RLIMIT_CORE) a worker may leave behind. Workers that change their user write \
                one only where this directive is used, since a core file shows what passes through the memory.
                """),
        ]
    }

    private static var fileDirectives: [Directive<CoreSettings>] {
        [
            Directive(
                "working_directory", in: .main, \.workingDirectory, .optional(.string("directory")),
                """
                The current directory of workers, which is where core files land. The user of the workers must be \
                allowed to enter it. The master stays where it was started.
                """),
            Directive(
                "pid", in: .main, \.pidFile, .path(default: "/run/apus/apus.pid"),
                """
                The file that holds the number of the master process; `apus -s` reads it. Relative names are joined \
                with the prefix. It is written when all sockets are open and removed at the end. The directory `/run/apus` is \
                made where it is missing.
                """
            ).transferred(.writesFile),
            Directive(
                "lock_file", in: .main, \.lockFile, .path(default: "/run/apus/apus.lock"),
                """
                Accepted so that configurations of nginx can be kept; Apus needs no lock file. It cannot be changed \
                by a reload.
                """
            ).transferred(.writesFile),
        ]
    }

    private static var acceptedDirectives: [Directive<CoreSettings>] {
        [
            Directive(
                "timer_resolution", in: .main, \.timerResolution, .time,
                """
                Accepted so that configurations of nginx can be kept; reading the clock costs Apus next to nothing, so \
                it does so at each turn of its loop.
                """),
            Directive(
                "debug_points", in: .main, \.debugPoint, .optional(.choice([("stop", .stop), ("abort", .abort)])),
                """
                What a process does when it finds one of its own promises broken: stop, so that a debugger can be \
                attached, or end with a core file. Without it, it logs the matter and goes on.
                """),
            Directive(
                "pcre_jit", in: .main, \.usesPCREJIT, .flag,
                "Accepted so that configurations of nginx can be kept; Apus uses no regular expressions."),
            Directive(
                "ssl_engine", in: .main, arguments: .exactly(1), placeholder: "device", default: nil,
                "Not supported: OpenSSL has replaced engines by providers, which its own configuration file names."
            ) { use throws(ConfigError) in
                throw use.phrase("is not supported")
            }.transferred(.leftOut("OpenSSL has providers instead, which its own configuration file names")),
        ]
    }
}

extension ArgumentSyntax where Value == CoreSettings.WorkerCount {
    fileprivate static var workerCount: ArgumentSyntax<CoreSettings.WorkerCount> {
        ArgumentSyntax(placeholder: "number | auto") { use, word throws(ConfigError) in
            if word.text == "auto" { return .automatic }
            guard let number = ConfigValue.number(word.bytes) else { throw use.phrase("invalid value") }
            return .fixed(number)
        } print: {
            switch $0 {
            case .automatic: "auto"
            case .fixed(let number): String(number)
            }
        }
    }
}

extension ArgumentSyntax where Value == CoreSettings.Control {
    fileprivate static var control: ArgumentSyntax<CoreSettings.Control> {
        ArgumentSyntax(placeholder: "file | off") { use, word throws(ConfigError) in
            if word.text == "off" { return .off }
            let path = use.environment.path(word.text)
            guard !word.bytes.isEmpty, path.utf8.count < 108 else { throw use.phrase("invalid value") }
            return .path(path)
        } print: {
            switch $0 {
            case .builtIn: "the pid file's name with .control"
            case .off: "off"
            case .path(let path): path
            }
        }
    }
}

extension ArgumentSyntax where Value == String? {
    /// A file, joined with the prefix; an empty name means the built-in one.
    fileprivate static func path(default builtIn: String) -> ArgumentSyntax<String?> {
        ArgumentSyntax(placeholder: "file") { use, word in
            word.bytes.isEmpty ? nil : use.environment.path(word.text)
        } print: {
            $0 ?? builtIn
        }
    }
}
