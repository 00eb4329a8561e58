// ApusDaemon is the whole program but for its list of protocols. It reads the arguments, decides what is asked for, and
// wires protocols and providers to the supervisor, which does the rest. The executable `apus` runs it with the built-in
// protocols; so does an executable of yours, with more.

public import ApusMail
import Config
import Glibc
import IMAP
import ManageSieve
import Observability
import POP3
import Platform
import SMTP
import Supervisor

/// The program.
///
/// A `main.swift` that brings a protocol of its own along:
///
/// ```swift
/// import ApusDaemon
/// import NNTP
///
/// Apus.run(protocols: Apus.protocols + [NNTP.declaration])
/// ```
public enum Apus {
    static let version = "0.1.0"

    /// The protocols that Apus comes with: `imap`, `pop3`, `smtp` and `sieve`.
    public static var protocols: [ProtocolDeclaration] {
        [IMAP.declaration, POP3.declaration, SMTP.declaration, ManageSieve.declaration]
    }

    /// Runs the program with the arguments of the process, and ends the process with the exit status.
    ///
    /// A declaration that cannot be served (two protocols of one name, five ports, a directive that exists already) ends
    /// it at once with status 1; the message names the declaration.
    ///
    /// - Parameters:
    ///   - protocols: What `protocol` can name; the order decides nothing but that of the manual.
    ///   - providers: Ways to authenticate users, beside `auth_http` and `auth_passwd_file`.
    public static func run(
        protocols: [ProtocolDeclaration] = Apus.protocols, providers: [AuthProviderDeclaration] = []
    ) -> Never {
        Process.fillStandardDescriptors()
        let arguments = CommandLine.arguments
        let title = ProcessTitle()
        let wiring = Wiring(protocols: protocols, providers: providers)
        do throws(ConfigError) {
            try wiring.check()
        } catch {
            Console.write("[emerg] \(error.message)")
            exit(1)
        }
        if Orders.isCalled(by: arguments) { exit(Orders.run(Array(arguments.dropFirst()), wiring)) }
        do throws(CommandLineOptions.Failure) {
            let options = try CommandLineOptions(parsing: Array(arguments.dropFirst()))
            if let form = options.manual { exit(Information.printManual(form, wiring)) }
            if let file = options.nginxFile { exit(FromNginx.run(file, prefix: options.prefix, wiring)) }
            if options.showsVersion {
                Information.show(options, wiring)
                if !options.testsConfiguration { exit(0) }
            }
            exit(Command(options, arguments: arguments, wiring).run(title: title))
        } catch {
            Console.write(error.message)
            exit(1)
        }
    }
}
