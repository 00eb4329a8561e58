import ApusMail

/// One command line (RFC 5321 §2.4): a word and its arguments, as places in the line.
struct Command {
    let word: CommandWord
    let arguments: [Range<Int>]
    /// Where the last byte that is no space ends.
    let end: Int

    /// - Parameter line: The line without its end; nil when it is no command.
    init?(_ line: Span<UInt8>) {
        let wordEnd = line.firstIndex(of: 0x20) ?? line.count
        guard let word = CommandWord(line.extracting(0..<wordEnd)),
            let arguments = Words.ranges(of: line, from: wordEnd)
        else { return nil }
        self.word = word
        self.arguments = arguments
        end = arguments.last?.upperBound ?? wordEnd
    }
}

/// A line of an AUTH exchange (RFC 4954 §4). Its first word, an empty one too, is the response; more are ignored.
struct ResponseLine {
    let response: Range<Int>

    /// - Parameter line: The line without its end; nil when the parser refuses it.
    init?(_ line: Span<UInt8>) {
        let end = line.firstIndex(of: 0x20) ?? line.count
        guard let more = Words.ranges(of: line, from: end), more.count < Words.limit else { return nil }
        response = 0..<end
    }
}

/// Words between spaces.
private enum Words {
    /// The most arguments a command may have.
    static var limit: Int { 11 }

    /// nil when there are too many, or a CR is among them: it may only stand before the LF (RFC 5321 §2.3.8).
    static func ranges(of line: Span<UInt8>, from start: Int) -> [Range<Int>]? {
        guard line.firstIndex(of: 0x0D) == nil else { return nil }
        var ranges: [Range<Int>] = []
        var position = start
        while position < line.count {
            if line[position] == 0x20 {
                position += 1
                continue
            }
            guard ranges.count < limit else { return nil }
            let end = line.firstIndex(of: 0x20, from: position) ?? line.count
            ranges.append(position..<end)
            position = end
        }
        return ranges
    }
}
