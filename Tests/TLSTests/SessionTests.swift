import COpenSSL
import Glibc
import TLS
import Testing

@Suite struct `TLS sessions` {
    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func `shake hands and pass bytes both ways`(version: CInt) throws {
        let context = try Load().context("")
        let connection = try Connection(
            context, ClientOptions(protocols: ["xmpp", "imap"], newest: version, serverName: "mail.example"))
        #expect(try connection.handshake() == .done)
        let facts = connection.facts
        #expect(facts.protocolVersion == (version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2"))
        #expect(facts.cipher.isEmpty == false)
        #expect(facts.isResumed == false)
        #expect(facts.serverName == Array("mail.example".utf8))
        #expect(facts.applicationProtocol == "imap")

        connection.clientWrite("a CAPABILITY\r\n")
        #expect(try connection.serverRead() == (.bytes(14), Array("a CAPABILITY\r\n".utf8)))
        #expect(try connection.serverRead().0 == .wantsRead)
        #expect(try connection.serverWrite(Array("a OK\r\n".utf8)) == .bytes(6))
        #expect(connection.clientRead() == Array("a OK\r\n".utf8))
    }

    @Test func `tell close_notify from a bare end`() throws {
        let context = try Load().context("")
        let polite = try Connection(context)
        try polite.handshake()
        SSL_shutdown(polite.client)
        #expect(try polite.serverRead().0 == .closed)
        #expect(try polite.onServer { try $0.shutdown() } == .done)

        let rude = try Connection(context)
        try rude.handshake()
        rude.clientHangUp()
        #expect(try rude.serverRead().0 == .endOfStream)
    }

    @Test func `wait for the peer's close_notify`() throws {
        let connection = try Connection(try Load().context(""))
        try connection.handshake()
        #expect(try connection.onServer { try $0.shutdown() } == .wantsRead)
        #expect(try connection.onServer { try $0.shutdown() } == .wantsRead)
        connection.clientRead()
        SSL_shutdown(connection.client)
        #expect(try connection.onServer { try $0.shutdown() } == .done)
    }

    @Test func `report a client that leaves in the handshake`() throws {
        let connection = try Connection(try Load().context(""))
        #expect(try connection.onServer { try $0.handshake() } == .wantsRead)
        connection.clientHangUp()
        #expect(try connection.onServer { try $0.handshake() } == .closed)
    }

    @Test func `refuse a client that offers other application protocols only`() throws {
        let connection = try Connection(try Load().context(""), ClientOptions(protocols: ["http/1.1", "pop3"]))
        let error = #expect(throws: TLSError.self) { try connection.handshake() }
        #expect(error?.text.hasSuffix(":SSL routines::no application protocol)") == true)
        #expect(error?.isPeersFault == true)
    }

    @Test func `refuse versions that are not enabled`() throws {
        let context = try Load().context("ssl_protocols TLSv1.3;")
        let connection = try Connection(context, ClientOptions(newest: TLS1_2_VERSION))
        let error = #expect(throws: TLSError.self) { try connection.handshake() }
        #expect(error?.text.contains("unsupported protocol") == true)
        #expect(error?.isPeersFault == true)
    }

    @Test func `name what a plain-text client did`() throws {
        let connection = try Connection(try Load().context(""))
        connection.clientSendPlain(Array("a001 LOGIN x y\r\n".utf8))
        let error = #expect(throws: TLSError.self) { try connection.onServer { try $0.handshake() } }
        #expect(
            error?.message
                == "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)")
        #expect(error?.isPeersFault == true)
    }

    @Test func `survive rubbish`() throws {
        let context = try Load().context("")
        var random = SystemRandomNumberGenerator()
        for round in 0..<200 {
            let connection = try Connection(context)
            SSL_do_handshake(connection.client)
            var bytes = (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) }
            bytes.replaceSubrange(0..<9, with: [22, 3, 1, 1, 0, UInt8(round % 3), 0, 0, 252])
            connection.clientSendPlain(bytes)
            for _ in 0..<4 { _ = try? connection.onServer { try $0.handshake() } }
        }
    }

    @Test func `pass to a relay and back`() throws {
        let connection = try Connection(try Load().context(""))
        try connection.handshake()
        let ssl = connection.server.take()!.release()
        connection.clientWrite("hello")
        var bytes = [UInt8](repeating: 0, count: 10)
        #expect(bytes.withUnsafeMutableBytes { TLSRaw.read(ssl, $0.baseAddress!, 2) } == 2)
        #expect(TLSRaw.pending(ssl) == 3)
        #expect(bytes.withUnsafeMutableBytes { TLSRaw.read(ssl, $0.baseAddress!, 10) } == 3)
        #expect(bytes.withUnsafeMutableBytes { TLSRaw.read(ssl, $0.baseAddress!, 10) } == TLSRaw.wantsRead)
        connection.server = TLSSession(adopting: ssl)
        #expect(try connection.serverWrite([65]) == .bytes(1))
    }

    @Test func `outlive their context`() throws {
        var context: TLSContext? = try Load().context("")
        let connection = try Connection(context!, ClientOptions(protocols: ["imap"]))
        context = nil
        connection.forgetContext()
        #expect(throws: TLSError.self) { try connection.handshake() }
    }
}
