/// All directives by name, as the loader looks them up.
struct DirectiveIndex {
    enum Entry {
        case simple(AnyDirective), block(BlockDirective)

        var name: String {
            switch self {
            case .simple(let directive): directive.name
            case .block(let block): block.name
            }
        }

        var contexts: Contexts {
            switch self {
            case .simple(let directive): directive.contexts
            case .block(let block): block.contexts
            }
        }
    }

    enum Finding { case found(Entry), notAllowedHere, unknown(hint: String?) }

    private var entries: [String: [Entry]] = [:]

    init(_ directives: [AnyDirective], _ blocks: [BlockDirective]) {
        for directive in directives { entries[directive.name, default: []].append(.simple(directive)) }
        for block in blocks { entries[block.name, default: []].append(.block(block)) }
    }

    /// The first directive registered under this name that the context admits.
    func find(_ name: String, in context: Contexts) -> Finding {
        guard let candidates = entries[name] else { return .unknown(hint: hint(for: name, in: context)) }
        return candidates.first { $0.contexts.contains(context) }.map { .found($0) } ?? .notAllowedHere
    }

    private func hint(for name: String, in context: Contexts) -> String? {
        nearest(to: name, in: context).map { "did you mean \"\($0)\"?" }
    }

    /// The admitted name with the fewest typing errors between it and `name`: at most two, and in less
    /// than half of the letters. Among equals the first in the alphabet.
    private func nearest(to name: String, in context: Contexts) -> String? {
        let written = Array(name.utf8)
        let limit = min(2, (written.count - 1) / 2)
        let admitted = entries.values.joined().filter { $0.contexts.contains(context) }.map(\.name)
        let distances = admitted.compactMap { known in
            editDistance(written, Array(known.utf8), atMost: limit).map { ($0, known) }
        }
        return distances.min { $0 < $1 }?.1
    }
}

/// How many letters have to be added, dropped or changed to make one word the other (Levenshtein); nil if more
/// than `limit`.
func editDistance(_ one: [UInt8], _ other: [UInt8], atMost limit: Int) -> Int? {
    guard abs(one.count - other.count) <= limit else { return nil }
    // The distances from the letters of `one` read so far to each beginning of `other`.
    var row = Array(0...other.count)
    for (index, letter) in one.enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for (column, otherLetter) in other.enumerated() {
            let changed = diagonal + (letter == otherLetter ? 0 : 1)
            diagonal = row[column + 1]
            row[column + 1] = min(changed, diagonal + 1, row[column] + 1)
        }
    }
    return row[other.count] <= limit ? row[other.count] : nil
}
