import COpenSSL

/// What a client presented and what the verification said: rows 21 to 26 of `auth-http.md`.
package struct ClientCertificate: Equatable, Sendable {
    /// The library's result of the verification: 0 is good.
    package let verifyCode: Int
    /// Its text, such as `self-signed certificate`; `ok` for 0.
    package let verifyText: String
    /// The certificate; nil if the client sent none.
    package let presented: Details?

    package struct Details: Equatable, Sendable {
        /// RFC 2253 form (`CN=a,O=b`); control characters and bytes above 127 are escaped.
        package let subject: String
        package let issuer: String
        /// Hexadecimal, upper case.
        package let serial: String
        /// SHA-1, hexadecimal, lower case.
        package let fingerprint: String
    }

    /// The value of `Auth-SSL-Verify`: `NONE`, `SUCCESS` or `FAILED:reason`.
    package var summary: String {
        if presented == nil { return "NONE" }
        return verifyCode == 0 ? "SUCCESS" : "FAILED:\(verifyText)"
    }
}

/// Why a client's certificate ends its session.
package enum ClientCertificateRefusal: Equatable, Sendable {
    case none
    /// Log: `client sent no required SSL certificate`.
    case missing
    /// Log: `client SSL certificate verify error: (CODE:TEXT)`.
    case bad(code: Int, text: String)
}

extension TLSSession {
    /// Whether the client's certificate, or its absence, is acceptable (`tls.md` section 5). Nothing to parse.
    package func clientCertificateRefusal(for settings: TLSSettings) -> ClientCertificateRefusal {
        guard settings.verifyClient != .off else { return .none }
        let code = SSL_get_verify_result(ssl)
        if code != Int(X509_V_OK), settings.verifyClient != .optionalWithoutCA || !Verification.isTolerable(code) {
            return .bad(code: code, text: Verification.text(code))
        }
        if settings.verifyClient == .on, !hasCertificate { return .missing }
        return .none
    }

    private var hasCertificate: Bool { SSL_get0_peer_certificate(ssl) != nil }

    /// What the client presented; computed anew with each call.
    package func clientCertificate() -> ClientCertificate {
        let code = SSL_get_verify_result(ssl)
        let certificate = SSL_get0_peer_certificate(ssl)
        return ClientCertificate(
            verifyCode: code, verifyText: Verification.text(code),
            presented: certificate.map { certificate in
                ClientCertificate.Details(
                    subject: CertificateText.name(X509_get_subject_name(certificate)),
                    issuer: CertificateText.name(X509_get_issuer_name(certificate)),
                    serial: CertificateText.serial(certificate),
                    fingerprint: CertificateText.hexadecimal(CertificateText.digest(certificate, EVP_sha1())))
            })
    }

    /// The client's certificate in PEM form, line ends included; nil if it sent none.
    package func clientCertificatePEM() -> [UInt8]? {
        guard let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
        return CertificateText.collect { PEM_write_bio_X509($0, certificate) == 1 }
    }
}

/// Verification results.
enum Verification {
    static func text(_ code: Int) -> String { String(cString: X509_verify_cert_error_string(code)) }

    /// What `optional_no_ca` overlooks: nobody vouches for the certificate.
    static func isTolerable(_ code: Int) -> Bool {
        switch CInt(truncatingIfNeeded: code) {
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_CERT_UNTRUSTED,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            true
        default: false
        }
    }
}

/// Parts of certificates in the forms that log and authentication service want.
enum CertificateText {
    static func name(_ name: OpaquePointer?) -> String {
        guard let name else { return "" }
        let bytes = collect { X509_NAME_print_ex($0, name, 0, openssl_name_format()) >= 0 }
        return String(decoding: bytes ?? [], as: UTF8.self)
    }

    static func serial(_ certificate: OpaquePointer) -> String {
        // Not i2a_ASN1_INTEGER, which breaks long numbers over lines: this becomes a header line.
        guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nil) else { return "" }
        defer { BN_free(number) }
        guard let digits = BN_bn2hex(number) else { return "" }
        defer { openssl_free(digits) }
        let text = String(cString: digits)
        return text == "0" ? "00" : text
    }

    static func digest(_ certificate: OpaquePointer, _ kind: OpaquePointer?) -> [UInt8] {
        digest { X509_digest(certificate, kind, $0, &$1) }
    }

    /// Of a list of revoked certificates, an `X509_CRL *`.
    static func digest(ofList list: OpaquePointer, _ kind: OpaquePointer?) -> [UInt8] {
        digest { X509_CRL_digest(list, kind, $0, &$1) }
    }

    private static func digest(_ compute: (UnsafeMutablePointer<UInt8>?, inout UInt32) -> CInt) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        let isDone = digest.withUnsafeMutableBufferPointer { compute($0.baseAddress, &count) == 1 }
        return isDone ? Array(digest.prefix(Int(count))) : []
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// What `write` puts into a BIO; nil if it fails.
    static func collect(_ write: (OpaquePointer) -> Bool) -> [UInt8]? {
        guard let bio = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(bio) }
        guard write(bio) else { return nil }
        var start: UnsafeMutablePointer<CChar>?
        let count = openssl_memory(bio, &start)
        return Array(UnsafeRawBufferPointer(start: start, count: count))
    }
}
