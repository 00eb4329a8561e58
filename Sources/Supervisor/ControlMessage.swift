/// What master and workers tell each other: one kind byte, one number in little-endian order, sometimes a descriptor.
struct ControlMessage: Equatable {
    enum Kind: UInt8 {
        // To a worker.
        case quit = 1
        case terminate = 2
        /// The logs are being opened anew.
        case reopening = 3
        /// The descriptor of the log file with this number comes along.
        case logFile = 4
        case reopened = 5
        // To the master.
        /// "I accept."
        case accepting = 16
        /// Somebody asked this worker to open its logs anew, which only the master can do.
        case pleaseReopen = 17
    }

    let kind: Kind
    let number: UInt32

    init(_ kind: Kind, _ number: UInt32 = 0) { (self.kind, self.number) = (kind, number) }

    init?(_ bytes: [UInt8]) {
        guard bytes.count == 5, let kind = Kind(rawValue: bytes[0]) else { return nil }
        self.kind = kind
        number = bytes[1...].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    var bytes: [UInt8] {
        [kind.rawValue] + (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) }
    }
}
