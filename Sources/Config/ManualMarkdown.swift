extension Manual {
    /// The manual as Markdown, to be read with the sources.
    package var markdown: String {
        let head = "# Configuration of Apus\n\nPrinted by `apus` from the declarations of its directives.\n"
        let sections =
            chapters.map { Self.markdown(of: $0) } + tables.map { Self.markdown(of: $0) }
            + (differences.isEmpty ? [] : [differencesTable])
        return ([head] + sections).joined(separator: "\n")
    }

    private var differencesTable: String {
        "## Differences from nginx\n\n" + Self.table(("nginx", "Apus"), differences.map { ($0.nginx, $0.apus) })
    }

    private static func markdown(of table: ManualTable) -> String {
        "## \(escaped(table.title))\n\n\(escaped(table.introduction))\n\n"
            + self.table(table.columns, table.rows.map { ($0.term, $0.meaning) })
    }

    private static func table(_ columns: (String, String), _ rows: [(String, String)]) -> String {
        "| \(columns.0) | \(columns.1) |\n|---|---|\n" + rows.map { "| \(cell($0.0)) | \(cell($0.1)) |\n" }.joined()
    }

    /// A bar would end the cell, in a code span too.
    private static func cell(_ text: String) -> String {
        escaped(text).replacing("|", with: "\\|").replacing("\n", with: " ")
    }

    private static func markdown(of chapter: Chapter) -> String {
        (["## \(escaped(chapter.title))\n"] + chapter.entries.map { markdown(of: $0) }).joined(separator: "\n")
    }

    private static func markdown(of entry: Entry) -> String {
        let facts = entry.facts.map { "- \($0.label): \($0.isCode ? code($0.text) : escaped($0.text))\n" }
        return "### \(code(entry.name))\n\n\(facts.joined())\n\(escaped(entry.documentation))\n"
    }

    /// A code span; text with a backquote needs a longer fence.
    private static func code(_ text: String) -> String { text.contains("`") ? "`` \(text) ``" : "`\(text)`" }

    /// Text that means nothing to Markdown, apart from the code spans that documentation may have.
    private static func escaped(_ text: String) -> String {
        var (result, isCode) = ("", false)
        for character in text {
            if character == "`" { isCode.toggle() }
            if !isCode && "*_<\\[".contains(character) { result.append("\\") }
            result.append(character)
        }
        return result
    }
}
