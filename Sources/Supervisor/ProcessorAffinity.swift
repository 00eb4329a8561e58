import Config
import Platform

/// Which CPUs each worker may run on.
package struct ProcessorAffinity: Equatable, Sendable {
    /// One flag for each CPU, CPU 0 first.
    typealias Mask = [Bool]
    private static var mostProcessors: Int { 1024 }

    /// Each worker is bound to one CPU of the one mask.
    let isAutomatic: Bool
    let masks: [Mask]

    init(isAutomatic: Bool, masks: [Mask]) { (self.isAutomatic, self.masks) = (isAutomatic, masks) }

    init(parsing use: borrowing DirectiveUse) throws(ConfigError) {
        isAutomatic = use.arguments[0].text == "auto"
        guard !isAutomatic || use.arguments.count <= 2 else {
            throw use.error("invalid number of arguments in \"worker_cpu_affinity\" directive")
        }
        var masks: [Mask] = []
        for word in use.arguments.dropFirst(isAutomatic ? 1 : 0) { masks.append(try Self.mask(word, use)) }
        self.masks = masks.isEmpty ? [Mask(repeating: true, count: Process.processorCount)] : masks
    }

    private static func mask(_ word: Word, _ use: borrowing DirectiveUse) throws(ConfigError) -> Mask {
        guard word.bytes.count <= mostProcessors else {
            throw use.error("\"worker_cpu_affinity\" supports up to \(mostProcessors) CPUs only")
        }
        var mask: Mask = []
        for byte in word.bytes.reversed() where byte != 0x20 {
            guard byte == 0x30 || byte == 0x31 else {
                let character = String(decoding: [byte], as: UTF8.self)
                throw use.error("invalid character \"\(character)\" in \"worker_cpu_affinity\"")
            }
            mask.append(byte == 0x31)
        }
        return mask
    }

    /// The CPUs of worker `index`; nil where it is not bound.
    func processors(ofWorker index: Int) -> Mask? {
        guard let last = masks.last else { return nil }
        guard isAutomatic else { return index < masks.count ? masks[index] : last }
        let candidates = last.indices.filter { last[$0] }
        guard !candidates.isEmpty else { return nil }
        let chosen = candidates[index % candidates.count]
        return last.indices.map { $0 == chosen }
    }

    /// Several masks, but not one for each worker.
    func mismatches(workerCount: Int) -> Bool { !isAutomatic && masks.count > 1 && masks.count != workerCount }
}
