import COpenSSL
import Glibc

/// Certificates from one file, in its order; at least one.
final class CertificateChain {
    /// Of type `X509 *`, owned.
    let certificates: [OpaquePointer]

    init(_ source: ObjectSource) throws(LoadFailure) {
        certificates = try source.withBIO { bio throws(LoadFailure) in
            try readAll(
                first: { PEM_read_bio_X509_AUX(bio, nil, nil, nil) }, named: "PEM_read_bio_X509_AUX()",
                next: { PEM_read_bio_X509(bio, nil, nil, nil) }, named: "PEM_read_bio_X509()", free: X509_free)
        }
    }

    deinit { for certificate in certificates { X509_free(certificate) } }
}

/// Revocation lists from one file; at least one.
final class RevocationLists {
    /// Of type `X509_CRL *`, owned.
    let lists: [OpaquePointer]

    init(_ source: ObjectSource) throws(LoadFailure) {
        lists = try source.withBIO { bio throws(LoadFailure) in
            let read = { PEM_read_bio_X509_CRL(bio, nil, nil, nil) }
            let name = "PEM_read_bio_X509_CRL()"
            return try readAll(first: read, named: name, next: read, named: name, free: X509_CRL_free)
        }
    }

    deinit { for list in lists { X509_CRL_free(list) } }
}

/// Reads PEM blocks to the end of the text.
private func readAll(
    first: () -> OpaquePointer?, named firstName: String, next: () -> OpaquePointer?, named nextName: String,
    free: (OpaquePointer?) -> Void
) throws(LoadFailure) -> [OpaquePointer] {
    guard let head = first() else { throw LoadFailure("\(firstName) failed") }
    var objects = [head]
    while let object = next() { objects.append(object) }
    let error = ERR_peek_last_error()
    guard openssl_error_library(error) == ERR_LIB_PEM, openssl_error_reason(error) == PEM_R_NO_START_LINE else {
        objects.forEach(free)
        throw LoadFailure("\(nextName) failed")
    }
    ERR_clear_error()
    return objects
}

/// A private key.
final class PrivateKey {
    /// Of type `EVP_PKEY *`, owned.
    let key: OpaquePointer
    /// It came from an unencrypted PEM text, so that a reload may take it over.
    let isInheritable: Bool

    /// - Parameter passwords: Tried in turn where the key is encrypted. Nobody is asked at a terminal.
    init(_ source: ObjectSource, passwords: PasswordList?) throws(LoadFailure) {
        switch source {
        case .engine(let name, let id):
            key = try Self.load { openssl_engine_key(name, id, &$0) }
            isInheritable = false
        case .store(let uri):
            let attempt = PasswordAttempt(passwords)
            key = try Self.load { call in
                openssl_store_key(uri, PasswordAttempt.answer, attempt.opaque, &call)
            }
            isInheritable = false
        case .malformed: throw LoadFailure("invalid syntax")
        case .file, .text: (key, isInheritable) = try Self.readPEM(source, PasswordAttempt(passwords))
        }
    }

    deinit { EVP_PKEY_free(key) }

    private static func load(_ body: (inout UnsafePointer<CChar>?) -> OpaquePointer?) throws(LoadFailure)
        -> OpaquePointer
    {
        ERR_clear_error()
        var call: UnsafePointer<CChar>?
        guard let key = body(&call) else { throw LoadFailure(call.map { String(cString: $0) } ?? "failed") }
        return key
    }

    private static func readPEM(_ source: ObjectSource, _ attempt: PasswordAttempt) throws(LoadFailure)
        -> (OpaquePointer, Bool)
    {
        try source.withBIO { bio throws(LoadFailure) in
            while true {
                if let key = PEM_read_bio_PrivateKey(bio, nil, PasswordAttempt.answer, attempt.opaque) {
                    return (key, !attempt.wasAsked)
                }
                guard attempt.advance() else { throw LoadFailure("PEM_read_bio_PrivateKey() failed") }
                ERR_clear_error()
                _ = openssl_rewind(bio)
            }
        }
    }
}

/// A `pem_password_cb`.
private typealias Answer =
    @convention(c) (UnsafeMutablePointer<CChar>?, CInt, CInt, UnsafeMutableRawPointer?) -> CInt

/// The passphrase being tried; what the library's callback finds through its user pointer.
private final class PasswordAttempt {
    private let passwords: PasswordList?
    private var number = 0
    private(set) var wasAsked = false

    init(_ passwords: PasswordList?) { self.passwords = passwords }

    /// Valid as long as the attempt lives: its user keeps it beyond the call.
    var opaque: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    /// Goes on to the next passphrase, if the last failure may have been its fault.
    func advance() -> Bool {
        guard wasAsked, let passwords, number + 1 < passwords.count else { return false }
        number += 1
        return true
    }

    private func fill(_ space: UnsafeMutableRawBufferPointer) -> CInt {
        wasAsked = true
        guard let passwords, number < passwords.count else { return -1 }
        return passwords.withPassword(number) { password in
            let count = min(password.count, space.count)
            space.copyMemory(from: UnsafeRawBufferPointer(rebasing: password.prefix(count)))
            return CInt(count)
        }
    }

    static var answer: Answer {
        { space, size, _, user in
            guard let space, let user, size > 0 else { return -1 }
            let attempt = Unmanaged<PasswordAttempt>.fromOpaque(user).takeUnretainedValue()
            return attempt.fill(UnsafeMutableRawBufferPointer(start: space, count: Int(size)))
        }
    }
}
