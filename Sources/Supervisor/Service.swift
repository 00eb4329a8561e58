// Supervisor: the life of master and workers. It opens sockets, forks, respawns, reloads and ends; what the workers
// serve it does not know: that is a ``Service``, made by `apus` for each configuration. The master has one thread, one
// loop and no secrets; nothing a client sends ever reaches it.

package import EventLoop
package import Observability
package import Platform

/// What one loaded configuration serves.
package protocol Service: AnyObject {
    /// What is to be bound, in order.
    var listeners: [ListenerRequest] { get }
    /// The helper processes it needs.
    var helpers: HelperPlan? { get }
    /// Its configuration is the one in force now; called in the master, once.
    func tookForce()
    /// Called in the worker, after fork, with privileges dropped.
    func makeWorker(_ context: WorkerContext) -> any WorkerBody
}

/// What a worker does. The supervisor keeps it alive as long as the process.
package protocol WorkerBody: AnyObject {
    /// Begins to accept; tells ``WorkerContext/report`` when it does.
    func start()
    /// Stops accepting: the listening sockets are taken out of the loop and closed. Sessions go on; when the last has
    /// ended, ``WorkerContext/finished`` is called.
    func quit()
    /// `worker_shutdown_timeout` ran out: what is open is to be closed.
    func shutdownTimeout()
}

/// What a worker is given.
package struct WorkerContext {
    package let loop: EventLoop
    /// Listening sockets in the order of ``Service/listeners``. The worker owns them.
    package let sockets: [CInt]
    /// The log of the main block.
    package let log: Log
    package let logs: LogRegistry
    package let core: CoreSettings
    package let events: EventsSettings
    /// A SOCK_SEQPACKET end towards the helpers, owned by the worker; nil where there are none.
    package let helperSocket: CInt?
    /// 0, 1, ...: a respawned worker has the index of the one before.
    package let workerIndex: Int
    /// Counts the configurations that were loaded.
    package let generation: Int
    /// The numbers of connections, shared by all workers of a master.
    package let serial: SharedCounter
    /// What the master sees of this worker; nil where there is no master.
    package let row: ProcessRow?
    /// "I accept": to be called once.
    package let report: () -> Void
    /// No session is left after ``WorkerBody/quit()``.
    package let finished: () -> Void
}
