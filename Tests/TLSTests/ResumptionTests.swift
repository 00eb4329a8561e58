import COpenSSL
import Glibc
import Testing
import Zones

@testable import TLS

@Suite struct `Resumption` {
    private var versions: [CInt] { [TLS1_2_VERSION, TLS1_3_VERSION] }

    /// Two workers are two contexts over the same zones.
    private func isResumed(_ first: String, _ second: String, version: CInt) throws -> Bool {
        let load = Load()
        return try resumes(
            load.context(first), then: load.context(second), ClientOptions(newest: version))
    }

    @Test(
        arguments: [
            ("ssl_session_cache shared:A:64k; ssl_session_tickets off;", true),
            ("ssl_session_cache builtin shared:A:64k; ssl_session_tickets off;", true),
            ("ssl_session_cache shared:A:64k;", true),
            ("", true),
            ("ssl_session_cache off;", true),
            ("ssl_session_cache none; ssl_session_tickets off;", false),
            ("ssl_session_cache off; ssl_session_tickets off;", false),
            ("ssl_session_cache builtin; ssl_session_tickets off;", false),
            ("ssl_session_ticket_key key80;", true),
            ("ssl_session_ticket_key key48; ssl_session_ticket_key key80;", true),
        ])
    func `works in another worker`(text: String, expected: Bool) throws {
        for version in versions {
            #expect(try isResumed(text, text, version: version) == expected, "\(version)")
        }
    }

    @Test func `works in the same worker with the builtin cache`() throws {
        let context = try Load().context("ssl_session_cache builtin:10; ssl_session_tickets off;")
        for version in versions {
            #expect(try resumes(context, then: context, ClientOptions(newest: version)))
        }
    }

    @Test func `with a key file also where the key is not the first`() throws {
        for version in versions {
            #expect(
                try isResumed(
                    "ssl_session_ticket_key key80;", "ssl_session_ticket_key key48; ssl_session_ticket_key key80;",
                    version: version))
            #expect(
                try !isResumed(
                    "ssl_session_ticket_key key80;", "ssl_session_ticket_key key48;", version: version))
        }
    }

    @Test(
        arguments: [
            "ssl_certificate other.pem; ssl_certificate_key other.key;",
            "ssl_certificate server.pem; ssl_certificate_key server.key; ssl_verify_client optional; ssl_client_certificate ca.pem;",
        ])
    func `never works for another identity`(other: String) throws {
        for version in versions {
            for sessions in [
                "", "ssl_session_cache shared:A:64k; ssl_session_tickets off;", "ssl_session_ticket_key key80;",
            ] {
                let usual = "ssl_certificate server.pem; ssl_certificate_key server.key;"
                #expect(try !isResumed(usual + sessions, other + sessions, version: version))
            }
        }
    }

    @Test func `survives a reload`() throws {
        let zones = ZoneRegistry()
        for text in ["", "ssl_session_cache shared:A:64k; ssl_session_tickets off;"] {
            zones.begin()
            let old = try Load(zones: zones).context(text)
            zones.commit()
            zones.begin()
            let new = try Load(zones: zones).context(text)
            zones.commit()
            #expect(try resumes(old, then: new))
        }
    }

    @Test func `does not lengthen the life of a TLS 1_3 session`() throws {
        let context = try Load().context("ssl_session_timeout 3s;")
        let first = try Connection(context)
        try first.handshake()
        let session = first.session()
        defer { SSL_SESSION_free(session) }
        #expect(SSL_SESSION_get_ticket_lifetime_hint(session) == 3)
        // The library counts in seconds of the real clock.
        usleep(1_100_000)
        let second = try Connection(context, resuming: session)
        try second.handshake()
        #expect(second.facts.isResumed)
        let renewed = second.session()
        defer { SSL_SESSION_free(renewed) }
        #expect(renewed != session)
        #expect((1...2).contains(SSL_SESSION_get_ticket_lifetime_hint(renewed)))
    }

    @Test func `is over for a session that was forgotten`() throws {
        let context = try Load().context("ssl_session_cache shared:A:64k; ssl_session_tickets off;")
        let options = ClientOptions(newest: TLS1_2_VERSION)
        let first = try Connection(context, options)
        try first.handshake()
        let session = first.session()
        defer { SSL_SESSION_free(session) }
        #expect(context.sessionTable?.count == 1)
        first.onServer { $0.forgetSession() }
        #expect(context.sessionTable?.count == 0)
        let second = try Connection(context, options, resuming: session)
        try second.handshake()
        #expect(second.facts.isResumed == false)
    }
}

