import Config
import Testing

@Suite struct `Values on plain bytes` {
    @Test(
        arguments: [
            ("1", 1000), ("0", 0), ("00", 0), ("1ms", 1), ("1h30m", 5_400_000), ("1h 30m", 5_400_000),
            ("1m1ms", 60_001),
            ("1h30", 3_630_000), ("1m30", 90_000), ("1ms1", 1001), ("1s1", 2000), ("1ms500", 500_001), ("1 ", 1000),
            ("1s ", 1000), ("1 1", 2000), (" 1", 1000), ("1m s", 60_000), ("60s", 60_000), ("1m", 60_000),
            ("1m30s", 90_000), ("500ms", 500), ("24h", 86_400_000), ("90", 90_000), ("1w2d", 777_600_000),
            ("9223372036854775807ms", Int.max), ("9223372036854775", 9_223_372_036_854_775_000),
        ])
    func milliseconds(text: String, expected: Int) {
        #expect(ConfigValue.time(text.utf8) == .milliseconds(expected))
    }

    @Test(
        arguments: [
            "", "s", "ms", "1S", "1.5s", "30m1h", "1h1h", "1ms1s", "1 30m", "5 s", "1h30 s", "-1", "1M", "1y", "1m1M",
            "30s1m", "1x", "-5", "+1", "1H", "1 1 1", "1s 1 ", "9223372036854775808ms", "9223372036854776",
            "99999999999999999999", "15250284452472w", " ",
        ])
    func `no milliseconds`(text: String) { #expect(ConfigValue.time(text.utf8) == nil) }

    @Test(
        arguments: [
            ("1", 1), ("1y", 31_536_000), ("1M", 2_592_000), ("1y1M1w1d1h1m1s", 31_536_000 + 2_592_000 + 694_861),
            ("30s", 30), ("1h30", 3630), ("1m s", 60), ("9223372036854775807", Int.max),
        ])
    func seconds(text: String, expected: Int) { #expect(ConfigValue.seconds(text.utf8) == .seconds(expected)) }

    @Test(arguments: ["", "1ms", "1M1y", "1y1y", "1m1M", "s", "9223372036854775808", "292471208678y", "1 1m"])
    func `no seconds`(text: String) { #expect(ConfigValue.seconds(text.utf8) == nil) }

    @Test(
        arguments: [
            ("0", 0), ("007", 7), ("9223372036854775807", Int.max), ("9223372036854775808", nil), ("", nil),
            ("-1", nil),
            ("+1", nil), (" 1", nil), ("1a", nil),
        ] as [(String, Int?)])
    func numbers(text: String, expected: Int?) { #expect(ConfigValue.number(text.utf8) == expected) }

    @Test(
        arguments: [
            ("0", 0, 0), ("10", 10, 10), ("1k", 1024, 1024), ("1K", 1024, 1024), ("2m", 2 << 20, 2 << 20),
            ("2M", 2 << 20, 2 << 20), ("1g", nil, 1 << 30), ("1G", nil, 1 << 30), ("k", nil, nil), ("", nil, nil),
            ("1kb", nil, nil), ("1 k", nil, nil), ("8796093022208m", nil, nil),
            ("8796093022207m", 8_796_093_022_207 << 20, 8_796_093_022_207 << 20),
        ] as [(String, Int?, Int?)])
    func sizes(text: String, size: Int?, offset: Int?) {
        #expect(ConfigValue.size(text.utf8) == size)
        #expect(ConfigValue.offset(text.utf8) == offset)
    }

    @Test(arguments: [("on", true), ("OFF", false), ("On", true), ("yes", nil), ("", nil)] as [(String, Bool?)])
    func flags(text: String, expected: Bool?) { #expect(ConfigValue.flag(Array(text.utf8)) == expected) }

    @Test(arguments: [0, 1, 999, 1000, 59_000, 60_000, 120_000, 90_000, 3_600_000, 86_400_000, 172_800_000, Int.max])
    func `printed times read back`(milliseconds: Int) throws {
        let duration = Duration.milliseconds(milliseconds)
        let printed = try #require(ArgumentSyntax.time.print(duration))
        #expect(ConfigValue.time(printed.utf8) == duration)
        let longest = try #require(ArgumentSyntax.seconds.print(.seconds(Int.max)))
        #expect(ConfigValue.seconds(longest.utf8) == .seconds(Int.max))
    }

    @Test func `times are printed as the manual of nginx has them`() {
        let printed = [60_000, 300_000, 3_600_000, 86_400_000, 500, 0].map {
            ArgumentSyntax.time.print(.milliseconds($0))
        }
        #expect(printed == ["60s", "5m", "1h", "24h", "500ms", "0"])
    }

    @Test(arguments: [0, 1, 1023, 1024, 8192, 1 << 20, 3 << 30, Int.max])
    func `printed sizes read back`(size: Int) throws {
        #expect(ConfigValue.size(try #require(ArgumentSyntax.size.print(size)).utf8) == size)
        #expect(ConfigValue.offset(try #require(ArgumentSyntax.offset.print(size)).utf8) == size)
    }
}
