import Glibc
import Observability
import Platform

extension Master {
    /// Hears of all children that have ended, and replaces those that should not have.
    func reap() {
        while let (process, ending) = Process.nextEnded() {
            if process == successor?.process {
                report(ending, of: "new binary process", process)
                successorEnded(ending)
                continue
            }
            if process == binaryTest?.process {
                binaryTestEnded(ending)
                continue
            }
            if process == rehearsal?.process || endedRehearsals.remove(process) != nil { continue }
            guard let child = children.removeValue(forKey: process) else {
                report(ending, of: "unknown process", process)
                continue
            }
            if child.kind == .worker || !child.isLeaving { report(ending, of: child.name, process) }
            reportCrash(of: child)
            child.close()
            if child.kind == .worker { tellHelpers(of: child.generation, .workerGone, child.serial) }
            replace(child, ending)
        }
        retireHelpers()
    }

    private func report(_ ending: Process.Ending, of name: String, _ process: CInt) {
        switch ending {
        case .killed(let signal, let dumpedCore):
            log.write(.alert, "\(name) \(process) exited on signal \(signal)\(dumpedCore ? " (core dumped)" : "")")
        case .exited(let code):
            log.write(.notice, "\(name) \(process) exited with code \(code)")
            guard code == WorkerProcess.fatal else { return }
            log.write(.alert, "\(name) \(process) exited with fatal code 2 and cannot be respawned")
        }
    }

    /// What a child wrote in its last moment, with what it takes to look the places up.
    private func reportCrash(of child: Child) {
        guard let report = child.row.crashReport else { return }
        let build = CrashReport.buildID
        log.write(
            .alert, "\(child.name) \(child.process) crashed: \(report)\(build.isEmpty ? "" : ", build \(build)")")
    }

    private func replace(_ child: Child, _ ending: Process.Ending) {
        guard !child.isLeaving, !wishes.terminate, !wishes.quit else { return }
        if child.generation === pending {
            return abortReload("\(child.name) \(child.process) ended before all new workers accepted")
        }
        guard child.generation === current, !hasStoppedAccepting else { return }
        guard ending != .exited(code: WorkerProcess.fatal) else {
            return startFailed("\(child.name) \(child.process) cannot begin")
        }
        let pause = ending == .exited(code: 0) ? .zero : crashes.add(at: MonotonicClock.milliseconds)
        guard pause > .zero, let loop else { return respawn(child.kind, child.index, of: child.generation) }
        log.write(.alert, "processes end too often: the next \(child.name) is started in \(pause.components.seconds) s")
        let (kind, index, generation) = (child.kind, child.index, child.generation)
        _ = loop.schedule(after: pause) { [unowned self] in wishes.respawns.append((kind, index, generation)) }
    }

    /// Ends the helpers that have no worker left to help. They hold nothing that could be lost.
    func retireHelpers() {
        for helper in children.values where helper.kind == .helper && !helper.isLeaving {
            let generation = helper.generation
            let isInForce = (generation === current || generation === pending) && !wishes.quit && !wishes.terminate
            let isNeeded = children.values.contains { $0.kind == .worker && $0.generation === generation }
            guard !isInForce, !isNeeded else { continue }
            helper.isLeaving = true
            kill(helper.process, SIGKILL)
        }
    }
}
