extension Manual {
    /// The manual as the page `apus.conf(5)`, for man(1).
    package var roff: String {
        let head = """
            .TH APUS.CONF 5 "" Apus "File formats"
            .SH NAME
            apus.conf \\- configuration of the mail proxy apus
            .SH DESCRIPTION
            A directive is a name and its arguments, ended by a semicolon; a block has braces instead.
            Words are separated by blanks and may stand in quotes.
            A number sign starts a comment.

            """
        return head + chapters.map { Self.roff(of: $0) }.joined() + tables.map { Self.roff(of: $0) }.joined()
            + differencesSection
            + ".SH SEE ALSO\n.BR apus (8)\n"
    }

    private var differencesSection: String {
        guard !differences.isEmpty else { return "" }
        let pairs = differences.map { difference in
            "\(Self.paragraph("nginx: " + difference.nginx))\n.br\n\(Self.guarded("Apus: " + Self.spans(difference.apus)))\n"
        }
        return ".SH \"DIFFERENCES FROM NGINX\"\n\(pairs.joined())"
    }

    private static func roff(of table: ManualTable) -> String {
        heading(table.title) + paragraph(table.introduction) + "\n"
            + table.rows.map { ".TP\n\(guarded(spans($0.term)))\n\(guarded(spans($0.meaning)))\n" }.joined()
    }

    private static func heading(_ title: String) -> String {
        ".SH \"\(escaped(title.uppercased()).replacing("\"", with: "\\(dq"))\"\n"
    }

    private static func roff(of chapter: Chapter) -> String {
        heading(chapter.title)
            + chapter.entries.map { roff(of: $0) }.joined()
    }

    private static func roff(of entry: Entry) -> String {
        let facts = entry.facts.map { fact in
            "\(fact.label): \(fact.isCode ? "\\fB\(escaped(fact.text))\\fR" : escaped(fact.text))\n.br\n"
        }
        return ".SS \(escaped(entry.name))\n\(facts.joined())\(paragraph(entry.documentation))\n"
    }

    /// Documentation, its code spans in bold.
    private static func paragraph(_ text: String) -> String { ".PP\n\(guarded(spans(text)))" }

    private static func spans(_ text: String) -> String {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated().map { index, span in
            index.isMultiple(of: 2) ? escaped(String(span)) : "\\fB\(escaped(String(span)))\\fR"
        }.joined()
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
    }

    /// A line of text that starts with a point or an apostrophe would be taken for a request.
    private static func guarded(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.hasPrefix(".") || $0.hasPrefix("'") ? "\\&\($0)" : String($0) }
            .joined(separator: "\n")
    }
}
