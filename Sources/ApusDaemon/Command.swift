import Config
import Glibc
import Observability
import Platform
import Supervisor

/// One run of the command that has to do with a configuration: a test, a signal, or the daemon itself.
struct Command {
    private let options: CommandLineOptions
    private let installation: Installation
    private let environment = LogEnvironment(copiesToConsole: true)
    private let source: MailSource
    fileprivate let loader: GenerationLoader

    init(_ options: CommandLineOptions, arguments: [String], _ wiring: Wiring) {
        self.options = options
        let paths = BuiltInPaths.resolved(options)
        installation = Installation(
            prefix: paths.prefix, configurationFile: paths.configurationFile,
            errorLog: paths.errorLog.isEmpty ? nil : paths.errorLog, pidFile: paths.pidFile, lockFile: paths.lockFile,
            version: "Apus/\(Apus.version)", compiler: Information.compiler, commandLine: arguments)
        source = MailSource(paths, globalDirectives: options.globalDirectives, wiring)
        loader = GenerationLoader(source, installation, environment)
    }

    /// - Returns: The exit status.
    func run(title: ProcessTitle) -> CInt {
        if options.testsConfiguration { return test(openBuiltInLog().main) }
        if let signal = options.signal { return send(signal, openBuiltInLog().main) }
        // Handed over, so that it can be closed when it is not needed any more.
        return Daemon(loader, title: title).run(builtInLog: openBuiltInLog())
    }

    /// The log from before the configuration is read. When it cannot be opened, standard error takes its place.
    fileprivate func openBuiltInLog() -> LogRegistry {
        var settings = LogSettings()
        let level = options.testsConfiguration ? LogLevel.info : .notice
        settings.lines = [.init(installation.errorLog.map { .file($0) } ?? .standardError, level)]
        let registry = LogRegistry(environment)
        do throws(ConfigError) {
            try registry.openMain(settings, defaultPath: nil)
            return registry
        } catch {
            Console.write("[alert] could not open error log file: \(error.message)")
            if options.errorLog == nil, options.prefix == nil {
                Console.write("[notice] make its directory, or name another log: -e FILE, or -e stderr")
            }
        }
        settings.lines = [.init(.standardError, level)]
        let fallback = LogRegistry(environment)
        try? fallback.openMain(settings, defaultPath: nil)
        return fallback
    }

    // MARK: -t, -T

    private func test(_ log: Log) -> CInt {
        let path = installation.configurationFile
        do throws(ConfigError) {
            let configuration = try loader.read(log: log)
            if !options.isQuiet { Console.write("the configuration file \(path) syntax is ok") }
            // With a signal it is a test of the syntax alone.
            if options.signal == nil { try loader.test(configuration, log: log) }
            if !options.isQuiet { Console.write("configuration file \(path) test is successful") }
            if options.dumpsConfiguration { Information.print(configuration.loaded.dump) }
            return 0
        } catch {
            loader.report(error)
            Console.write("configuration file \(path) test failed")
            return 1
        }
    }

    // MARK: -s

    private func send(_ signal: CommandLineOptions.Signal, _ log: Log) -> CInt {
        let path: String
        let control: String?
        do throws(ConfigError) {
            let configuration = try loader.read(log: log)
            (path, control) = (loader.pidPath(of: configuration), loader.controlPath(of: configuration))
        } catch {
            loader.report(error)
            return 1
        }
        log.write(.notice, "signal process started")
        if signal == .upgrade || options.waits { return ask(for: signal, at: control, log) }
        do throws(PIDFile.ReadingFailure) {
            let process = try PIDFile(path: path).read()
            guard kill(process, signal.number) == 0 else {
                log.write(.alert, errno: errno, "kill(\(process), \(signal.number)) failed")
                return 1
            }
            return 0
        } catch {
            switch error {
            case .cannotOpen(let failure): log.write(.error, errno: failure.errno, "open() \"\(path)\" failed")
            case .notANumber(let text): log.write(.error, "invalid PID number \"\(text)\" in \"\(path)\"")
            }
            return 1
        }
    }
}

extension Command {
    /// Has the master do it through its control socket, and waits for the outcome.
    private func ask(for signal: CommandLineOptions.Signal, at path: String?, _ log: Log) -> CInt {
        guard let path else {
            log.write(.error, "waiting needs the control socket, which \"control off\" forbids")
            return 1
        }
        do throws(ControlCall.Failure) {
            _ = try ControlCall.ask(signal.rawValue, waits: true, at: path)
            return 0
        } catch {
            log.write(.error, error.message)
            return 1
        }
    }

    /// Where the master of this configuration listens for orders (`apusctl`).
    func controlPath() -> String? {
        let log = openBuiltInLog().main
        do throws(ConfigError) {
            return loader.controlPath(of: try loader.read(log: log))
        } catch {
            loader.report(error)
            return nil
        }
    }
}

extension CommandLineOptions.Signal {
    fileprivate var number: CInt {
        switch self {
        case .stop: SIGTERM
        case .quit: SIGQUIT
        case .reopen: SIGUSR1
        case .reload: SIGHUP
        case .upgrade: SIGUSR2
        }
    }
}
