/// A flag of older versions of nginx that has become a parameter of another directive.
package struct FormerFlag: Sendable {
    package let name: String
    package let directive: String
    package let parameter: String

    package init(_ name: String, now directive: String, _ parameter: String) {
        (self.name, self.directive, self.parameter) = (name, directive, parameter)
    }
}

extension WrittenConfiguration {
    /// The directives that need the parameter: those of each `server` block that the flag holds for.
    func pieces(thatNeed flag: FormerFlag) -> [Int] {
        let everywhere = flagValue(flag, in: pieces.indices, of: .mail) ?? false
        return pieces.indices.flatMap { start -> [Int] in
            let block = serverBlock(at: start)
            guard flagValue(flag, in: block, of: .server) ?? everywhere else { return [] }
            return block.filter { index in
                guard case .simple(let statement, _) = pieces[index], statement.name == flag.directive else {
                    return false
                }
                return !statement.arguments.contains { $0.text == flag.parameter }
            }
        }
    }

    /// nil where it is not set.
    private func flagValue(_ flag: FormerFlag, in range: Range<Int>, of context: Contexts) -> Bool? {
        for piece in pieces[range] {
            guard case .unknown(let statement, _) = piece, statement.name == flag.name, statement.context == context
            else {
                continue
            }
            return statement.arguments.first?.spells("on") ?? false
        }
        return nil
    }

    /// What is in the `server` block that begins there; empty for any other piece.
    func serverBlock(at start: Int) -> Range<Int> {
        guard case .opening(_, let block) = pieces[start], block.body == .server else { return start..<start }
        let end = pieces[start...].firstIndex { if case .closing = $0 { true } else { false } }
        return start + 1..<(end ?? pieces.endIndex)
    }
}
