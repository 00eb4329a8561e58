// Looking names up in the DNS, for whoever needs one while running: a stub resolver that asks the servers of a `resolver`
// directive, and nobody else. c-ares sends, receives and matches (`Channel`), our loop waits, and nothing blocks. What is
// decided here: which server is asked when, what an answer means, and how long it is kept.
//
// A worker has one resolver for each `resolver` directive; nobody else knows it, and it goes with the worker. Whoever asks
// gets a `Lookup`, which it keeps as long as it wants to know.
//
// Otherwise than nginx, with the same result for who asks:
// - A server that cannot be reached or whose answer is nonsense is passed over at once, not after 5 seconds; when all
//   answered with nonsense, the look-up fails there and then (code 1), where nginx waits for its time-out (110).
// - An answer is taken for 10 seconds, whoever was asked meanwhile; each retransmission has an id of its own.
// - Answers with a wrong id, to another question or from another address are dropped by c-ares, in silence; so are records
//   of other types beside those asked for.
// - A truncated answer to a PTR question that has no PTR record is asked for over TCP; an alias of a reverse name that
//   comes alone is followed.
// - What was looked up is kept until it expires or the cache is full, used or not; nginx drops what was not used for
//   30 seconds.

import CAres
package import EventLoop
package import Observability
package import Platform

package final class Resolver {
    /// Names and addresses that are kept.
    private static let cacheCapacity = 8192

    let loop: EventLoop
    let families: [RecordType]
    private let log: Log
    private let validity: UInt64?
    private let servers: [NameServer]
    /// Whose turn it is.
    private var turn = 0
    private var cache = AnswerCache(capacity: cacheCapacity)
    private var running: [ResolverKey: Resolution] = [:]

    /// - Parameters:
    ///   - log: What hears of servers that do not answer as they should.
    ///   - takeNumber: Each socket takes a connection number.
    package init(
        _ settings: ResolverDirective, loop: EventLoop, log: Log, takeNumber: @escaping () -> UInt64
    ) {
        self.loop = loop
        self.log = log
        families = (settings.usesIPv4 ? [.a] : []) + (settings.usesIPv6 ? [.aaaa] : [])
        // Zero is as if it were not given.
        let seconds = settings.validity.map { $0.milliseconds / 1000 } ?? 0
        validity = seconds > 0 ? seconds : nil
        ares_library_init(ARES_LIB_INIT_ALL)
        servers = settings.servers.map { address in
            NameServer(address) { isStream in
                Channel(to: address, isStream: isStream, loop: loop, log: log, takeNumber: takeNumber)
            }
        }
    }

    // MARK: Asking

    /// The name of an address: what the first PTR record says, in lower case, unchecked.
    ///
    /// - Parameters:
    ///   - timeout: Zero waits for ever.
    ///   - answer: Called once, never from inside this call; not after the look-up was cancelled or let go.
    package func name(
        of host: SocketAddress.Host, within timeout: Duration,
        answer: @escaping (Result<[UInt8], ResolverFailure>) -> Void
    ) -> Lookup {
        look(up: .name(host), asking: DomainName.reverse(host), within: timeout) { result in
            answer(result.flatMap { if case .name(let name) = $0 { .success(name) } else { .failure(.notFound) } })
        }
    }

    /// The addresses of a name, IPv4 before IPv6; those that are kept in an order by chance.
    package func addresses(
        of name: [UInt8], within timeout: Duration,
        answer: @escaping (Result<[SocketAddress.Host], ResolverFailure>) -> Void
    ) -> Lookup {
        let name = DomainName.normalized(name)
        return look(up: .addresses(name ?? []), asking: name, within: timeout) { result in
            answer(
                result.flatMap { if case .addresses(let hosts) = $0 { .success(hosts) } else { .failure(.notFound) } })
        }
    }

    private func look(
        up key: ResolverKey, asking name: [UInt8]?, within timeout: Duration,
        answer: @escaping (Result<ResolverValue, ResolverFailure>) -> Void
    ) -> Lookup {
        let lookup = Lookup(loop, answer: answer)
        guard let name else {
            lookup.settleLater(.failure(.notFound))
            return lookup
        }
        if let value = cache.value(for: key, at: second) {
            lookup.settleLater(.success(value.rotated))
            return lookup
        }
        if let resolution = running[key] {
            lookup.wait(for: resolution, within: timeout)
        } else {
            let resolution = Resolution(key, resolver: self)
            running[key] = resolution
            lookup.wait(for: resolution, within: timeout)
            resolution.ask(for: name)
        }
        return lookup
    }

    private var second: UInt64 { loop.now / 1000 }

    // MARK: For resolutions

    /// The server that is asked first by the next name or address.
    func takeTurn() -> Int {
        defer { turn = (turn + 1) % servers.count }
        return turn
    }

    func exchange(
        _ name: [UInt8], _ type: RecordType, from server: Int,
        answer: @escaping (Result<Answer, ResolverFailure>) -> Void
    ) -> Exchange {
        Exchange(name, type, servers: servers, from: server, loop: loop, log: log, answer: answer)
    }

    func end(_ resolution: Resolution) {
        if running[resolution.key] === resolution { running[resolution.key] = nil }
    }

    func remember(_ value: ResolverValue, for key: ResolverKey, seconds: UInt32) {
        cache.keep(value, for: key, at: second, seconds: validity ?? UInt64(seconds))
    }
}

extension ResolverValue {
    /// Addresses beginning with any of them, so that each has its turn.
    fileprivate var rotated: ResolverValue {
        guard case .addresses(let hosts) = self, let start = hosts.indices.randomElement() else { return self }
        return .addresses(Array(hosts[start...] + hosts[..<start]))
    }
}
