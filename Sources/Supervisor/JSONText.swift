/// JSON as the control socket speaks it (RFC 8259): strings, whole numbers, flags, lists and objects.
indirect enum JSONText: Equatable {
    case string(String), number(Int), flag(Bool), null
    case list([JSONText])
    /// In the order they are written.
    case object([(name: String, value: JSONText)])

    static func == (one: JSONText, other: JSONText) -> Bool { one.text == other.text }

    var text: String {
        switch self {
        case .string(let text): Self.quoted(text)
        case .number(let number): String(number)
        case .flag(let flag): flag ? "true" : "false"
        case .null: "null"
        case .list(let items): "[" + items.map(\.text).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\(Self.quoted($0.name)):\($0.value.text)" }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    /// The members of an object, the last of equal names; nil for anything else.
    var members: [String: JSONText]? {
        guard case .object(let members) = self else { return nil }
        return Dictionary(members) { _, last in last }
    }

    /// Reads an object of at most four levels.
    ///
    /// - Returns: nil for anything else, numbers with fractions included.
    init?(object bytes: [UInt8]) {
        var reader = Reader(bytes: bytes)
        guard let object = reader.whole() else { return nil }
        self = object
    }

    private struct Reader {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

        private mutating func skipSpace() {
            while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { index += 1 }
        }

        private mutating func take(_ character: Character) -> Bool {
            skipSpace()
            guard next == character.asciiValue else { return false }
            index += 1
            return true
        }

        mutating func whole() -> JSONText? {
            guard take("{"), let object = object(levels: 3) else { return nil }
            skipSpace()
            return index == bytes.count ? object : nil
        }

        /// Behind the opening brace.
        private mutating func object(levels: Int) -> JSONText? {
            var members: [(name: String, value: JSONText)] = []
            if take("}") { return .object(members) }
            repeat {
                guard take("\""), let name = string(), take(":"), let value = value(levels: levels) else { return nil }
                members.append((name, value))
            } while take(",")
            return take("}") ? .object(members) : nil
        }

        /// Behind the opening bracket.
        private mutating func list(levels: Int) -> JSONText? {
            var items: [JSONText] = []
            if take("]") { return .list(items) }
            repeat {
                guard let value = value(levels: levels) else { return nil }
                items.append(value)
            } while take(",")
            return take("]") ? .list(items) : nil
        }

        private mutating func value(levels: Int) -> JSONText? {
            if take("\"") { return string().map { .string($0) } }
            if take("{") { return levels > 0 ? object(levels: levels - 1) : nil }
            if take("[") { return levels > 0 ? list(levels: levels - 1) : nil }
            let start = index
            while let byte = next, ![0x2C, 0x7D, 0x5D].contains(byte), byte > 0x20 { index += 1 }
            let word = String(decoding: bytes[start..<index], as: UTF8.self)
            switch word {
            case "true": return .flag(true)
            case "false": return .flag(false)
            case "null": return .null
            default: return Int(word).map { .number($0) }
            }
        }

        /// Behind the opening quote.
        private mutating func string() -> String? {
            var text: [UInt8] = []
            while let byte = next {
                index += 1
                switch byte {
                case 0x22: return String(validating: text, as: UTF8.self)
                case 0x5C:
                    guard let escaped = escape() else { return nil }
                    text += escaped
                case 0..<0x20: return nil
                default: text.append(byte)
                }
            }
            return nil
        }

        private mutating func escape() -> [UInt8]? {
            guard let byte = next else { return nil }
            index += 1
            switch byte {
            case 0x22, 0x5C, 0x2F: return [byte]
            case 0x6E: return [0x0A]
            case 0x74: return [0x09]
            case 0x72: return [0x0D]
            case 0x75:
                guard bytes.count - index >= 4 else { return nil }
                let digits = String(decoding: bytes[index..<(index + 4)], as: UTF8.self)
                index += 4
                // Halves of a pair are not needed by any command.
                guard let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) else { return nil }
                return Array(String(scalar).utf8)
            default: return nil
            }
        }
    }
}
