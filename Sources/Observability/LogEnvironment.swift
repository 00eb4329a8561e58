/// What all logs of a process share.
package final class LogEnvironment {
    package let clock: WallClock
    /// Start-up is not over: messages of level `warn` and graver are copied to descriptor 2 as `apus: [LEVEL] TEXT`.
    package var copiesToConsole: Bool
    /// Runs something about a second later; nil where there is no event loop.
    package var nextSecond: ((@escaping () -> Void) -> Void)?
    /// The name of the program in console copies.
    static let program: StaticString = "apus"

    package init(clock: WallClock = WallClock(), copiesToConsole: Bool = false) {
        (self.clock, self.copiesToConsole) = (clock, copiesToConsole)
    }
}
