import EventLoop
import Observability
import Platform

// Workers and helpers open no files: what is new behind a name, the master opens and passes on.
extension Master {
    /// Opens all logs anew (USR1), of old generations too as long as they have workers.
    func reopenLogs() {
        log.write(.notice, "reopening logs")
        for generation in livingGenerations {
            let reopened = generation.logs.reopen(reportingTo: log)
            for child in children.values where child.generation === generation {
                pass(reopened, of: generation.logs, to: child)
            }
        }
        current.logs.redirectStandardError()
    }

    private var livingGenerations: [Generation] {
        var living = [current]
        for generation in [pending].compactMap({ $0 }) + children.values.map(\.generation)
        where !living.contains(where: { $0 === generation }) {
            living.append(generation)
        }
        return living
    }

    private func pass(_ files: [Int], of logs: LogRegistry, to child: Child) {
        if child.kind == .worker { child.tell(ControlMessage(.reopening)) }
        for file in files {
            let (number, descriptor) = (UInt32(file), logs.descriptor(ofFile: file))
            switch child.kind {
            case .worker: child.tell(ControlMessage(.logFile, number), descriptor: descriptor)
            case .helper: child.channel.send(HelperMessage(.logReopened, number).bytes, descriptor: descriptor)
            }
        }
        if child.kind == .worker { child.tell(ControlMessage(.reopened)) }
    }

    /// Looks about once a second whether a file of the helpers has changed.
    func lookAtFilesLater() {
        guard livingGenerations.contains(where: { !$0.watchedFiles.isEmpty }), !isWatchingFiles else { return }
        isWatchingFiles = true
        _ = loop?.schedule(after: .seconds(1)) { [unowned self] in
            wishes.lookAtFiles = true
        }
    }

    func lookAtFiles() {
        isWatchingFiles = false
        for generation in livingGenerations {
            for (index, file) in generation.watchedFiles.enumerated() where file.refresh() {
                tellHelpers(of: generation, .fileChanged, UInt32(index), file.descriptor)
            }
        }
        lookAtFilesLater()
    }
}
