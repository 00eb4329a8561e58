import Auth
import Config
import Glibc
import Platform

/// The password files of a configuration, each opened once, by the master: workers and helpers open no files.
struct PasswordFiles: ~Copyable {
    private(set) var paths: [String] = []
    private var descriptors: [CInt] = []

    init(of plans: [ServerPlan]) throws(ConfigError) {
        for plan in plans {
            guard case .passwdFile(let path) = plan.authentication, !paths.contains(path) else { continue }
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
            guard descriptor >= 0 else {
                throw ConfigError("open() \"\(path)\" failed \(SystemError.last("open").suffix)")
            }
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                _ = close(descriptor)
                throw ConfigError("\"\(path)\" is not a regular file")
            }
            paths.append(path)
            descriptors.append(descriptor)
        }
    }

    deinit {
        for descriptor in descriptors { _ = close(descriptor) }
    }

    /// Gives the descriptors up, in the order of ``paths``.
    mutating func take() -> [CInt] {
        defer { descriptors = [] }
        return descriptors
    }

    /// The number by which the helpers know a file.
    func number(of path: String) -> UInt32 { UInt32(paths.firstIndex(of: path) ?? 0) }
}
