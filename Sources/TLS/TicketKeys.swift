import COpenSSL
import Config
import Glibc

/// The keys of a server's tickets: from files, or a ring that changes by itself.
enum TicketKeys {
    /// At least one; the first encrypts.
    case files([TicketKey])
    case ring(TicketKeyRing)

    /// Reads key files.
    ///
    /// - Throws: `open() "F" failed (...)` and `"F" must be 48 or 80 bytes`, with the place of the directive.
    static func read(_ files: [TLSSettings.PlacedText], in environment: LoadingEnvironment) throws(ConfigError)
        -> [TicketKey]
    {
        var keys: [TicketKey] = []
        for file in files {
            keys.append(try read(environment.configurationPath(file.text), at: file.position))
        }
        return keys
    }

    private static func read(_ path: String, at position: Position) throws(ConfigError) -> TicketKey {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("open()", path, at: position) }
        defer { _ = close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw .system("fstat()", path, at: position) }
        guard facts.st_size == 48 || facts.st_size == 80 else {
            throw ConfigError("\"\(path)\" must be 48 or 80 bytes", at: position)
        }
        let size = Int(facts.st_size)
        var key = TicketKey()
        key.isLong = size == 80
        let count = withUnsafeMutableBytes(of: &key.bytes) { Glibc.read(descriptor, $0.baseAddress, size) }
        guard count >= 0 else { throw .system("read()", path, at: position) }
        guard count == size else {
            throw ConfigError("read() \"\(path)\" returned only \(count) bytes instead of \(size)", at: position)
        }
        return key
    }

    private func encryptionKey(now: Int, timeout: Int) -> TicketKey {
        switch self {
        case .files(let keys): keys.first ?? TicketKey()
        case .ring(let ring): ring.current(now: now, timeout: timeout)
        }
    }

    private func key(named name: UnsafeRawBufferPointer, now: Int, timeout: Int) -> (key: TicketKey, isOld: Bool)? {
        switch self {
        case .files(let keys):
            guard let index = keys.firstIndex(where: { $0.hasName(name) }) else { return nil }
            return (keys[index], index > 0)
        case .ring(let ring): return ring.key(named: name, now: now, timeout: timeout)
        }
    }

    // MARK: The library's side (RFC 5077 section 4: name, IV, encrypted session, MAC)

    /// Chooses the key for a new ticket; writes its name and a fresh IV.
    ///
    /// - Returns: What the library's callback returns: 1, or −1 if the handshake has to fail.
    func seal(
        name: UnsafeMutableRawPointer, iv: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer,
        timeout: Int
    ) -> CInt {
        var key = encryptionKey(now: time(nil), timeout: timeout)
        defer { key.wipe() }
        guard RAND_bytes(iv, 16) == 1 else { return -1 }
        let (hmac, secret, isLong) = (key.hmacKey, key.cipherKey, key.isLong)
        return withUnsafeBytes(of: &key.bytes) { bytes in
            name.copyMemory(from: bytes.baseAddress!, byteCount: 16)
            let isReady =
                EVP_EncryptInit_ex(cipher, algorithm(isLong), nil, start(bytes, secret), iv) == 1
                && openssl_mac_sha256(mac, start(bytes, hmac), hmac.count) == 1
            return isReady ? 1 : -1
        }
    }

    /// Finds the key of a ticket.
    ///
    /// - Parameter alwaysRenews: In TLS 1.3 clients use a ticket once only (RFC 8446 C.4), so each use gives a new one.
    /// - Returns: What the library's callback returns: 0 unknown key, 1 good, 2 good and to be renewed, −1 failure.
    func open(
        name: UnsafeRawPointer, iv: UnsafePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer, timeout: Int,
        alwaysRenews: Bool
    ) -> CInt {
        let name = UnsafeRawBufferPointer(start: name, count: 16)
        guard let (found, isOld) = key(named: name, now: time(nil), timeout: timeout) else { return 0 }
        var key = found
        defer { key.wipe() }
        let (hmac, secret, isLong) = (key.hmacKey, key.cipherKey, key.isLong)
        return withUnsafeBytes(of: &key.bytes) { bytes in
            guard openssl_mac_sha256(mac, start(bytes, hmac), hmac.count) == 1,
                EVP_DecryptInit_ex(cipher, algorithm(isLong), nil, start(bytes, secret), iv) == 1
            else { return -1 }
            return isOld || alwaysRenews ? 2 : 1
        }
    }

    private func algorithm(_ isLong: Bool) -> OpaquePointer? { isLong ? EVP_aes_256_cbc() : EVP_aes_128_cbc() }

    private func start(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UnsafePointer<UInt8> {
        (bytes.baseAddress! + range.lowerBound).assumingMemoryBound(to: UInt8.self)
    }
}
