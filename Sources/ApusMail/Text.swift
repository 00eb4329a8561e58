extension String {
    /// The text's bytes, for replies and commands.
    public var bytes: [UInt8] { Array(utf8) }
}
