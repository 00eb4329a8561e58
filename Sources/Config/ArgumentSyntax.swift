// The value grammars of the configuration language, for directives of one argument.

extension ArgumentSyntax where Value == Bool {
    /// `on` or `off`, any letter case.
    public static var flag: ArgumentSyntax<Bool> {
        ArgumentSyntax(placeholder: "on | off") { use, word throws(ConfigError) in
            guard let value = ConfigValue.flag(word.bytes) else {
                throw use.error(
                    "invalid value \"\(word.text)\" in \"\(use.name)\" directive, it must be \"on\" or \"off\"")
            }
            return value
        } print: {
            $0 ? "on" : "off"
        }
    }
}

extension ArgumentSyntax where Value == Int {
    /// Digits alone.
    public static var number: ArgumentSyntax<Int> {
        ArgumentSyntax(placeholder: "number", orSaying: "invalid number", ConfigValue.number) { String($0) }
    }

    /// Digits within bounds.
    public static func number(in bounds: ClosedRange<Int>) -> ArgumentSyntax<Int> {
        number.checked { use, value throws(ConfigError) in
            guard bounds.contains(value) else {
                throw use.error("value must be between \(bounds.lowerBound) and \(bounds.upperBound)")
            }
        }
    }

    /// Digits with a lower bound.
    public static func number(in bounds: PartialRangeFrom<Int>) -> ArgumentSyntax<Int> {
        number.checked { use, value throws(ConfigError) in
            guard bounds.contains(value) else {
                throw use.error("value must be equal to or greater than \(bounds.lowerBound)")
            }
        }
    }

    /// Bytes, with `k` or `m`.
    public static var size: ArgumentSyntax<Int> {
        ArgumentSyntax(placeholder: "size", orSaying: "invalid value", ConfigValue.size) {
            written($0, in: [("m", 1 << 20), ("k", 1 << 10)])
        }
    }

    /// Bytes, with `k`, `m` or `g`.
    public static var offset: ArgumentSyntax<Int> {
        ArgumentSyntax(placeholder: "size", orSaying: "invalid value", ConfigValue.offset) {
            written($0, in: [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)])
        }
    }

    private static func written(_ byteCount: Int, in units: [(name: String, size: Int)]) -> String {
        let unit = units.first { byteCount > 0 && byteCount.isMultiple(of: $0.size) }
        return unit.map { "\(byteCount / $0.size)\($0.name)" } ?? String(byteCount)
    }
}

extension ArgumentSyntax where Value == Duration {
    /// A time counted in milliseconds, as of all `*_timeout`.
    public static var time: ArgumentSyntax<Duration> {
        ArgumentSyntax(placeholder: "time", orSaying: "invalid value", { ConfigValue.time($0) }, print: \.written)
    }

    /// A time counted in seconds.
    public static var seconds: ArgumentSyntax<Duration> {
        ArgumentSyntax(placeholder: "time", orSaying: "invalid value", { ConfigValue.seconds($0) }, print: \.written)
    }
}

extension ArgumentSyntax where Value == String {
    /// Any word, as text.
    public static var string: ArgumentSyntax<String> { string("string") }

    /// Any word, as text; the placeholder says what it names: `file`, `name`.
    public static func string(_ placeholder: String) -> ArgumentSyntax<String> {
        ArgumentSyntax(placeholder: placeholder) { _, word in
            word.text
        } print: {
            Word($0).written
        }
    }
}

extension ArgumentSyntax where Value == [UInt8] {
    /// Any word, as bytes.
    public static var word: ArgumentSyntax<[UInt8]> { word("string") }

    /// Any bytes.
    ///
    /// - Parameter placeholder: The argument as the manual shows it.
    public static func word(_ placeholder: String) -> ArgumentSyntax<[UInt8]> {
        ArgumentSyntax(placeholder: placeholder) { _, word in
            word.bytes
        } print: {
            Word($0).written
        }
    }
}

extension ArgumentSyntax where Value: Equatable {
    /// One of the listed names, any letter case. The first name of a value is the one that is printed.
    public static func choice(_ values: [(name: String, value: Value)]) -> ArgumentSyntax<Value> {
        ArgumentSyntax(placeholder: values.map(\.name).joined(separator: " | ")) { use, word throws(ConfigError) in
            guard let chosen = values.first(where: { word.spells($0.name) }) else {
                throw use.error("invalid value \"\(word.text)\"")
            }
            return chosen.value
        } print: { value in
            values.first { $0.value == value }?.name
        }
    }
}

extension ArgumentSyntax {
    /// What is not set unless the directive is used; it has no default to print.
    public static func optional<Wrapped>(_ syntax: ArgumentSyntax<Wrapped>) -> ArgumentSyntax<Wrapped?>
    where Value == Wrapped? {
        ArgumentSyntax<Wrapped?>(placeholder: syntax.placeholder) { use, word throws(ConfigError) in
            try syntax.parse(use, word)
        } print: { value in
            value.flatMap(syntax.print)
        }
    }

    /// The same grammar with one more condition, which throws where it is not met.
    public func checked(
        _ check: @escaping (borrowing DirectiveUse, Value) throws(ConfigError) -> Void
    ) -> ArgumentSyntax<Value> {
        let parse = self.parse
        return ArgumentSyntax(placeholder: placeholder) { use, word throws(ConfigError) in
            let value = try parse(use, word)
            try check(use, value)
            return value
        } print: { [print] in
            print($0)
        }
    }

    /// A grammar whose errors are all told by one phrase: `"NAME" directive PHRASE`.
    init(
        placeholder: String, orSaying phrase: String, _ read: @escaping ([UInt8]) -> Value?,
        print: @escaping (Value) -> String
    ) {
        self.init(placeholder: placeholder) { use, word throws(ConfigError) in
            guard let value = read(word.bytes) else { throw use.phrase(phrase) }
            return value
        } print: {
            print($0)
        }
    }
}
