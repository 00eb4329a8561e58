import ApusMail

/// A password file in Dovecot's passwd-file format, read whole (decisions.md 14).
package struct PasswdFile: Sendable {
    package static let longestLine = 4096
    package static let longestFile = 64 << 20
    /// More problems than these are only counted.
    package static let mostProblems = 20

    package private(set) var entries: [[UInt8]: PasswdEntry] = [:]
    /// What is wrong with lines that are not used: `line 3: user "bob": no password`. No secret is told.
    package private(set) var problems: [String] = []
    package private(set) var problemCount = 0
    /// Digests can be verified for somebody.
    package private(set) var hasPlainEntries = false
    /// What an unknown user's password is compared with: a hash as expensive as most are.
    package private(set) var dummy: PasswordHash?

    package init() {}

    package init(parsing text: Span<UInt8>) {
        var start = 0
        var number = 0
        var costs: [[UInt8]: (count: Int, sample: PasswordHash)] = [:]
        while start < text.count {
            let end = text.firstIndex(of: 0x0A, from: start) ?? text.count
            number += 1
            var lineEnd = end
            if lineEnd > start, text[lineEnd - 1] == 0x0D { lineEnd -= 1 }
            if let hash = readLine(text.extracting(start..<lineEnd), number) {
                costs[hash.cost, default: (0, hash)].count += 1
            }
            start = end + 1
        }
        dummy = costs.values.max { $0.count < $1.count }?.sample
    }

    /// - Returns: The hash of an entry that is used.
    private mutating func readLine(_ line: Span<UInt8>, _ number: Int) -> PasswordHash? {
        guard line.count > 0, line[0] != 0x23 else { return nil }
        guard line.count <= Self.longestLine else {
            report(number, "line is too long")
            return nil
        }
        let userEnd = line.firstIndex(of: 0x3A) ?? line.count
        let user: [UInt8] = line.extracting(0..<userEnd).bytes
        guard userEnd < line.count, !user.isEmpty, !user.span.hasControlCharacter else {
            // The line may be a password without its user: nothing of it is shown.
            report(number, "no user name and password")
            return nil
        }
        let name = "user \"\(String(decoding: user, as: UTF8.self))\""
        guard entries[user] == nil else {
            report(number, "\(name) is there already")
            return nil
        }
        do throws(PasswdEntry.Problem) {
            let entry = try PasswdEntry(parsing: line.extracting((userEnd + 1)...))
            entries[user] = entry
            if entry.hash.isPlain { hasPlainEntries = true }
            return entry.hash
        } catch {
            report(number, "\(name): \(error.text)")
            return nil
        }
    }

    private mutating func report(_ line: Int, _ text: String) {
        problemCount += 1
        if problems.count < Self.mostProblems { problems.append("line \(line): \(text)") }
    }

    /// What the file says to somebody's credentials. Takes as long for users it does not know.
    package func decision(on request: HashRequest) -> HashAnswer.Decision {
        let entry = entries[request.login]
        guard let hash = entry?.hash ?? dummy else { return .refused(hasDelay: true) }
        let isGood =
            switch request.method {
            case .plain: hash.admits(request.password)
            case .cramMD5, .apop: hash.admits(digest: request.password, of: request.salt, method: request.method)
            // The worker has compared the certificate's name; here it is seen that there is such a user.
            case .external: true
            // The worker does not ask.
            case .none, .xoauth2, .oauthbearer: false
            }
        guard let entry, isGood, entry.admits(clientAt: request.clientAddress) else {
            return .refused(hasDelay: entry?.hasDelay ?? true)
        }
        return .accepted(acceptance(of: entry, method: request.method))
    }

    private func acceptance(of entry: PasswdEntry, method: AuthenticationMethod) -> HashAnswer.Accepted {
        var password = entry.password
        // A digest is of no use at the server behind.
        if password == nil, method == .cramMD5 || method == .apop, case .plain(let stored) = entry.hash {
            password = stored
        }
        return HashAnswer.Accepted(host: entry.host, port: entry.port, user: entry.user, password: password)
    }
}
