import ApusMail
import Observability
import Platform
import Transport

// The PROXY protocol on both sides: the header a load balancer puts before the client's bytes, and the one that the
// server behind is sent.

extension ClientSession {
    // MARK: From the client

    func awaitProxyHeader(thenTLS: Bool) {
        stage = .readingProxyHeader(thenTLS: thenTLS)
        record.activity = "reading PROXY protocol"
    }

    /// Reads the header once it is complete, and nothing behind it: that is TLS, or commands. To one that sends another
    /// nothing is said.
    func readProxyHeader(thenTLS: Bool) throws(Bug) {
        // What the kernel said before is known before the bytes are looked at: none come after the end.
        let isAll = client.seemsClosed
        let space = UnsafeMutableRawBufferPointer.allocate(byteCount: ProxyHeader.longest, alignment: 1)
        defer { space.deallocate() }
        var count = 0
        switch client.peek(into: space) {
        case .bytes(let seen): count = seen
        case .wouldBlock: return
        case .endOfStream: break
        case .failed(let failure): return clientFailed(failure)
        }
        let bytes = UnsafeRawBufferPointer(rebasing: space[..<count]).bindMemory(to: UInt8.self)
        switch ProxyHeader.read(bytes.span, isAll: isAll || count == 0) {
        case .incomplete: break
        case .refused(let refusal):
            report(refusal, Array(bytes))
            close(.proxyHeaderRefused)
        case .complete(let header):
            guard receive(into: .init(rebasing: space[..<header.length])) else { return }
            lastHeard = worker.loop.now
            accept(header)
            try begin(withTLS: thenTLS)
        }
    }

    /// Takes what was seen; a peer that meddles with it (a reset, urgent data) is disconnected.
    private func receive(into space: UnsafeMutableRawBufferPointer) -> Bool {
        switch client.receive(into: space) {
        case .bytes(space.count): return true
        case .bytes, .wouldBlock, .endOfStream: close(.clientFailed)
        case .failed(let failure): clientFailed(failure)
        }
        return false
    }

    private func report(_ refusal: ProxyHeader.Refusal, _ bytes: [UInt8]) {
        switch refusal {
        case .broken(let shown): note(.error, "broken header: ", quoting: Array(bytes.prefix(shown)))
        case .unknownVersion(let version):
            log.write(
                .error, connection: record.number,
                {
                    $0.append("unknown PROXY protocol version: ")
                    $0.append(Int(version))
                }
            ) { self.record.appendContext(to: &$0) }
        case .tooLarge: note(.error, "header is too large")
        case .tooShort: debug("PROXY header without room for its addresses")
        }
    }

    /// Keeps what the header says for the authentication service; a trusted peer's client takes its place.
    private func accept(_ header: ProxyHeader) {
        debug("PROXY header, bytes: ", header.length)
        proxyHeader = header.facts
        guard let facts = header.facts, server.realIP.trusts(peer),
            let source = SocketAddress(ip: facts.sourceAddress, port: facts.sourcePort)
        else { return }
        peer = source
        record.clientAddress = Array(source.hostText.utf8)
    }

    // MARK: To the server behind

    /// Sends the header, if one is configured; false when that has to wait or has failed.
    func sendProxyHeader(to backend: Connection) -> Bool {
        guard server.settings.upstreamProxyHeader != .off else { return true }
        record.activity = "sending PROXY protocol header to upstream"
        do throws(SystemError) {
            switch backend.sendAtOnce(try upstreamProxyHeader()) {
            case .all: return true
            case .blocked: return false
            case .part:
                note(.error, "could not send PROXY protocol header at once")
                failInternally(.upstreamFailed)
            case .failed(let failure): backendFailed(failure)
            }
        } catch {
            ConnectionFailure.system(error).write(to: log, connection: record.number, isClient: true) {
                self.record.appendContext(to: &$0)
            }
            failInternally(.internalError)
        }
        return false
    }

    private func upstreamProxyHeader() throws(SystemError) -> [UInt8] {
        var header = UpstreamProxyHeader(client: peer, local: try client.localAddress())
        guard server.settings.upstreamProxyHeader == .version2 else { return header.version1 }
        header.encryption = client.withTLS { tls in
            UpstreamProxyHeader.Encryption(tls.facts, tls.certificateFacts)
        }
        return header.version2
    }
}
