import Config
import Platform

// The directives of the main block that have a grammar of their own.

extension CoreSettings {
    static var userDirective: Directive<CoreSettings> {
        Directive(
            "user", in: .main, arguments: .between(1, 2), placeholder: "user [group]", default: "nobody",
            repetition: .lastWins,
            """
            Whom the workers run as; the master stays root to open sockets, logs and keys. Without a group, the one with \
            the same name as the user is taken. Where the master is not root, the directive does nothing but warn.
            """
        ) { use throws(ConfigError) in
            guard use.environment.isPrivileged else {
                use.warn(
                    "the \"user\" directive makes sense only if the master process runs with super-user privileges, "
                        + "ignored")
                return { _ in }
            }
            guard use.isFirst else { throw use.phrase("is duplicate") }
            let name = use.arguments[0].text
            let groupName = use.arguments.count > 1 ? use.arguments[1].text : name
            do throws(ConfigError) {
                let user = try UserIdentity(name: name, groupName: groupName)
                return { $0.user = user }
            } catch {
                throw use.error(error.message, hint: error.hint)
            }
        }
    }

    static var priorityDirective: Directive<CoreSettings> {
        Directive(
            "worker_priority", in: .main, arguments: .exactly(1), placeholder: "[+ | -]number", default: "0",
            repetition: .lastWins,
            "The scheduling priority of workers, as nice(1) takes it: from -20, the most favoured, to 19."
        ) { use throws(ConfigError) in
            if use.environment.notes["worker_priority"] != nil { throw use.phrase("is duplicate") }
            var digits = use.arguments[0].bytes
            let isNegative = digits.first == 0x2D
            if isNegative || digits.first == 0x2B { digits.removeFirst() }
            guard let number = ConfigValue.number(digits) else { throw use.phrase("invalid number") }
            // As in nginx, a zero does not count as a first use.
            if number != 0 { use.environment.notes["worker_priority"] = true }
            return { $0.priority = isNegative ? -number : number }
        }
    }

    static var affinityDirective: Directive<CoreSettings> {
        Directive(
            "worker_cpu_affinity", in: .main, arguments: .atLeast(1), placeholder: "mask ... | auto [mask]",
            default: nil,
            """
            Which CPUs workers may run on. Each mask is a row of `0` and `1`, the last character standing for CPU 0; the \
            first worker gets the first mask and so on, more workers the last one. With `auto` each worker is bound to \
            one CPU, in turn, of those on line or in the mask.
            """
        ) { use throws(ConfigError) in
            let affinity = try ProcessorAffinity(parsing: use)
            return { $0.affinity = affinity }
        }
    }

    static var environmentDirective: Directive<CoreSettings> {
        Directive(
            "env", in: .main, arguments: .exactly(1), placeholder: "name[=value]", default: "TZ",
            repetition: .accumulates,
            """
            An environment variable that workers keep, or, with a value, that they get. All others are taken from them, \
            except `TZ`. May be repeated.
            """
        ) { use in
            let parts = use.arguments[0].text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let variable = Variable(name: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : nil)
            return { $0.environment.append(variable) }
        }
    }

    static var threadPoolDirective: Directive<CoreSettings> {
        Directive(
            "thread_pool", in: .main, arguments: .between(2, 3), placeholder: "name threads=number [max_queue=number]",
            default: nil, repetition: .accumulates,
            "Accepted so that configurations of nginx can be kept; Apus has no threads."
        ) { use throws(ConfigError) in
            let name = use.arguments[0].text
            guard !use.earlier.contains(where: { $0.first?.text == name }) else {
                throw use.error("duplicate thread pool \"\(name)\"")
            }
            var hasThreads = false
            for word in use.arguments.dropFirst() {
                if try number(after: "threads=", in: word, use, atLeast: 1) { hasThreads = true }
                _ = try number(after: "max_queue=", in: word, use, atLeast: 0)
            }
            guard hasThreads else { throw use.error("\"thread_pool\" must have \"threads\" parameter") }
            return { $0.threadPools.append(name) }
        }
    }

    /// Whether the word begins with `key`; what follows must be a number then.
    private static func number(
        after key: String, in word: Word, _ use: borrowing DirectiveUse, atLeast least: Int
    ) throws(ConfigError) -> Bool {
        guard word.text.hasPrefix(key) else { return false }
        guard let number = ConfigValue.number(word.bytes.dropFirst(key.utf8.count)), number >= least else {
            throw use.error("invalid \(key.dropLast()) value \"\(word.text)\"")
        }
        return true
    }
}

extension UserIdentity {
    /// Looks user and group up.
    ///
    /// - Throws: `getpwnam("U") failed`, with the system's reason where it gave one.
    init(name: String, groupName: String) throws(ConfigError) {
        var (call, subject) = ("getpwnam", name)
        do throws(SystemError) {
            let user = try UserIdentity.number(ofUser: name)
            (call, subject) = ("getgrnam", groupName)
            self.init(name: name, user: user, group: try UserIdentity.number(ofGroup: groupName))
        } catch {
            // As on Debian: the user nobody is in the group nogroup.
            let hasNoGroup = call == "getgrnam" && groupName == name
            throw ConfigError(
                "\(call)(\"\(subject)\") failed" + (error.errno == 0 ? "" : " \(error.suffix)"),
                hint: hasNoGroup ? "no group has the user's name: name another, as in \"user \(name) nogroup;\"" : nil)
        }
    }
}
