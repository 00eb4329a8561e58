import EventLoop
import Glibc
import Platform

/// What an old master and the new one it has started tell each other.
struct LinkMessage: Equatable {
    enum Kind: UInt8 {
        // From the new one.
        /// "All my workers accept."
        case serving = 1
        /// "I am about to start a new binary myself: give the name `.oldbin` away."
        case makeRoom = 2
        /// "That came to nothing: the name is yours again."
        case roomNotNeeded = 3
        // From the old one.
        case roomMade = 16
        case noRoom = 17
    }

    let kind: Kind

    init(_ kind: Kind) { self.kind = kind }

    init?(_ bytes: [UInt8]) {
        guard bytes.count == 1, let kind = Kind(rawValue: bytes[0]) else { return nil }
        self.kind = kind
    }

    var bytes: [UInt8] { [kind.rawValue] }
}

/// How a new binary is started.
enum UpgradeKind: Equatable {
    /// USR2 alone: both masters serve until the operator ends one (process-model.md 8.3, 8.4).
    case beside
    /// The whole dance: this master ends when the new one serves, and ends the new one if it does not.
    case whole

    /// What USR2 carries that asks for the whole dance.
    static var wholeValue: CInt { 0x4150_5553 }
}

/// The new master, as the old one sees it.
final class Successor {
    let process: CInt
    let link: Channel
    let kind: UpgradeKind
    /// It said that all its workers accept.
    var isServing = false
    /// Why this master has ended it; nil while it lives or when it ended by itself.
    var reasonOfEnd: String?
    var deadline: TimerHandle?

    init(process: CInt, link: Channel, kind: UpgradeKind) {
        (self.process, self.link, self.kind) = (process, link, kind)
    }
}

/// The old master, as the new one sees it.
final class Predecessor {
    let process: CInt
    /// nil when it is none of ours (nginx), or gone.
    var link: Channel?

    init(process: CInt) { self.process = process }

    /// It is our parent until it ends.
    var isAlive: Bool { process == getppid() }

    /// The control socket is its as well.
    var sharesControl: Bool { link != nil && isAlive }
}
