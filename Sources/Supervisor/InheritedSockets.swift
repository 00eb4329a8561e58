import Glibc
import Observability
import Platform

/// Listening sockets that another master handed over through the environment: `APUS=5;6;`, or `NGINX` likewise.
struct InheritedSockets {
    static var variables: [String] { ["APUS", "NGINX"] }

    /// What stands in the variable: descriptors, and what could not be read.
    struct Parsed: Equatable {
        var numbers: [CInt] = []
        var problem: String?
    }

    /// Reads numbers, each followed by `;` or `:` (process-model.md 8.2).
    static func parse(_ text: String, variable: String) -> Parsed {
        var parsed = Parsed()
        var rest = Substring(text)
        while let end = rest.firstIndex(where: { $0 == ";" || $0 == ":" }) {
            let digits = rest[..<end]
            let isNumber = !digits.isEmpty && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
            guard isNumber, let number = CInt(digits) else {
                parsed.problem =
                    "invalid socket number \"\(rest)\" in \(variable) environment variable, ignoring the rest of the "
                    + "variable"
                return parsed
            }
            parsed.numbers.append(number)
            rest = rest[rest.index(after: end)...]
        }
        if !rest.isEmpty {
            parsed.problem = "invalid socket number \"\(rest)\" in \(variable) environment variable, ignoring"
        }
        return parsed
    }

    /// The sockets named by the environment; nil where no variable is set. Nothing that is wrong with one is fatal.
    static func take(log: Log) -> Inheritance? {
        let state = HandedState.take(log: log)
        defer { for variable in variables { unsetenv(variable) } }
        for variable in variables {
            guard let text = Process.environmentValue(variable) else { continue }
            log.write(.notice, "using inherited sockets from \"\(text)\"")
            let parsed = parse(text, variable: variable)
            if let problem = parsed.problem { log.write(.emergency, problem) }
            var inheritance = Inheritance(isFromNginx: variable == "NGINX")
            if let state, variable == "APUS" { inheritance.state = state }
            let activated = inheritance.state.activated
            // A number that stands there twice is one socket, which would be closed as the one that is left over.
            var seen: Set<CInt> = []
            inheritance.sockets = parsed.numbers.filter { seen.insert($0).inserted }.compactMap {
                adopt($0, isActivated: activated[$0] != nil, name: activated[$0] ?? "", log: log)
            }
            return inheritance
        }
        return nil
    }

    static func adopt(_ number: CInt, isActivated: Bool, name: String, log: Log) -> ListeningSocket? {
        do throws(SystemError) {
            guard let address = try ListeningCalls.address(of: number) else {
                log.write(.critical, "the inherited socket #\(number) has an unsupported protocol family")
                return nil
            }
            ListeningCalls.adopt(number)
            return ListeningSocket(
                owning: number, address: address, text: address.text,
                isMultipath: ListeningCalls.isMultipath(number), backlog: 511, isActivated: isActivated,
                name: name)
        } catch {
            log.write(
                .critical, errno: error.errno, "getsockname() of the inherited socket #\(number) failed")
            return nil
        }
    }
}

/// What another master has left to this one.
struct Inheritance {
    let isFromNginx: Bool
    var sockets: [ListeningSocket] = []
    var state = HandedState()
    /// UNIX sockets that the configuration does not name: closed, but their files are still in use by the old master.
    var abandoned: [ListeningSocket] = []

    init(isFromNginx: Bool) { self.isFromNginx = isFromNginx }
}
