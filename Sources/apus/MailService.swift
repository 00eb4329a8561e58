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

    var listeners: [ListenerRequest] { mail.listeners.map { ListenerRequest($0.bound) } }

    var helpers: HelperPlan? { nil }

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
        worker = mail.makeWorker(
            MailConfiguration.WorkerParts(
                loop: context.loop, log: context.log,
                logOf: { [logs = context.logs] settings in logs.log(for: settings[LogSettings.self]) },
                settings: settings, sharesListeners: true, takeNumber: { [serial = context.serial] in serial.next() },
                helperSocket: context.helperSocket))
    }

    func start() {
        worker.start(mail.listeners, sockets: context.sockets)
        context.report()
    }

    func quit() { worker.quit(finished: context.finished) }

    func shutdownTimeout() { worker.endSessions() }
}

extension ListenerRequest {
    init(_ listen: ListenAddress) {
        self.init(address: listen.address)
        backlog = listen.backlog
        receiveBuffer = listen.receiveBuffer
        sendBuffer = listen.sendBuffer
        isIPv6Only = listen.isIPv6Only
        isMultipath = listen.isMultipath
        keepAlive =
            switch listen.keepAlive {
            case .systemDefault: .unset
            case .off: .off
            case .on(let idle, let interval, let count): .on(idle: idle, interval: interval, count: count)
            }
    }
}
