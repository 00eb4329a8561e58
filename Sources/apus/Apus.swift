// apus: the command. It reads the arguments, decides what is asked for, and wires protocols and providers (`Wiring`)
// to the supervisor, which does the rest.

import Config
import Glibc
import Observability
import Platform
import Supervisor

@main struct Apus {
    static let version = "0.1.0"

    static func main() {
        Process.fillStandardDescriptors()
        let arguments = CommandLine.arguments
        let title = ProcessTitle()
        if Orders.isCalled(by: arguments) { exit(Orders.run(Array(arguments.dropFirst()))) }
        do throws(CommandLineOptions.Failure) {
            let options = try CommandLineOptions(parsing: Array(arguments.dropFirst()))
            if let form = options.manual { exit(Information.printManual(form)) }
            if let file = options.nginxFile { exit(FromNginx.run(file, prefix: options.prefix)) }
            if options.showsVersion {
                Information.show(options)
                if !options.testsConfiguration { exit(0) }
            }
            exit(Command(options, arguments: arguments).run(title: title))
        } catch {
            Console.write(error.message)
            exit(1)
        }
    }
}
