extension String {
    /// The text's bytes, for replies and commands.
    @inlinable public var bytes: [UInt8] { Array(utf8) }
}
