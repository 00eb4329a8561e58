import EventLoop
import Platform

/// What is looked up.
enum ResolverKey: Hashable {
    /// The addresses of a name, which is in lower case and without a dot at its end.
    case addresses([UInt8])
    /// The name of an address.
    case name(SocketAddress.Host)
}

/// What was found.
enum ResolverValue: Equatable {
    case addresses([SocketAddress.Host])
    case name([UInt8])
}

/// Somebody waits for a name or an address; whoever holds it may cancel it, and does so by letting go of it.
package final class Lookup {
    private let loop: EventLoop
    private weak var resolution: Resolution?
    private var timer: TimerHandle?
    /// nil once called or cancelled.
    private var answer: ((Result<ResolverValue, ResolverFailure>) -> Void)?

    init(_ loop: EventLoop, answer: @escaping (Result<ResolverValue, ResolverFailure>) -> Void) {
        (self.loop, self.answer) = (loop, answer)
    }

    deinit { cancel() }

    package func cancel() {
        loop.cancel(&timer)
        answer = nil
        resolution?.leave(self)
        resolution = nil
    }

    /// - Parameter timeout: Zero waits for ever.
    func wait(for resolution: Resolution, within timeout: Duration) {
        self.resolution = resolution
        resolution.join(self)
        guard timeout > .zero else { return }
        timer = loop.schedule(after: timeout) { [weak self] in self?.settle(.failure(.timedOut)) }
    }

    /// Never called from inside the call that made the lookup.
    func settle(_ result: Result<ResolverValue, ResolverFailure>) {
        let answer = self.answer
        cancel()
        answer?(result)
    }

    /// The same at the end of this turn.
    func settleLater(_ result: Result<ResolverValue, ResolverFailure>) {
        loop.later { [weak self] in self?.settle(result) }
    }
}

/// One name or address being looked up, for everybody who asks for it meanwhile: its questions, and those that follow
/// from aliases.
final class Resolution {
    /// Aliases that are followed.
    static let longestChain = 50

    let key: ResolverKey
    private unowned let resolver: Resolver  // owns it
    private struct Waiter { weak var lookup: Lookup? }
    private var waiters: [ObjectIdentifier: Waiter] = [:]
    private var exchanges: [Exchange] = []
    /// What came in this step, by question.
    private var results: [Result<Answer, ResolverFailure>] = []
    private var aliasCount = 0
    private var lifetime = UInt32.max

    init(_ key: ResolverKey, resolver: Resolver) { (self.key, self.resolver) = (key, resolver) }

    func join(_ lookup: Lookup) { waiters[ObjectIdentifier(lookup)] = Waiter(lookup: lookup) }

    /// With the last one the questions go.
    func leave(_ lookup: Lookup) {
        waiters[ObjectIdentifier(lookup)] = nil
        if waiters.isEmpty { resolver.end(self) }
    }

    /// - Parameter name: The key's own, then those of aliases.
    func ask(for name: [UInt8]) {
        let server = resolver.takeTurn()
        results = []
        exchanges = types.map { type in
            resolver.exchange(name, type, from: server) { [weak self] in self?.receive($0) }
        }
        for exchange in exchanges { exchange.begin() }
    }

    private var types: [RecordType] {
        switch key {
        case .name: [.ptr]
        case .addresses: resolver.families
        }
    }

    private func receive(_ result: Result<Answer, ResolverFailure>) {
        results.append(result)
        guard results.count == exchanges.count else { return }
        // Exchanges are in the middle of their work: they go, and others come, when that is done.
        resolver.loop.later { [weak self] in self?.conclude() }
    }

    /// All families were answered. One that cannot be told fails the whole; one that is not there does not.
    private func conclude() {
        guard !results.isEmpty else { return }
        var addresses: [SocketAddress.Host] = []
        var (name, alias): ([UInt8]?, [UInt8]?)
        var problem: ResolverFailure?
        for result in results {
            switch result {
            case .success(let answer):
                lifetime = min(lifetime, answer.lifetime)
                addresses += answer.addresses
                name = name ?? answer.name
                alias = alias ?? answer.alias
            case .failure(let failure): problem = failure
            }
        }
        if let problem { return finish(.failure(problem)) }
        if let name { return finish(.success(.name(name))) }
        if !addresses.isEmpty { return finish(.success(.addresses(addresses))) }
        guard let alias, aliasCount < Self.longestChain else { return finish(.failure(.notFound)) }
        aliasCount += 1
        guard let name = DomainName.normalized(alias) else { return finish(.failure(.formatError)) }
        ask(for: name)
    }

    private func finish(_ result: Result<ResolverValue, ResolverFailure>) {
        if case .success(let value) = result { resolver.remember(value, for: key, seconds: lifetime) }
        let lookups = waiters.values.compactMap(\.lookup)
        waiters = [:]
        resolver.end(self)
        for lookup in lookups { lookup.settle(result) }
    }
}