@Suite struct `The session table` {
    private func table(_ size: Int) throws -> TLSSessionTable {
        TLSSessionTable(try SharedZone("A", size: size, layout: TLSSessionTable.layout))
    }

    private func id(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

    private func store(_ table: TLSSessionTable, _ number: UInt32, _ bytes: [UInt8], expiry: Int = 100)
        -> TLSSessionTable.StoreOutcome
    {
        id(number).withUnsafeBytes { id in
            bytes.withUnsafeBytes { table.store(id: id, session: $0, expiry: expiry, now: 1) }
        }
    }

    private func find(_ table: TLSSessionTable, _ number: UInt32, now: Int = 1) -> [UInt8]? {
        id(number).withUnsafeBytes { table.find(id: $0, now: now) }
    }

    @Test func `finds what was stored, until it expires or is removed`() throws {
        let table = try table(65536)
        #expect(store(table, 1, [1, 2, 3]) == .stored)
        #expect(store(table, 2, [4]) == .stored)
        #expect(store(table, 2, [5, 6]) == .stored)
        #expect(find(table, 1) == [1, 2, 3])
        #expect(find(table, 2) == [5, 6])
        #expect(find(table, 3) == nil)
        #expect(find(table, 2, now: 100) == nil)
        id(1).withUnsafeBytes { table.remove(id: $0) }
        #expect(find(table, 1) == nil)
        #expect(table.count == 0)
    }

    @Test func `holds about 4000 sessions a megabyte, and drops the oldest`() throws {
        let table = try table(1 << 20)
        let session = [UInt8](repeating: 7, count: 180)
        for number in 0..<20000 as Range<UInt32> { #expect(store(table, number, session) == .stored) }
        #expect(table.count > 4000)
        #expect(find(table, 19999) == session)
        #expect(find(table, 0) == nil)
    }

    @Test func `refuses what is too long`() throws {
        #expect(try store(table(32768), 1, [UInt8](repeating: 0, count: 9000)) == .tooLong)
    }

    @Test func `believes nothing it finds in memory`() throws {
        let zone = try SharedZone("A", size: 32768, layout: TLSSessionTable.layout)
        let table = TLSSessionTable(zone)
        var random = SystemRandomNumberGenerator()
        for round in 0..<50 as Range<UInt32> {
            for index in 4..<zone.body.count { zone.body[index] = UInt8.random(in: 0...255, using: &random) }
            zone.body.storeBytes(of: UInt32.random(in: 0...40000), toByteOffset: 4, as: UInt32.self)
            _ = find(table, round)
            _ = store(table, round, [1, 2, 3])
            _ = table.count
        }
    }
}

@Suite struct `The ring of ticket keys` {
    private func name(_ key: TicketKey) -> [UInt8] { withUnsafeBytes(of: key.bytes) { Array($0.prefix(16)) } }

    private func find(_ ring: TicketKeyRing, _ name: [UInt8], now: Int) -> Bool? {
        name.withUnsafeBytes { ring.key(named: $0, now: now, timeout: 10)?.isOld }
    }

    @Test func `moves on one lifetime after the first use, and keeps old tickets readable`() throws {
        let zone = try SharedZone("A", size: TicketKeyRing.zoneSize, layout: TicketKeyRing.layout)
        let ring = try #require(TicketKeyRing(zone))
        let first = name(ring.current(now: 1000, timeout: 10))
        #expect(name(ring.current(now: 1010, timeout: 10)) == first)
        let second = name(ring.current(now: 1011, timeout: 10))
        #expect(second != first)
        #expect(find(ring, first, now: 1011) == true)
        #expect(find(ring, second, now: 1011) == false)
        // The first key was last used at 1010: its tickets live until 1020.
        #expect(find(ring, first, now: 1020) == true)
        #expect(name(ring.current(now: 1021, timeout: 10)) != second)
        #expect(find(ring, first, now: 1021) == nil)
        #expect(find(ring, second, now: 1021) == true)
    }

    @Test func `is the same for all who share the zone`() throws {
        let zone = try SharedZone("A", size: TicketKeyRing.zoneSize, layout: TicketKeyRing.layout)
        let one = try #require(TicketKeyRing(zone))
        let other = try #require(TicketKeyRing(zone))
        #expect(name(one.current(now: 5, timeout: 10)) == name(other.current(now: 5, timeout: 10)))
    }
}
