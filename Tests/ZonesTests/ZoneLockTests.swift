import CLinux
import Glibc
import Testing
import Zones

@Suite struct `The lock of a zone` {
    /// Runs `body` in a child process and waits for it to be gone.
    private func inChild(_ body: () -> Void) -> CInt {
        let child = fork()
        if child == 0 {
            body()
            _exit(0)
        }
        var status: CInt = 0
        _ = waitpid(child, &status, 0)
        return status
    }

    @Test func `is freed when its holder died, and says so`() throws {
        let zone = try SharedZone("lock", size: 4096, layout: ZoneLayout(use: "test", version: 1))
        let lock = zone.body.baseAddress!.bindMemory(to: ZoneLock.self, capacity: 1)
        #expect(inChild { _ = lock.pointee.acquire() } == 0)

        var resets = 0
        #expect(lock.pointee.with(reset: { resets += 1 }) { 5 } == 5)
        #expect(resets == 1)
        #expect(lock.pointee.acquire() == .acquired)
        lock.pointee.release()
    }

    @Test func `is not taken from a living holder`() throws {
        let zone = try SharedZone("lock", size: 4096, layout: ZoneLayout(use: "test", version: 1))
        let lock = zone.body.baseAddress!.bindMemory(to: ZoneLock.self, capacity: 1)
        #expect(lock.pointee.acquire() == .acquired)
        let status = inChild { _exit(lock.pointee.acquire() == .busy ? 3 : 4) }
        #expect(linux_wait_exit_code(status) == 3)
        lock.pointee.release()
    }
}
