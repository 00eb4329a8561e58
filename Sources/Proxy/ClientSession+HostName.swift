import ApusMail
import Bytes
import DNS
import Observability
import Platform
import Transport

// The client's name, for protocols that tell it to others: what its address is called, if that name has the address
// again. Before the greeting, and once: a handshake after STARTTLS does not ask anew.

extension ClientSession {
    /// There is no such name.
    static var unavailableHostName: [UInt8] { "[UNAVAILABLE]".bytes }
    /// It could not be found out.
    static var unknownHostName: [UInt8] { "[TEMPUNAVAIL]".bytes }

    /// Begins to look the name up.
    ///
    /// - Returns: Whether there is something to wait for; the greeting follows then.
    func lookUpHostName() -> Bool {
        guard server.declaration.usesClientHostName, let resolver = server.resolver else { return false }
        let host = peer.host.unmapped
        if case .unix = host {
            hostName = Self.unknownHostName
            return false
        }
        stage = .resolving
        record.activity = "in resolving client address"
        // Each of the look-ups has a limit of its own.
        worker.loop.cancel(&timer)
        lookup = resolver.name(of: host, within: server.resolverTimeout) { [weak self] in self?.found($0, of: host) }
        return true
    }

    private func found(_ result: Result<[UInt8], ResolverFailure>, of host: SocketAddress.Host) {
        noteActivity()
        guard stage == .resolving else { return }
        switch result {
        case .failure(let failure):
            report(failure) { $0.append(escaped: self.record.clientAddress) }
            resolved(failure.placeholder)
        case .success(let name):
            guard Self.isHostName(name) else {
                reportInvalid(name)
                return resolved(Self.unknownHostName)
            }
            confirm(name, host)
        }
    }

    /// The name goes into headers and commands: nothing but letters, digits, hyphens and dots (CVE-2026-28753).
    static func isHostName(_ name: [UInt8]) -> Bool {
        (1...255).contains(name.count)
            && name.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E: true
                default: false
                }
            }
    }

    /// Anybody can call an address by any name: only the owner of the name can say that it has the address.
    private func confirm(_ name: [UInt8], _ host: SocketAddress.Host) {
        guard let resolver = server.resolver else { return }
        record.activity = "in resolving client hostname"
        lookup = resolver.addresses(of: name, within: server.resolverTimeout) { [weak self] result in
            guard let self, self.stage == .resolving else { return }
            switch result {
            case .failure(let failure):
                self.report(failure) {
                    $0.append("\"")
                    $0.append(escaped: name)
                    $0.append("\"")
                }
                self.resolved(failure.placeholder)
            case .success(let addresses): self.resolved(addresses.contains(host) ? name : Self.unavailableHostName)
            }
        }
    }

    private func report(_ failure: ResolverFailure, _ what: (inout LogLine) -> Void) {
        log.write(
            .error, connection: record.number,
            {
                what(&$0)
                $0.append(" could not be resolved (")
                $0.append(failure.code)
                $0.append(": ")
                $0.append(failure.text)
                $0.append(")")
            }
        ) { self.record.appendContext(to: &$0) }
    }

    private func reportInvalid(_ name: [UInt8]) {
        log.write(
            .error, connection: record.number,
            {
                $0.append(escaped: self.record.clientAddress)
                $0.append(" resolved to invalid host name \"")
                $0.append(escaped: name)
                $0.append("\"")
            }
        ) { self.record.appendContext(to: &$0) }
    }

    private func resolved(_ name: [UInt8]) {
        lookup = nil
        hostName = name
        do throws(Bug) {
            try greetByName()
        } catch {
            broken(error)
        }
    }

    /// A client that has left without a word is not waited for. One that sent all it has to say is.
    func endIfClientLeft() {
        guard client.seemsClosed else { return }
        withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { space in
            switch client.peek(into: space) {
            case .bytes, .wouldBlock: break
            case .endOfStream: close(.clientClosed)
            case .failed(let failure): clientFailed(failure)
            }
        }
    }
}

extension ResolverFailure {
    /// What stands for the name in the words of XCLIENT.
    fileprivate var placeholder: [UInt8] {
        self == .notFound ? ClientSession.unavailableHostName : ClientSession.unknownHostName
    }
}
