/// A part of the manual that is no directive: what others have to know to work with the program, as a table.
package struct ManualTable {
    package let title: String
    /// What comes before the table. This, and the cells, may have code spans.
    package let introduction: String
    /// The headings of the two columns.
    package let columns: (String, String)
    /// A term, and what it means.
    package let rows: [(term: String, meaning: String)]

    package init(
        title: String, _ introduction: String, columns: (String, String), rows: [(term: String, meaning: String)]
    ) {
        (self.title, self.introduction, self.columns, self.rows) = (title, introduction, columns, rows)
    }
}
