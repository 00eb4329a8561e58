import COpenSSL
import Config
import Glibc

/// Where a certificate, key or list comes from, by the word in the configuration.
enum ObjectSource: Hashable {
    case file(String)
    /// `data:` and the PEM text itself.
    case text(String)
    case engine(name: String, key: String)
    case store(uri: String)
    /// `engine:` without a name or a key.
    case malformed(String)

    /// - Parameter isKey: Whether the two forms for keys are known.
    init(_ word: String, isKey: Bool = false, in environment: LoadingEnvironment) {
        if word.hasPrefix("data:") {
            self = .text(String(word.dropFirst(5)))
        } else if isKey, word.hasPrefix("engine:") {
            let rest = word.dropFirst(7)
            if let colon = rest.firstIndex(of: ":") {
                self = .engine(name: String(rest[..<colon]), key: String(rest[rest.index(after: colon)...]))
            } else {
                self = .malformed(word)
            }
        } else if isKey, word.hasPrefix("store:") {
            self = .store(uri: String(word.dropFirst(6)))
        } else {
            self = .file(environment.configurationPath(word))
        }
    }

    /// As messages name it. A text given in place may be a secret.
    var description: String {
        switch self {
        case .file(let path): path
        case .text: "data:…"
        case .engine(let name, let key): "engine:\(name):\(key)"
        case .store(let uri): "store:\(uri)"
        case .malformed(let word): word
        }
    }

    /// A BIO on the PEM text; ended by the closure's end.
    ///
    /// - Throws: ``LoadFailure``, with the library's errors still queued.
    func withBIO<Result>(_ body: (OpaquePointer) throws(LoadFailure) -> Result) throws(LoadFailure) -> Result {
        ERR_clear_error()
        switch self {
        case .file(let path):
            guard let bio = BIO_new_file(path, "r") else { throw LoadFailure("BIO_new_file() failed") }
            defer { BIO_free(bio) }
            return try body(bio)
        case .text(let text):
            let bytes = Array(text.utf8)
            guard let bio = BIO_new(BIO_s_mem()),
                BIO_write(bio, bytes, CInt(clamping: bytes.count)) == CInt(clamping: bytes.count)
            else { throw LoadFailure("BIO_new_mem_buf() failed") }
            defer { BIO_free(bio) }
            return try body(bio)
        case .engine, .store, .malformed:
            throw LoadFailure("invalid syntax")
        }
    }

    /// Tells whether a file is still the same: inode number and modification time in whole seconds.
    struct Stamp: Equatable {
        let inode: UInt
        let modified: Int
    }

    /// Nil where there is no file, or none that can be looked at.
    var stamp: Stamp? {
        guard case .file(let path) = self else { return nil }
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        return Stamp(inode: UInt(facts.st_ino), modified: Int(facts.st_mtim.tv_sec))
    }
}

/// The call that failed while an object was loaded; the reasons are in the library's error queue.
struct LoadFailure: Error {
    let call: String
    init(_ call: String) { self.call = call }
}
