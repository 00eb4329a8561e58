import Auth
import Config
import Glibc
import Supervisor
import TLS

/// What `-v`, `-h`, `-V` and `--manual` show.
enum Information {
    #if compiler(>=6.4)
        static let compiler = "Swift 6.4 or later"
    #elseif compiler(>=6.3)
        static let compiler = "Swift 6.3"
    #else
        static let compiler = "Swift"
    #endif

    /// Version, help and build on standard error, in this order, each once.
    static func show(_ options: CommandLineOptions, _ wiring: Wiring) {
        var text = "apus version: Apus/\(Apus.version)\n"
        if options.showsHelp { text += help }
        if options.showsConfiguration {
            text += build + "protocols: \(wiring.protocols.map(\.name).joined(separator: " "))\n"
        }
        print(Array(text.utf8), to: 2)
    }

    private static var help: String {
        let paths = BuiltInPaths()
        return """
            Usage: apus [-?hvVtTqw] [-s signal] [-p prefix]
                        [-e filename] [-c filename] [-g directives]
                   apus --manual markdown|man
                   apus --from-nginx filename [-p prefix]

            Options:
              -?,-h         : this help
              -v            : show version and exit
              -V            : show version and configure options then exit
              -t            : test configuration and exit
              -T            : test configuration, dump it and exit
              -q            : suppress non-error messages during configuration testing
              -s signal     : send signal to a master process: stop, quit, reopen, reload,
                              upgrade
              -w            : with -s, wait for what comes of it
              -p prefix     : set prefix path (default: \(paths.prefix))
              -e filename   : set error log file (default: \(paths.errorLog))
              -c filename   : set configuration file (default: \(paths.configurationFile))
              -g directives : set global directives out of configuration file
              --manual form : print the manual of the configuration, as markdown or as a man page
              --from-nginx filename : print the mail part of a configuration of nginx as one for
                              Apus, with the differences as comments; -p is nginx's prefix


            """
    }

    private static var build: String {
        let paths = BuiltInPaths()
        return """
            built by \(compiler)
            built with \(TLSLibrary.version)
            TLS SNI support enabled
            configure arguments: --prefix=\(paths.prefix) --conf-path=\(paths.prefix)\(paths.configurationFile) \
            --error-log-path=\(paths.errorLog) --pid-path=\(paths.pidFile) --lock-path=\(paths.lockFile) --with-debug \
            --with-mail --with-mail_ssl_module

            """
    }

    /// The manual on standard output.
    ///
    /// - Returns: The exit status.
    static func printManual(_ form: CommandLineOptions.ManualForm, _ wiring: Wiring) -> CInt {
        let manual = Manual(
            directives: wiring.manualDirectives, blocks: wiring.manualBlocks, tables: HTTPAuthManual.tables,
            differences: Differences.table)
        switch form {
        case .markdown: print(Array(manual.markdown.utf8))
        case .man: print(Array(manual.roff.utf8))
        }
        return 0
    }

    static func print(_ bytes: [UInt8], to descriptor: CInt = 1) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
