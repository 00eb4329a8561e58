import EventLoop
import Glibc
import Platform
import Testing

@testable import DNS

/// A name server on a loopback port, UDP and TCP, that does what its script says, in the loop of the test.
final class ScriptedServer {
    struct Question {
        let bytes: [UInt8]
        let overStream: Bool
        var id: [UInt8] { Array(bytes.prefix(2)) }
        /// Name, type and class on the wire.
        var section: [UInt8] { Array(bytes.dropFirst(12)) }
        var type: UInt8 { bytes[bytes.count - 3] }
        var name: String {
            var labels: [String] = []
            var rest = bytes.dropFirst(12)
            while let length = rest.popFirst(), length > 0 {
                labels.append(String(decoding: rest.prefix(Int(length)), as: UTF8.self))
                rest = rest.dropFirst(Int(length))
            }
            return labels.joined(separator: ".")
        }

        func answer(_ records: [[UInt8]] = [], flags: UInt16 = 0x8180, code: UInt16 = 0) -> [UInt8] {
            Message.answer(to: section, id: id, flags: flags, code: code, records)
        }
    }

    /// A descriptor of the server.
    private final class Source: EventSource {
        let descriptor: CInt
        var registration = Registration.none
        let action: (Source) -> Void
        init(_ descriptor: CInt, _ action: @escaping (Source) -> Void) {
            (self.descriptor, self.action) = (descriptor, action)
        }
        func ready(_ events: Events) { action(self) }
    }

    private let loop: EventLoop
    private let script: (Question) -> [[UInt8]]
    private(set) var questions: [Question] = []
    private var sources: [Source] = []
    let address: SocketAddress

    /// - Parameter script: The messages that answer a question.
    init(_ loop: EventLoop, _ script: @escaping (Question) -> [[UInt8]]) throws {
        (self.loop, self.script) = (loop, script)
        var (datagrams, listener): (CInt, CInt) = (-1, -1)
        var port: UInt16 = 0
        // The same port for both.
        repeat {
            close(datagrams)
            close(listener)
            datagrams = socket(AF_INET, CInt(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            port = try #require(Self.bind(datagrams, port: 0))
        } while Self.bind(listener, port: port) == nil
        try #require(listen(listener, 16) == 0)
        address = SocketAddress(.ipv4([127, 0, 0, 1]), port: port)
        try watch(datagrams) { [unowned self] in self.receive($0.descriptor) }
        try watch(listener) { [unowned self] source in
            let stream = accept4(source.descriptor)
            try? self.watch(stream) { [unowned self] in self.read($0) }
        }
    }

    private func accept4(_ listener: CInt) -> CInt {
        let stream = accept(listener, nil, nil)
        _ = fcntl(stream, F_SETFL, O_NONBLOCK)
        return stream
    }

    private static func bind(_ descriptor: CInt, port: UInt16) -> UInt16? {
        let address = SocketAddress(.ipv4([127, 0, 0, 1]), port: port)
        guard address.withKernelForm({ Glibc.bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self), $1) }) == 0
        else { return nil }
        var name = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutableBytes(of: &name) {
            _ = getsockname(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        return SocketAddress(name, length: Int(length))?.port
    }

    private func watch(_ descriptor: CInt, _ action: @escaping (Source) -> Void) throws {
        let source = Source(descriptor, action)
        source.registration = try loop.add(descriptor, .input, source)
        sources.append(source)
    }

    private func end(_ source: Source) {
        loop.remove(source.registration, source.descriptor)
        close(source.descriptor)
        sources.removeAll { $0 === source }
    }

    func stop() { for source in sources { end(source) } }

    private func receive(_ descriptor: CInt) {
        var space = [UInt8](repeating: 0, count: 2048)
        var peer = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutableBytes(of: &peer) { peer in
            let address = peer.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            let count = recvfrom(descriptor, &space, space.count, 0, address, &length)
            guard count > 0 else { return }
            for answer in answers(Array(space.prefix(count)), overStream: false) {
                _ = sendto(descriptor, answer, answer.count, 0, address, length)
            }
        }
    }

    /// A question over TCP comes whole, as far as tests go.
    private func read(_ source: Source) {
        var space = [UInt8](repeating: 0, count: 2048)
        let count = recv(source.descriptor, &space, space.count, 0)
        guard count > 2 else { return end(source) }
        for answer in answers(Array(space[2..<count]), overStream: true) {
            let framed = Message.bytes(UInt16(answer.count)) + answer
            framed.withUnsafeBytes { _ = Stream.write(source.descriptor, $0) }
        }
    }

    private func answers(_ bytes: [UInt8], overStream: Bool) -> [[UInt8]] {
        let question = Question(bytes: bytes, overStream: overStream)
        questions.append(question)
        return script(question)
    }
}
