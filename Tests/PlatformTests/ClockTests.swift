import Platform
import Testing

@Suite struct `Durations in milliseconds` {
    @Test(
        arguments: [
            (.zero, 0), (.nanoseconds(999_999), 0), (.milliseconds(1), 1), (.seconds(60), 60_000), (.seconds(-3), 0),
            (.milliseconds(1500), 1500), (.seconds(86_400 * 365), 31_536_000_000),
        ] as [(Duration, UInt64)])
    func `are whole and never negative`(duration: Duration, expected: UInt64) {
        #expect(duration.milliseconds == expected)
    }

    @Test func `have no end that traps`() {
        for duration in [Duration.seconds(Int64.max), .seconds(Int64.max) * 10, .seconds(1 << 51)] {
            #expect(duration.milliseconds == UInt64.max / 2)
        }
        #expect((Duration.seconds(Int64.min) * 10).milliseconds == 0)
    }
}
