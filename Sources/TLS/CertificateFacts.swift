import COpenSSL

/// What the PROXY protocol tells of both sides' certificates.
package struct CertificateFacts: Equatable, Sendable {
    /// nil if the client showed none, neither now nor when the resumed session began.
    package let client: Client?
    /// The signature on the server's certificate, by the library's short name: `RSA-SHA256`, `ecdsa-with-SHA256`.
    package let signatureAlgorithm: String
    /// Kind and bits of the server's key: `RSA2048`, `EC256`.
    package let key: String

    package struct Client: Equatable, Sendable {
        /// The library's result of the verification: 0 is good.
        package let verifyCode: Int
        /// The first common name of its subject in UTF-8; nil if there is none. Not checked in any way.
        package let commonName: [UInt8]?
    }
}

extension TLSSession {
    /// The facts of the certificates in use; of use once the handshake is done.
    package var certificateFacts: CertificateFacts {
        let own = SSL_get_certificate(ssl)
        return CertificateFacts(
            client: SSL_get0_peer_certificate(ssl).map { certificate in
                CertificateFacts.Client(
                    verifyCode: SSL_get_verify_result(ssl), commonName: CertificateText.commonName(certificate))
            },
            signatureAlgorithm: own.map { CertificateText.shortName(X509_get_signature_nid($0)) } ?? "",
            key: own.flatMap { X509_get0_pubkey($0) }.map { CertificateText.key($0) } ?? "")
    }
}

extension CertificateText {
    fileprivate static func commonName(_ certificate: OpaquePointer) -> [UInt8]? {
        let subject = X509_get_subject_name(certificate)
        let index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard index >= 0, let entry = X509_NAME_get_entry(subject, index) else { return nil }
        var start: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&start, X509_NAME_ENTRY_get_data(entry))
        guard count >= 0, let start else {
            ERR_clear_error()
            return nil
        }
        defer { openssl_free(start) }
        return Array(UnsafeBufferPointer(start: start, count: Int(count)))
    }

    fileprivate static func shortName(_ number: CInt) -> String {
        OBJ_nid2sn(number).map { String(cString: $0) } ?? ""
    }

    fileprivate static func key(_ key: OpaquePointer) -> String {
        let kind = EVP_PKEY_get_base_id(key)
        let bits = EVP_PKEY_get_bits(key)
        switch kind {
        case EVP_PKEY_RSA, EVP_PKEY_RSA_PSS: return "RSA\(bits)"
        case EVP_PKEY_EC: return "EC\(bits)"
        case EVP_PKEY_DSA: return "DSA\(bits)"
        // Of the others the name says the size: `ED25519`.
        default: return shortName(kind)
        }
    }
}
