/// The value grammars of the language on plain bytes, for readers that find values inside their words
/// (`valid=30s`, `backlog=511`). All answer nil to what the grammar or 63 bits do not admit.
package enum ConfigValue {
    /// ASCII digits alone: no sign, no blank; leading zeros are fine.
    package static func number(_ text: some Collection<UInt8>) -> Int? {
        var total: Int?
        for byte in text {
            guard let next = appending(byte, to: total ?? 0) else { return nil }
            total = next
        }
        return total
    }

    /// Digits with `k` or `m` (any case), in bytes.
    package static func size(_ text: some BidirectionalCollection<UInt8>) -> Int? {
        scaled(text) { unit in
            switch unit {
            case UInt8(ascii: "k"): 1 << 10
            case UInt8(ascii: "m"): 1 << 20
            default: nil
            }
        }
    }

    /// A size that may also be given in `g`.
    package static func offset(_ text: some BidirectionalCollection<UInt8>) -> Int? {
        scaled(text) { unit in
            switch unit {
            case UInt8(ascii: "k"): 1 << 10
            case UInt8(ascii: "m"): 1 << 20
            case UInt8(ascii: "g"): 1 << 30
            default: nil
            }
        }
    }

    /// `on` or `off`, any case.
    package static func flag(_ text: [UInt8]) -> Bool? {
        let word = Word(text)
        return word.spells("on") ? true : word.spells("off") ? false : nil
    }

    private static func scaled(_ text: some BidirectionalCollection<UInt8>, by unit: (UInt8) -> Int?) -> Int? {
        guard let last = text.last else { return nil }
        guard let factor = unit(last.lowercasedASCII) else { return number(text) }
        return number(text.dropLast()).flatMap { product($0, factor) }
    }

    /// `number` with one more digit.
    static func appending(_ digit: UInt8, to number: Int) -> Int? {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
        return product(number, 10).flatMap { sum($0, Int(digit - UInt8(ascii: "0"))) }
    }

    static func product(_ one: Int, _ other: Int) -> Int? {
        let (result, overflow) = one.multipliedReportingOverflow(by: other)
        return overflow ? nil : result
    }

    static func sum(_ one: Int, _ other: Int) -> Int? {
        let (result, overflow) = one.addingReportingOverflow(other)
        return overflow ? nil : result
    }
}
