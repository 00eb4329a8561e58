package import ApusMail

/// What a worker asks the password helpers: one datagram (decisions.md 15).
package struct HashRequest: Equatable, Sendable {
    package static let version: UInt8 = 1
    /// No request is longer; a login, password or salt that does not fit belongs to nobody.
    package static let longest = 8192
    package static let longestField = 4096

    package var id: UInt64
    /// Milliseconds of the monotonic clock; an answer is of no use after it.
    package var deadline: UInt64
    /// Which password file.
    package var file: UInt32
    package var method: AuthenticationMethod
    package var login: [UInt8]
    /// The password, or the digest.
    package var password: Secret
    package var salt: [UInt8]
    package var clientAddress: [UInt8]

    package init(
        id: UInt64, deadline: UInt64, file: UInt32, method: AuthenticationMethod, login: [UInt8], password: Secret,
        salt: [UInt8], clientAddress: [UInt8]
    ) {
        (self.id, self.deadline, self.file, self.method) = (id, deadline, file, method)
        (self.login, self.password, self.salt, self.clientAddress) = (login, password, salt, clientAddress)
    }

    private static let methods: [AuthenticationMethod] = [.plain, .cramMD5, .apop, .external]

    /// The datagram; nil when it would be too long.
    package var datagram: Secret? {
        guard let number = Self.methods.firstIndex(of: method) else { return nil }
        let sizes = [login.count, password.count, salt.count, clientAddress.count]
        guard sizes.allSatisfy({ $0 <= Self.longestField }), sizes.reduce(64, +) <= Self.longest else { return nil }
        let writer = DatagramWriter(version: Self.version)
        writer.put(UInt8(number))
        writer.put(number: id)
        writer.put(number: deadline)
        writer.put(number: UInt64(file))
        writer.put(login)
        writer.put(password)
        writer.put(salt)
        writer.put(clientAddress)
        return writer.finished
    }

    package init?(_ datagram: Span<UInt8>) {
        guard datagram.count <= Self.longest, let reader = DatagramReader(datagram, version: Self.version) else {
            return nil
        }
        var position = reader
        guard let number = position.byte(datagram), Int(number) < Self.methods.count,
            let id = position.number(datagram), let deadline = position.number(datagram),
            let file = position.number(datagram).flatMap({ UInt32(exactly: $0) }),
            let login = position.bytes(datagram), let password = position.secret(datagram),
            let salt = position.bytes(datagram), let clientAddress = position.bytes(datagram),
            position.isAtEnd(datagram)
        else { return nil }
        self.init(
            id: id, deadline: deadline, file: file, method: Self.methods[Int(number)], login: login,
            password: password, salt: salt, clientAddress: clientAddress)
    }
}

/// What a helper answers: one datagram with the request's id, or unasked what it knows of a file.
package struct HashAnswer: Equatable, Sendable {
    package static let version: UInt8 = 1
    package static let longest = 16_384

    /// What an entry says of the server behind, as far as it does.
    package struct Accepted: Equatable, Sendable {
        package var host: [UInt8]?
        package var port: UInt16?
        package var user: [UInt8]?
        package var password: Secret?

        package init(host: [UInt8]? = nil, port: UInt16? = nil, user: [UInt8]? = nil, password: Secret? = nil) {
            (self.host, self.port, self.user, self.password) = (host, port, user, password)
        }
    }

    package enum Decision: Equatable, Sendable {
        case refused(hasDelay: Bool)
        case accepted(Accepted)
        /// The file could not be read.
        case unavailable
        /// Not an answer: what there is to know of a file. The id is the file's number.
        case fileRead
    }

    package var id: UInt64
    package var decision: Decision
    /// The file has entries with which digests can be verified.
    package var hasPlainEntries: Bool

    package init(id: UInt64, _ decision: Decision, hasPlainEntries: Bool) {
        (self.id, self.decision, self.hasPlainEntries) = (id, decision, hasPlainEntries)
    }

    package var datagram: Secret {
        let writer = DatagramWriter(version: Self.version)
        writer.put(number)
        writer.put(hasPlainEntries ? UInt8(1) : 0)
        writer.put(number: id)
        if case .accepted(let accepted) = decision {
            writer.put(optional: accepted.host.map { Secret($0) })
            writer.put(number: UInt64(accepted.port ?? 0))
            writer.put(optional: accepted.user.map { Secret($0) })
            writer.put(optional: accepted.password)
        }
        return writer.finished
    }

    private var number: UInt8 {
        switch decision {
        case .refused(let hasDelay): hasDelay ? 0 : 1
        case .accepted: 2
        case .unavailable: 3
        case .fileRead: 4
        }
    }

    package init?(_ datagram: Span<UInt8>) {
        guard datagram.count <= Self.longest, var reader = DatagramReader(datagram, version: Self.version),
            let number = reader.byte(datagram), let flag = reader.byte(datagram), flag <= 1,
            let id = reader.number(datagram)
        else { return nil }
        (self.id, hasPlainEntries) = (id, flag == 1)
        switch number {
        case 0: decision = .refused(hasDelay: true)
        case 1: decision = .refused(hasDelay: false)
        case 2:
            guard let host = reader.optional(datagram), let port = reader.number(datagram), port <= 65535,
                let user = reader.optional(datagram), let password = reader.optional(datagram)
            else { return nil }
            decision = .accepted(
                Accepted(
                    host: host.secret?.withBytes { $0.bytes }, port: port == 0 ? nil : UInt16(port),
                    user: user.secret?.withBytes { $0.bytes }, password: password.secret))
        case 3: decision = .unavailable
        case 4: decision = .fileRead
        default: return nil
        }
        guard reader.isAtEnd(datagram) else { return nil }
    }
}
