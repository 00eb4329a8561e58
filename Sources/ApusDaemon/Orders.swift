import Observability
import Platform
import Supervisor

/// `apusctl`: the same program by another name, which gives orders to a running master.
enum Orders {
    private static let usage = """
        Usage: apusctl [--json] [--socket PATH | -c FILE | -p PREFIX] COMMAND

        Commands:
          status          : what runs
          reload [--wait] : take a changed configuration over
          upgrade         : put the new binary in the place of the running one
          reopen          : open the log files anew
          quit            : stop accepting, end when the last session has ended
          stop            : end at once

        Options:
          --json          : print the master's answer as it is
          --socket PATH   : the control socket (default: what the configuration says)
          -c FILE, -p PREFIX : the configuration and prefix of the master, as for apus

        upgrade, and reload with --wait, end when the outcome is known; the exit
        status tells it.

        """

    private struct Options {
        var isJSON = false
        var waits = false
        var socket: String?
        var command: String?
        var configuration: [String] = []
        var showsUsage = false
        var showsVersion = false

        /// nil where the arguments cannot be understood.
        init?(_ arguments: [String]) {
            var rest = arguments[...]
            while let word = rest.popFirst() {
                switch word {
                case "--json": isJSON = true
                case "--wait": waits = true
                case "--help": showsUsage = true
                case "--version": showsVersion = true
                case "--socket":
                    guard let path = rest.popFirst() else { return nil }
                    socket = path
                case "-c", "-p":
                    guard let value = rest.popFirst() else { return nil }
                    configuration += [word, value]
                default:
                    guard command == nil, !word.hasPrefix("-") else { return nil }
                    command = word
                }
            }
            guard command != nil || showsUsage || showsVersion else { return nil }
        }
    }

    static func isCalled(by arguments: [String]) -> Bool {
        arguments.first?.split(separator: "/").last == "apusctl"
    }

    /// - Returns: The exit status: 1 for a failure, 2 for arguments that cannot be understood.
    static func run(_ arguments: [String], _ wiring: Wiring) -> CInt {
        guard let options = Options(arguments) else {
            Information.print(Array(usage.utf8), to: 2)
            return 2
        }
        if options.showsUsage || options.showsVersion {
            Information.print(
                Array((options.showsUsage ? usage : "apusctl version: Apus/\(Apus.version)\n").utf8), to: 1)
            return 0
        }
        guard let command = options.command, let path = options.socket ?? socketOfConfiguration(options, wiring) else {
            Information.print(Array("apusctl: the configuration names no control socket\n".utf8), to: 2)
            return 1
        }
        do throws(ControlCall.Failure) {
            let answer = try ControlCall.ask(command, waits: options.waits || command == "upgrade", at: path)
            let text = command == "status" && !options.isJSON ? ControlCall.summary(ofStatus: answer) : answer
            if command == "status" || options.isJSON { Information.print(Array("\(text)\n".utf8), to: 1) }
            return 0
        } catch {
            Information.print(Array("apusctl: \(command): \(error.message)\n".utf8), to: 2)
            return 1
        }
    }

    private static func socketOfConfiguration(_ options: Options, _ wiring: Wiring) -> String? {
        // As an order to a running master is no reason to touch its log, messages go to standard error.
        let arguments = options.configuration + ["-e", "stderr"]
        guard let parsed = try? CommandLineOptions(parsing: arguments) else { return nil }
        return Command(parsed, arguments: ["apusctl"], wiring).controlPath()
    }
}
