import Glibc
import Observability
import Platform

extension Master {
    private static var mostChildren: Int { 1024 }

    /// - Returns: Whether all were started.
    @discardableResult
    func startChildren(of generation: Generation) -> Bool {
        lookAtFilesLater()
        log.write(.notice, "start worker processes")
        for index in 0..<(generation.service.helpers?.count ?? 0) where !spawnHelper(index, of: generation) {
            return false
        }
        for index in 0..<generation.workerCount where !spawnWorker(index, of: generation) { return false }
        return true
    }

    /// The first processes of this master. A start that does not lead to workers that accept fails.
    func begin() {
        if let problem = openControl() { return startFailed(problem) }
        if let handed = handedControl {
            // The configuration has another one, or none.
            _ = close(handed.descriptor)
            handedControl = nil
        }
        // The master before takes the orders until this one serves.
        if predecessor?.isAlive != true { control?.listen(true) }
        guard startChildren(of: current) else { return startFailed("not all processes could be started") }
        startDeadline = loop?.schedule(after: Self.timeToAccept) { [unowned self] in
            startFailed("not all workers accepted in time")
        }
        noteServing()
    }

    /// Tells those who wait for it when all workers accept for the first time.
    func noteServing() {
        guard !hasServed else { return }
        let workers = children.values.filter { $0.kind == .worker && $0.generation === current }
        guard workers.count >= current.workerCount, workers.allSatisfy(\.isAccepting) else { return }
        hasServed = true
        control?.listen(true)
        loop?.cancel(&startDeadline)
        // Of the process that is started by another master, the manager hears when that one has gone.
        if predecessor?.link == nil { manager.ready(statusText, isMain: predecessor?.isAlive != true) }
        keepWatchdogCalm()
        starter?.tell(success: true)
        starter = nil
        predecessor?.link?.send(LinkMessage(.serving).bytes)
    }

    func startFailed(_ reason: String) {
        guard !hasServed, exitStatus == 0 else { return }
        log.write(.emergency, "start failed: \(reason)")
        exitStatus = 1
        wishes.terminate = true
    }

    /// Starts the one that takes the place of a child that has ended.
    func respawn(_ kind: Child.Kind, _ index: Int, of generation: Generation) {
        let isStarted =
            switch kind {
            case .worker: spawnWorker(index, of: generation)
            case .helper: spawnHelper(index, of: generation)
            }
        guard !isStarted else { return }
        let name = kind == .worker ? "worker process" : generation.service.helpers?.title ?? "helper"
        log.write(.alert, "could not respawn \(name)")
    }

    func respawnWaiting() {
        let waiting = wishes.respawns
        wishes.respawns = []
        for entry in waiting where entry.generation === current {
            respawn(entry.kind, entry.index, of: entry.generation)
        }
    }

    private func spawnWorker(_ index: Int, of generation: Generation) -> Bool {
        guard hasRoom(), let row = row("worker process"), let channel = pair("worker process") else { return false }
        let needsHelpers = generation.service.helpers != nil
        let helpers = needsHelpers ? pair("worker process") : nil
        switch fork("worker process") {
        case .child:
            _ = close(channel.0)
            if let helpers { _ = close(helpers.1) }
            generation.watchedFiles = []
            becomeChild(of: generation, keepsSockets: true)
            WorkerProcess.run(
                WorkerInheritance(
                    generation: generation, index: index, serial: serial, row: row, channel: channel.1,
                    helperSocket: helpers?.0, title: title, isDaemon: isDaemon))
        case .parent(let process):
            log.write(.notice, "start worker process \(process)")
            _ = close(channel.1)
            if let helpers { _ = close(helpers.0) }
            let child = adopt(.worker, index, process, generation, channel.0, helperEnd: helpers?.1 ?? -1, row)
            if let child { tellHelpers(of: generation, .workerAppeared, child.serial, child.helperEnd) }
            return child != nil
        case nil:
            for end in [channel.0, channel.1] { _ = close(end) }
            if let helpers { for end in [helpers.0, helpers.1] { _ = close(end) } }
            return false
        }
    }

