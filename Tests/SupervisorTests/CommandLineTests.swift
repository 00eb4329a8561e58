import Supervisor
import Testing

@Suite struct `Command line` {
    @Test(
        arguments: [
            (["x"], "invalid option: \"x\""), ([""], "invalid option: \"\""), (["-x"], "invalid option: \"x\""),
            (["--help"], "invalid option: \"-\""), (["-vx"], "invalid option: \"x\""),
            (["-p"], "option \"-p\" requires directory name"), (["-te"], "option \"-e\" requires file name"),
            (["-c"], "option \"-c\" requires file name"), (["-g"], "option \"-g\" requires parameter"),
            (["-s"], "option \"-s\" requires parameter"), (["-s", "foo"], "invalid option: \"-s foo\""),
            (["-s", ""], "invalid option: \"-s \""), (["-sSTOP"], "invalid option: \"-s STOP\""),
            (["--manual"], "option \"--manual\" requires \"markdown\" or \"man\""),
            (["--manual", "x"], "option \"--manual\" requires \"markdown\" or \"man\""),
        ])
    func `what cannot be understood`(arguments: [String], message: String) {
        #expect(throws: CommandLineOptions.Failure(message: message)) {
            try CommandLineOptions(parsing: arguments)
        }
    }

    @Test func `letters may stand together, values in the same word or the next`() throws {
        for arguments in [
            ["-tq", "-cfile", "-p", "-x"], ["-tqcfile", "-p-x"], ["-", "-t", "-q", "-c", "file", "-p", "-x"],
        ] {
            let options = try CommandLineOptions(parsing: arguments)
            #expect(options.testsConfiguration && options.isQuiet && !options.dumpsConfiguration)
            #expect(options.configurationFile == "file")
            #expect(options.prefix == "-x")
        }
    }

    @Test func `the last value counts`() throws {
        let options = try CommandLineOptions(parsing: ["-s", "stop", "-sreload", "-g", "a;", "-g", ""])
        #expect(options.signal == .reload)
        #expect(options.globalDirectives == "")
    }

    @Test(
        arguments: [
            ([], "/etc/apus/apus.conf", "/etc/apus/", "/var/log/apus/error.log", "/run/apus/apus.pid"),
            (["-p", "a"], "a/conf/apus.conf", "a/conf/", "a/logs/error.log", "a/logs/apus.pid"),
            (["-p", "a/", "-c", "x", "-e", "stderr"], "a/x", "a/", "", "a/logs/apus.pid"),
            (["-p", "", "-c", "x", "-e", ""], "x", "", "", "logs/apus.pid"),
            (
                ["-c", "/etc/other/x.conf", "-e", "e"], "/etc/other/x.conf", "/etc/other/", "/etc/apus/e",
                "/run/apus/apus.pid"
            ),
        ] as [([String], String, String, String, String)])
    func paths(arguments: [String], file: String, prefix: String, log: String, pid: String) throws {
        let paths = BuiltInPaths.resolved(try CommandLineOptions(parsing: arguments))
        #expect(paths.configurationFile == file)
        #expect(paths.configurationPrefix == prefix)
        #expect(paths.errorLog == log)
        #expect(paths.pidFile == pid)
    }
}
