import Glibc

/// A file that was read for a configuration, as `-T` shows it.
package struct ConfigurationFile: Equatable, Sendable {
    /// The name it was opened by.
    package let name: String
    package let bytes: [UInt8]

    /// Reads a file whole. Its size counts as it is at opening, so a file that grows meanwhile does no harm.
    ///
    /// - Parameter position: The `include` that names it; nil for the main file.
    static func read(_ name: String, includedAt position: Position?) throws(ConfigError) -> ConfigurationFile {
        let descriptor = open(name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ConfigError("open() \"\(name)\" failed \(errnoText())", at: position) }
        defer { _ = close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw ConfigError("fstat() \"\(name)\" failed \(errnoText())", at: position)
        }
        // What a directory gives as its size depends on the file system; reading it always has to fail.
        let size = status.st_mode & S_IFMT == S_IFDIR ? max(1, Int(status.st_size)) : Int(status.st_size)
        return ConfigurationFile(name: name, bytes: try bytes(of: descriptor, size: size, name: name))
    }

    private static func bytes(of descriptor: CInt, size: Int, name: String) throws(ConfigError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while bytes.count < size {
            let count = pread(descriptor, &chunk, min(chunk.count, size - bytes.count), bytes.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 { throw ConfigError("pread() \"\(name)\" failed \(errnoText())", level: .critical) }
            if count == 0 { throw shortRead(bytes.count, of: size, name: name) }
            bytes += chunk[..<count]
        }
        return bytes
    }

    private static func shortRead(_ count: Int, of size: Int, name: String) -> ConfigError {
        ConfigError(
            "pread() returned only \(count) bytes instead of \(size)", at: Position(file: name, line: 1))
    }
}

/// `(2: No such file or directory)`.
private func errnoText() -> String {
    let code = errno
    return "(\(code): \(String(cString: strerror(code))))"
}

extension LoadingEnvironment {
    /// The files that `include` stands for: one, which need not be there, or all that a mask matches.
    func files(includedBy argument: Word, at position: Position) throws(ConfigError) -> [String] {
        let name = configurationPath(argument.text)
        let isMask = name.utf8.contains { "*?[".utf8.contains($0) }
        return isMask ? try filesMatching(name, includedAt: position) : [name]
    }
}

/// Expands a mask as `glob(3)` does: sorted, hidden files only by an explicit dot, no error if nothing matches.
private func filesMatching(_ mask: String, includedAt position: Position) throws(ConfigError) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    switch glob(mask, 0, nil, &found) {
    case 0: break
    case GLOB_NOMATCH: return []
    default: throw ConfigError("glob() \"\(mask)\" failed \(errnoText())", at: position)
    }
    return (0..<Int(found.gl_pathc)).compactMap { index in
        found.gl_pathv[index].map { String(cString: $0) }
    }
}
