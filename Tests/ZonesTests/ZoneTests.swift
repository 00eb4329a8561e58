import Glibc
import Testing
import Zones

@Suite struct `Shared zones` {
    private let layout = ZoneLayout(use: "test", version: 1)

    @Test func `keep their contents over a reload with the same name, size and layout`() throws {
        let registry = ZoneRegistry()
        registry.begin()
        let first = try registry.zone("one", size: 65536, layout: layout)
        #expect(first.body.allSatisfy { $0 == 0 })
        first.body[100] = 7
        registry.commit()

        registry.begin()
        let second = try registry.zone("one", size: 65536, layout: layout)
        #expect(second === first)
        #expect(second.body[100] == 7)
    }

    @Test(arguments: [(32768, UInt32(1)), (65536, 2)])
    func `start empty, with a notice, when size or layout changed`(size: Int, version: UInt32) throws {
        var notices: [String] = []
        let registry = ZoneRegistry { notices.append($0) }
        let first = try registry.zone("one", size: 65536, layout: layout)
        first.body[100] = 7
        registry.commit()
        #expect(notices.isEmpty)

        registry.begin()
        let second = try registry.zone("one", size: size, layout: ZoneLayout(use: "test", version: version))
        #expect(second.body[100] == 0)
        #expect(notices == ["shared memory zone \"one\" starts empty: its size or layout changed"])

        registry.abandon()
        #expect(try registry.zone("one", size: 65536, layout: layout) === first)
    }

    @Test func `may not be declared twice in different ways`() throws {
        let registry = ZoneRegistry()
        _ = try registry.zone("Z", size: 65536, layout: layout)
        #expect(
            throws: ZoneError("the size 4096 of shared memory zone \"Z\" conflicts with already declared size 65536")
        ) { try registry.zone("Z", size: 4096, layout: layout) }
        #expect(throws: ZoneError("the shared memory zone \"Z\" is already declared for a different use")) {
            try registry.zone("Z", size: 65536, layout: ZoneLayout(use: "other", version: 1))
        }
    }

    @Test func `cannot be cut by one of those who share them`() throws {
        let zone = try SharedZone("a", size: 65536, layout: ZoneLayout(use: "test", version: 1))
        #expect(ftruncate(zone.descriptor, 0) == -1)
        #expect(errno == EPERM)
    }

    @Test func `are adopted by their header`() throws {
        let zone = try SharedZone("one", size: 8192, layout: layout)
        zone.body[0] = 9
        let adopted = try SharedZone(adopting: dup(zone.descriptor), name: "one", size: 8192, layout: layout)
        #expect(adopted.body[0] == 9)
        #expect(throws: ZoneError.self) {
            _ = try SharedZone(adopting: dup(zone.descriptor), name: "two", size: 8192, layout: layout)
        }
        #expect(throws: ZoneError.self) {
            _ = try SharedZone(adopting: dup(zone.descriptor), name: "one", size: 4096, layout: layout)
        }
    }
}
