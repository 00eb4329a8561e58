/// One way in which this program is not like nginx, for the manual and for who comes over from there.
package struct Difference {
    /// What a configuration must have, for the difference to matter to it.
    package enum Concern: Equatable, Sendable {
        /// Nothing: it matters to all.
        case any
        /// A server of this protocol.
        case serving(String)
        /// This directive; with `argument`, one that begins so.
        case using(String, argument: String = "")
    }

    /// What nginx does, and what this program does instead; both may have code spans.
    package let nginx: String
    package let apus: String
    /// One of these is enough. None: it cannot matter to a configuration that nginx takes.
    package let concerns: [Concern]

    package init(_ nginx: String, _ apus: String, mattersTo concerns: Concern...) {
        (self.nginx, self.apus) = (nginx, apus)
        self.concerns = concerns
    }
}
