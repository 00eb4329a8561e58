import Glibc
import Observability
import Platform

/// The life of a helper process: the workers' user, no listening sockets, and the body of its plan.
enum HelperProcess {
    static func run(
        _ plan: HelperPlan, _ generation: Generation, index: Int, row: ProcessRow, control: CInt, title: ProcessTitle
    ) -> Never {
        title.set("\(plan.title) process")
        row.takeCrashReport()
        WorkerIdentity(generation, index: index).assumeForHelper()
        // The master's loop, which it was copied with, does not turn here.
        generation.logs.environment.nextSecond = nil
        let context = HelperContext(
            control: control, files: generation.watchedFiles.map(\.descriptor), log: generation.log,
            logs: generation.logs, index: index)
        plan.body(context)
        generation.logs.tellSuppressed()
        exit(0)
    }
}
