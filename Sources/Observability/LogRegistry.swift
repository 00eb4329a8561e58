package import Config
import Glibc
import Platform

/// The open logs of one loaded configuration: every file once, every list of `error_log` lines as one ``Log``.
///
/// Made and filled in the master. Workers inherit it and open nothing themselves: at USR1 the master opens the files
/// anew and passes each descriptor on, by its place in ``fileCount``.
package final class LogRegistry {
    package let environment: LogEnvironment
    /// The list of the main block; silent until ``openMain(_:defaultPath:)``.
    package private(set) var main: Log
    private let hostName: [UInt8]
    private var files: [LogFile] = []
    private var fileNumbers: [String: Int] = [:]
    private var lists: [LogSettings: Log] = [:]
    private var syslogTargets: [SyslogTarget] = []
    private var mainFile: LogFile?
    /// `stderr` occurs somewhere, so that descriptor 2 stays what it is.
    private var usesStandardError = false

    package init(_ environment: LogEnvironment) {
        self.environment = environment
        hostName = HostName.current()
        main = Log([], environment)
    }

    // MARK: Opening (master)

    /// Opens the logs of the main block.
    ///
    /// - Parameter defaultPath: The file that is added where the lines name none; nil for standard error.
    package func openMain(_ settings: LogSettings, defaultPath: String?) throws(ConfigError) {
        var settings = settings
        if !settings.lines.contains(where: \.isFile) {
            settings.lines.append(.init(defaultPath.map { .file($0) } ?? .standardError, .error))
        }
        main = try open(settings)
        mainFile = main.firstFile
        for target in syslogTargets { target.troubles = main }
    }

    /// Opens what a list names and is not open yet.
    @discardableResult
    package func open(_ settings: LogSettings) throws(ConfigError) -> Log {
        if let known = lists[settings] { return known }
        var entries: [Log.Entry] = []
        for line in settings.lines {
            let limit = line.rate.map { RateLimit(linesPerSecond: $0) }
            entries.append(Log.Entry(target: try target(of: line), level: line.level, limit: limit))
        }
        let log = Log(entries, environment)
        lists[settings] = log
        return log
    }

    /// The log of a list that was opened before; the main one's where none is set.
    package func log(for settings: LogSettings) -> Log { lists[settings] ?? main }

    private func target(of line: LogSettings.Line) throws(ConfigError) -> LogTarget {
        switch line.target {
        case .standardError:
            usesStandardError = true
            return LogFile()
        case .file(let path): return try file(path)
        case .memory(let byteCount, let header): return MemoryLog(byteCount: byteCount, header: header)
        case .syslog(let parameters):
            let target = SyslogTarget(parameters, hostName: hostName)
            target.troubles = main
            syslogTargets.append(target)
            return target
        }
    }

    private func file(_ path: String) throws(ConfigError) -> LogFile {
        if let number = fileNumbers[path] { return files[number] }
        switch AppendedFile.open(path) {
        case .success(let descriptor):
            let file = LogFile(path: path, owning: descriptor)
            fileNumbers[path] = files.count
            files.append(file)
            return file
        case .failure(let error):
            throw ConfigError("open() \"\(path)\" failed \(error.suffix)")
        }
    }

    /// Tells every log what its rate has suppressed; to be called before a process ends.
    package func tellSuppressed() {
        for log in lists.values { log.tellSuppressed() }
    }

    // MARK: Reopening

    /// How many files are open; each has a number below it.
    package var fileCount: Int { files.count }

    package func descriptor(ofFile number: Int) -> CInt { files[number].descriptor }

    /// Opens every file anew (USR1, in the master). A file that cannot be opened keeps its old descriptor.
    ///
    /// - Returns: The numbers of the files that were opened.
    package func reopen(reportingTo log: Log) -> [Int] {
        var reopened: [Int] = []
        for (number, file) in files.enumerated() {
            switch AppendedFile.open(file.path ?? "") {
            case .success(let descriptor):
                file.replaceDescriptor(owning: descriptor)
                reopened.append(number)
            case .failure(let error):
                log.write(.emergency, errno: error.errno, "open() \"\(file.path ?? "")\" failed")
            }
        }
        return reopened
    }

    /// Goes on with a descriptor that the master opened (in a worker); owns it from now on.
    package func adopt(_ descriptor: CInt, file number: Int) {
        guard number >= 0, number < files.count else {
            _ = close(descriptor)
            return
        }
        files[number].replaceDescriptor(owning: descriptor)
    }

    /// Puts the first file of the main list in the place of descriptor 2, so that what libraries print lands in the log;
    /// not where some `error_log stderr` wants descriptor 2 as it is.
    package func redirectStandardError() {
        guard !usesStandardError, let mainFile, mainFile.descriptor != 2 else { return }
        _ = dup2(mainFile.descriptor, 2)
    }
}
