import Glibc
import Observability
import Platform

/// Becoming a worker: environment, limits, user, CPUs, directory, in the order of process-model.md 5.2.
struct WorkerIdentity {
    private let generation: Generation
    private let index: Int
    private var core: CoreSettings { generation.core }
    private var log: Log { generation.log }

    init(_ generation: Generation, index: Int) { (self.generation, self.index) = (generation, index) }

    /// Ends the process where going on would be wrong.
    func assume() {
        Process.replaceEnvironment(generation.environment())
        log.clock.reloadTimeZone()  // `env TZ=...`
        setLimits()
        dropPrivileges()
        bindToProcessors()
        changeDirectory()
        forgoPrivileges()
    }

    /// Not one capability, whoever the user is, and no way to new ones. Passwords and keys pass through its memory: that
    /// is for nobody else, unless core files are asked for.
    private func forgoPrivileges() {
        require("no capabilities can be given up") { () throws(SystemError) in try Process.forgoPrivileges() }
        if core.coreLimit != nil { Process.allowCore() } else { Process.hideMemory() }
    }

    /// A helper's: as little as a worker's, on any CPU.
    func assumeForHelper() {
        Process.replaceEnvironment(generation.environment())
        dropPrivileges()
        forgoPrivileges()
    }

    private func setLimits() {
        if core.priority != 0 {
            attempt("setpriority(\(core.priority)) failed") { () throws(SystemError) in
                try Process.setPriority(core.priority)
            }
        }
        if let count = core.openFileLimit {
            attempt("setrlimit(RLIMIT_NOFILE, \(count)) failed") { () throws(SystemError) in
                try Process.limitOpenFiles(to: count)
            }
        }
        if let byteCount = core.coreLimit {
            attempt("setrlimit(RLIMIT_CORE, \(byteCount)) failed") { () throws(SystemError) in
                try Process.limitCore(to: byteCount)
            }
        }
    }

    private func dropPrivileges() {
        guard UserIdentity.canChange, let user = generation.user else { return }
        require("setgid(\(user.group)) failed") { () throws(SystemError) in try user.setGroup() }
        do throws(SystemError) {
            try user.setSupplementaryGroups()
        } catch {
            log.write(.emergency, errno: error.errno, "initgroups(\(user.name), \(user.group)) failed")
        }
        require("setuid(\(user.user)) failed") { () throws(SystemError) in try user.setUser() }
    }

    private func bindToProcessors() {
        guard let processors = core.affinity?.processors(ofWorker: index) else { return }
        for (number, isChosen) in processors.enumerated() where isChosen {
            log.write(.notice, "sched_setaffinity(): using cpu #\(number)")
        }
        attempt("sched_setaffinity() failed") { () throws(SystemError) in try Process.bind(to: processors) }
    }

    private func changeDirectory() {
        guard let directory = core.workingDirectory, chdir(directory) != 0 else { return }
        log.write(.alert, errno: errno, "chdir(\"\(directory)\") failed")
        exit(WorkerProcess.fatal)
    }

    private func attempt(_ complaint: String, _ action: () throws(SystemError) -> Void) {
        do throws(SystemError) { try action() } catch { log.write(.alert, errno: error.errno, complaint) }
    }

    private func require(_ complaint: String, _ action: () throws(SystemError) -> Void) {
        do throws(SystemError) {
            try action()
        } catch {
            log.write(.emergency, errno: error.errno, complaint)
            exit(WorkerProcess.fatal)
        }
    }
}
