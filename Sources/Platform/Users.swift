package import Glibc

/// Whom workers run as.
package struct UserIdentity: Equatable, Sendable {
    package let name: String
    package let user: uid_t
    package let group: gid_t

    package init(name: String, user: uid_t, group: gid_t) { (self.name, self.user, self.group) = (name, user, group) }

    /// Whether this process may become somebody else.
    package static var canChange: Bool { geteuid() == 0 }

    /// The number of a user; the error has errno 0 where there is simply no such user.
    package static func number(ofUser name: String) throws(SystemError) -> uid_t {
        errno = 0
        guard let entry = getpwnam(name) else { throw SystemError(call: "getpwnam", errno: meaningfulErrno) }
        return entry.pointee.pw_uid
    }

    package static func number(ofGroup name: String) throws(SystemError) -> gid_t {
        errno = 0
        guard let entry = getgrnam(name) else { throw SystemError(call: "getgrnam", errno: meaningfulErrno) }
        return entry.pointee.gr_gid
    }

    // Name services leave these behind when there is no entry (getpwnam(3)).
    private static var meaningfulErrno: CInt {
        switch errno {
        case ENOENT, ESRCH, EBADF, EPERM: 0
        case let code: code
        }
    }

    package func setGroup() throws(SystemError) {
        guard setgid(group) == 0 else { throw .last("setgid") }
    }
    package func setSupplementaryGroups() throws(SystemError) {
        guard initgroups(name, group) == 0 else { throw .last("initgroups") }
    }
    package func setUser() throws(SystemError) {
        guard setuid(user) == 0 else { throw .last("setuid") }
    }
}