    private func spawnHelper(_ index: Int, of generation: Generation) -> Bool {
        guard let plan = generation.service.helpers, hasRoom(), let row = row(plan.title),
            let channel = pair(plan.title)
        else { return false }
        switch fork(plan.title) {
        case .child:
            _ = close(channel.0)
            becomeChild(of: generation, keepsSockets: false)
            HelperProcess.run(plan, generation, index: index, row: row, control: channel.1, title: title)
        case .parent(let process):
            log.write(.notice, "start \(plan.title) \(process)")
            _ = close(channel.1)
            guard let helper = adopt(.helper, index, process, generation, channel.0, helperEnd: -1, row) else {
                return false
            }
            for worker in children.values where worker.generation === generation && worker.helperEnd >= 0 {
                let message = HelperMessage(.workerAppeared, worker.serial)
                helper.channel.send(message.bytes, descriptor: worker.helperEnd)
            }
            return true
        case nil:
            for end in [channel.0, channel.1] { _ = close(end) }
            return false
        }
    }

    private func hasRoom() -> Bool {
        guard children.count >= Self.mostChildren else { return true }
        log.write(.alert, "no more than \(Self.mostChildren) processes can be spawned")
        return false
    }

    private func pair(_ name: String) -> (CInt, CInt)? {
        do throws(SystemError) {
            return try MessageSocket.pair()
        } catch {
            log.write(.alert, errno: error.errno, "socketpair() failed while spawning \"\(name)\"")
            return nil
        }
    }

    private func row(_ name: String) -> ProcessRow? {
        do throws(SystemError) {
            return try ProcessRow()
        } catch {
            log.write(.alert, errno: error.errno, "mmap() failed while spawning \"\(name)\"")
            return nil
        }
    }

    private func fork(_ name: String) -> Process.Forked? {
        do throws(SystemError) {
            return try Process.fork()
        } catch {
            log.write(.alert, errno: error.errno, "fork() failed while spawning \"\(name)\"")
            return nil
        }
    }

    private func adopt(
        _ kind: Child.Kind, _ index: Int, _ process: CInt, _ generation: Generation, _ socket: CInt, helperEnd: CInt,
        _ row: ProcessRow
    ) -> Child? {
        guard let loop else { return nil }
        do throws(SystemError) {
            let channel = try Channel(owning: socket, loop) { [unowned self] bytes, descriptor in
                if descriptor >= 0 { _ = close(descriptor) }
                hear(bytes, from: process)
            } ended: {
                // Its end is told by SIGCHLD.
            }
            lastChildSerial &+= 1
            let child = Child(
                kind, index: index, serial: lastChildSerial, process: process, generation: generation,
                channel: channel, helperEnd: helperEnd, row: row)
            children[process] = child
            return child
        } catch {
            log.write(.alert, errno: error.errno, "\(error.call)() failed while spawning a process")
            _ = close(socket)
            if helperEnd >= 0 { _ = close(helperEnd) }
            kill(process, SIGKILL)
            return nil
        }
    }

    private func hear(_ bytes: [UInt8], from process: CInt) {
        guard let message = ControlMessage(bytes), let child = children[process], child.kind == .worker else { return }
        switch message.kind {
        case .accepting:
            child.isAccepting = true
            completeReloadIfReady()
            noteServing()
        case .pleaseReopen: wishes.reopen = true
        case .quit, .terminate, .reopening, .logFile, .reopened: break
        }
    }

    func tellHelpers(
        of generation: Generation, _ kind: HelperMessage.Kind, _ number: UInt32, _ descriptor: CInt = -1
    ) {
        for child in children.values where child.kind == .helper && child.generation === generation {
            child.channel.send(HelperMessage(kind, number).bytes, descriptor: descriptor)
        }
    }
}
