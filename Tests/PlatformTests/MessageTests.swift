import Glibc
import Platform
import Testing

@Suite struct `Messages between processes` {
    @Test func `a descriptor comes along`() throws {
        let (one, other) = try MessageSocket.pair()
        defer { for number in [one, other] { close(number) } }
        let null = open("/dev/null", O_RDONLY)
        defer { close(null) }
        let message = HelperMessage(.fileChanged, 0xFFFF_FFFE)
        #expect(MessageSocket.send(message.bytes, descriptor: null, to: one) == .bytes(5))
        guard case .message(let bytes, let descriptor) = MessageSocket.receive(from: other) else {
            Issue.record("no message")
            return
        }
        #expect(HelperMessage(bytes) == message)
        #expect(descriptor >= 0 && descriptor != null)
        close(descriptor)
        guard case .wouldBlock = MessageSocket.receive(from: other) else {
            Issue.record("more than one message")
            return
        }
    }

    @Test func `processes share a counter`() throws {
        let counter = try SharedCounter()
        #expect(counter.next() == 1)
        switch try Process.fork() {
        case .child:
            _ = counter.next()
            _exit(0)
        case .parent(let child):
            var status: CInt = 0
            waitpid(child, &status, 0)
            #expect(counter.next() == 3)
        }
    }
}
