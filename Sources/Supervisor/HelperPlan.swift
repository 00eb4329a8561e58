package import Observability

/// Processes beside the workers that do what takes long, such as hashing passwords: forked and watched by the master,
/// without sockets of their own and as the workers' user.
package struct HelperPlan {
    /// A file that the helpers read.
    package struct File {
        package let path: String
        /// Open for reading since the configuration was loaded; the supervisor owns it.
        package let descriptor: CInt

        package init(path: String, descriptor: CInt) { (self.path, self.descriptor) = (path, descriptor) }
    }

    package let count: Int
    /// `password helper`: in titles and log lines.
    package let title: String
    /// The master looks at them once a second and passes a new descriptor on when one was replaced or changed.
    package let files: [File]
    /// What a helper does. The process ends when it returns, which it should do once the control descriptor is at its
    /// end and no worker's socket is left.
    package let body: (HelperContext) -> Void

    package init(count: Int, title: String, files: [File], body: @escaping (HelperContext) -> Void) {
        (self.count, self.title, self.files, self.body) = (count, title, files, body)
    }
}

/// What a helper process is given.
package struct HelperContext {
    /// ``HelperMessage`` values arrive here, SOCK_SEQPACKET and non-blocking.
    package let control: CInt
    /// The files of the plan, in its order. All helpers share their offset: read them with pread(2).
    package let files: [CInt]
    package let log: Log
    package let logs: LogRegistry
    /// 0, 1, ...
    package let index: Int
}
