import Auth
import Config
import EventLoop
import Observability
import Platform
import Proxy
import Supervisor

/// The mail part of a configuration as the supervisor sees it.
final class MailService: Service {
    private let mail: MailConfiguration

    private let inForce: () -> Void

    /// - Parameter inForce: Called when the configuration has replaced the one before.
    init(_ mail: MailConfiguration, inForce: @escaping () -> Void) { (self.mail, self.inForce) = (mail, inForce) }

    func tookForce() { inForce() }

    var listeners: [ListenerRequest] { mail.listeners.map(\.bound.socket) }

    /// Half the processors hash passwords, so that the other half can serve.
    private(set) lazy var helpers: HelperPlan? = {
        let paths = mail.passwordFilePaths
        guard !paths.isEmpty else { return nil }
        let files = zip(paths, mail.takePasswordFiles()).map { HelperPlan.File(path: $0, descriptor: $1) }
        return HelperPlan(
            count: max(1, Platform.Process.processorCount / 2), title: "password helper", files: files
        ) { context in
            HashHelper.run(
                control: context.control, files: zip(paths, context.files).map { ($0, $1) }, log: context.log,
                logs: context.logs, isFirst: context.index == 0)
        }
    }()

    func makeWorker(_ context: WorkerContext) -> any WorkerBody { MailWorker(mail, context) }
}

/// A mail worker as the supervisor sees it.
final class MailWorker: WorkerBody {
    private let worker: Worker
    private let mail: MailConfiguration
    private let context: WorkerContext

    init(_ mail: MailConfiguration, _ context: WorkerContext) {
        (self.mail, self.context) = (mail, context)
        var settings = Worker.Settings()
        settings.connectionLimit = context.events.connectionLimit
        settings.acceptsMany = context.events.acceptsMany
        settings.acceptRetryDelay = context.events.acceptDelay
        switch context.core.debugPoint {
        case .stop: settings.brokenPromise = Process.stop
        case .abort: settings.brokenPromise = Process.abort
        case nil: break
        }
        settings.row = context.row
        let debugged = context.events.debugNetworks
        if !debugged.isEmpty {
            settings.isDebugged = { peer in debugged.contains { $0.contains(peer.host) } }
        }
        worker = mail.makeWorker(
            MailConfiguration.WorkerParts(
                loop: context.loop, log: context.log,
                logOf: { [logs = context.logs] settings in logs.log(for: settings[LogSettings.self]) },
                settings: settings, sharesListeners: true, takeNumber: { [serial = context.serial] in serial.next() },
                helperSocket: context.helperSocket))
    }

    func start() {
        // A worker that cannot accept says nothing: a reload that waits for it changes nothing.
        if worker.start(mail.listeners, sockets: context.sockets) { context.report() }
    }

    func quit() { worker.quit(finished: context.finished) }

    func shutdownTimeout() { worker.endSessions() }
}
