// Times: `60s`, `1h30m`, `500ms`. Two flavours: in milliseconds (`ms`, but no `y` and `M`) and in seconds.

extension ConfigValue {
    /// A time of the directives that count milliseconds, such as all `*_timeout`.
    package static func time(_ text: some Collection<UInt8>) -> Duration? {
        TimeReader.total(of: text, in: .milliseconds).map { .milliseconds($0) }
    }

    /// A time of the directives that count seconds, such as `valid=`.
    package static func seconds(_ text: some Collection<UInt8>) -> Duration? {
        TimeReader.total(of: text, in: .seconds).map { .seconds($0) }
    }
}

/// Adds up the groups of digits and units of a time, each unit smaller than those before.
private struct TimeReader {
    enum Flavour { case milliseconds, seconds }

    /// The last unit seen; a group of a later step may follow, never one of the same or an earlier.
    enum Step: Int { case start, year, month, week, day, hour, minute, second, millisecond, blank }

    let flavour: Flavour
    var step: Step
    var total = 0
    var value = 0
    var hasDigits = false

    static func total(of text: some Collection<UInt8>, in flavour: Flavour) -> Int? {
        // Years and months cannot follow what counts as a month already: milliseconds have neither.
        var reader = TimeReader(flavour: flavour, step: flavour == .seconds ? .start : .month)
        var rest = Array(text)[...]
        while let byte = rest.popFirst() {
            guard reader.take(byte, before: &rest) else { return nil }
        }
        return reader.hasDigits ? reader.sum(withGroupOf: reader.unit(seconds: 1)) : nil
    }

    /// Takes a digit or a unit; false where it may not stand.
    private mutating func take(_ byte: UInt8, before rest: inout ArraySlice<UInt8>) -> Bool {
        if let next = ConfigValue.appending(byte, to: value) {
            value = next
            hasDigits = true
            return true
        }
        let isMillisecond = byte == UInt8(ascii: "m") && rest.first == UInt8(ascii: "s")
        if isMillisecond { rest = rest.dropFirst() }
        guard let (new, scale) = isMillisecond ? millisecond : unit(of: byte), follows(new) else { return false }
        guard let sum = sum(withGroupOf: scale) else { return false }
        (step, total, value) = (new, sum, 0)
        rest = rest.drop { $0 == .space }
        return true
    }

    private var millisecond: (Step, Int)? { flavour == .milliseconds ? (.millisecond, 1) : nil }

    private func unit(of byte: UInt8) -> (Step, Int)? {
        switch byte {
        case UInt8(ascii: "y"): (.year, unit(seconds: 365 * 86400))
        case UInt8(ascii: "M"): (.month, unit(seconds: 30 * 86400))
        case UInt8(ascii: "w"): (.week, unit(seconds: 7 * 86400))
        case UInt8(ascii: "d"): (.day, unit(seconds: 86400))
        case UInt8(ascii: "h"): (.hour, unit(seconds: 3600))
        case UInt8(ascii: "m"): (.minute, unit(seconds: 60))
        case UInt8(ascii: "s"): (.second, unit(seconds: 1))
        case .space: (.blank, unit(seconds: 1))
        default: nil
        }
    }

    /// Digits with a blank behind them are seconds, so they follow nothing finer than minutes.
    private func follows(_ new: Step) -> Bool {
        new == .blank ? step.rawValue < Step.second.rawValue : step.rawValue < new.rawValue
    }

    private func unit(seconds: Int) -> Int { flavour == .milliseconds ? seconds * 1000 : seconds }

    private func sum(withGroupOf scale: Int) -> Int? {
        ConfigValue.product(value, scale).flatMap { ConfigValue.sum(total, $0) }
    }
}

extension Duration {
    /// The time as the configuration would say it, in the largest unit that makes it a whole number.
    ///
    /// A minute is `60s` and a day `24h`, as nginx's manual has them.
    var written: String {
        let (whole, isHuge) = components.seconds.multipliedReportingOverflow(by: 1000)
        let (milliseconds, overflow) = whole.addingReportingOverflow(components.attoseconds / 1_000_000_000_000_000)
        if isHuge || overflow { return "\(components.seconds)s" }
        if milliseconds == 0 { return "0" }
        for (unit, size, least) in [("d", 86_400_000, 2), ("h", 3_600_000, 1), ("m", 60_000, 2), ("s", 1000, 1)]
        where milliseconds % Int64(size) == 0 && milliseconds / Int64(size) >= least {
            return "\(milliseconds / Int64(size))\(unit)"
        }
        return "\(milliseconds)ms"
    }
}
