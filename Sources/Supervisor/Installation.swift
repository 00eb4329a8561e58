/// Where this instance of the daemon lives, and what it calls itself.
package struct Installation: Sendable {
    /// What relative names are joined with; ends in `/` or is empty.
    package var prefix: String
    /// The main configuration file, joined with the prefix.
    package var configurationFile: String
    /// The log before the configuration is read, and the default one; nil for standard error.
    package var errorLog: String?
    package var pidFile: String
    package var lockFile: String
    /// Whom workers run as where the configuration says nothing.
    package var userName = "nobody"
    package var groupNames = ["nobody", "nogroup"]
    /// `apus/0.1.0`
    package var version: String
    /// The compiler, as `-V` and the log tell it.
    package var compiler: String
    /// The arguments the process was started with.
    package var commandLine: [String]

    package init(
        prefix: String, configurationFile: String, errorLog: String?, pidFile: String, lockFile: String,
        version: String, compiler: String, commandLine: [String]
    ) {
        self.prefix = prefix
        self.configurationFile = configurationFile
        self.errorLog = errorLog
        self.pidFile = pidFile
        self.lockFile = lockFile
        self.version = version
        self.compiler = compiler
        self.commandLine = commandLine
    }
}
