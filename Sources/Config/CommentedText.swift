/// A text that is copied, and comments that come in between: each on lines of its own, as deep as the line it stands at.
struct CommentedText {
    static var width: Int { 100 }

    private(set) var bytes: [UInt8] = []
    /// The last thing was a comment, whose line is still open.
    private var isInComment = false

    mutating func append(_ text: some Sequence<UInt8>) {
        var text = Array(text)
        if isInComment {
            text = Array(text.drop { $0.isBlank })
            guard let first = text.first else { return }
            if first != .lineFeed, first != .carriageReturn { startLine() }
            isInComment = false
        }
        if text.first == .lineFeed, isAtLineStart { bytes.removeLast(indentation.count) }
        bytes += text
    }

    /// Blanks and comments of a file whose statements are to begin `indentation` deep.
    mutating func append(_ text: ArraySlice<UInt8>, indentedBy indentation: [UInt8]) {
        var indented: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            indented.append(byte)
            if byte == .lineFeed, rest.first != .lineFeed, rest.first != .carriageReturn { indented += indentation }
        }
        append(indented)
    }

    /// Lines as they are.
    mutating func comment(_ lines: [[UInt8]]) {
        for line in lines {
            if isInComment || !isAtLineStart { startLine() }
            bytes += Array((line.isEmpty ? "#" : "# ").utf8) + line
            isInComment = true
        }
    }

    /// Text that is broken into lines; `bullet` stands before the first, the others are indented further.
    mutating func comment(_ text: String, bullet: String = "") {
        let room = max(40, Self.width - indentation.count - 2)
        comment(Self.lines(of: text, width: room, bullet: bullet).map { Array($0.utf8) })
    }

    mutating func endLine() {
        if isInComment || !(bytes.isEmpty || bytes.last == .lineFeed) { bytes.append(.lineFeed) }
        isInComment = false
    }

    /// What the current line begins with.
    var indentation: [UInt8] {
        let start = (bytes.lastIndex(of: .lineFeed) ?? -1) + 1
        return Array(bytes[start...].prefix { $0.isBlank })
    }

    private var isAtLineStart: Bool {
        let start = (bytes.lastIndex(of: .lineFeed) ?? -1) + 1
        return bytes[start...].allSatisfy { $0.isBlank }
    }

    private mutating func startLine() {
        let indentation = indentation
        while let last = bytes.last, last.isBlank { bytes.removeLast() }
        bytes.append(.lineFeed)
        bytes += indentation
    }

    private static func lines(of text: String, width: Int, bullet: String) -> [String] {
        let hanging = bullet.isEmpty ? "" : String(repeating: " ", count: bullet.count + 2)
        var lines: [String] = []
        var line = bullet
        for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            let isFirst = line == bullet || line == hanging
            if !isFirst, line.count + 1 + word.count > width {
                lines.append(line)
                line = hanging + word
            } else {
                line += isFirst ? word : " " + word
            }
        }
        return lines + [line]
    }
}

extension UInt8 {
    fileprivate var isBlank: Bool { self == .space || self == .tab }
}
