import COpenSSL
import Config

extension ContextBuilder {
    // MARK: The server's certificates

    func loadCertificates() throws(ConfigError) {
        for (certificate, key) in zip(settings.certificates, settings.certificateKeys) {
            let certificate = ObjectSource(certificate, in: environment)
            let key = ObjectSource(key, isKey: true, in: environment)
            try use(certificate, key)
        }
    }

    private func use(_ certificate: ObjectSource, _ key: ObjectSource) throws(ConfigError) {
        var (chain, privateKey) = (try loadChain(certificate), try loadKey(key))
        try use(chain, certificate)
        if SSL_CTX_use_PrivateKey(context, privateKey.key) == 1 { return }
        // One of two files was replaced by a reload's time: only what both are now tells whether they match.
        if objects.forgetInherited(certificate: certificate, key: key) {
            ERR_clear_error()
            (chain, privateKey) = (try loadChain(certificate), try loadKey(key))
            try use(chain, certificate)
            if SSL_CTX_use_PrivateKey(context, privateKey.key) == 1 { return }
        }
        throw OpenSSLErrors.configError("SSL_CTX_use_PrivateKey(\"\(key.description)\") failed")
    }

    private func use(_ chain: CertificateChain, _ source: ObjectSource) throws(ConfigError) {
        guard SSL_CTX_use_certificate(context, chain.certificates[0]) == 1 else {
            throw OpenSSLErrors.configError("SSL_CTX_use_certificate(\"\(source.description)\") failed")
        }
        guard let stack = openssl_chain_new() else { throw OpenSSLErrors.configError("sk_X509_new_null() failed") }
        defer { openssl_chain_free(stack) }
        for certificate in chain.certificates.dropFirst() { _ = openssl_chain_add(stack, certificate) }
        // Takes references of its own.
        guard openssl_set_chain(context, stack) == 1 else {
            throw OpenSSLErrors.configError("SSL_CTX_set0_chain(\"\(source.description)\") failed")
        }
        identity += CertificateText.digest(chain.certificates[0], EVP_sha256())
    }

    private func loadChain(_ source: ObjectSource) throws(ConfigError) -> CertificateChain {
        do throws(LoadFailure) { return try objects.chain(source) } catch {
            throw cannotLoad("certificate", source, error)
        }
    }

    private func loadKey(_ source: ObjectSource) throws(ConfigError) -> PrivateKey {
        do throws(LoadFailure) {
            return try objects.key(source, passwords: settings.passwords)
        } catch {
            throw cannotLoad("certificate key", source, error)
        }
    }

    private func cannotLoad(_ what: String, _ source: ObjectSource, _ failure: LoadFailure) -> ConfigError {
        OpenSSLErrors.configError("cannot load \(what) \"\(source.description)\": \(failure.call)")
    }

    // MARK: Client certificates

    func setVerification() throws(ConfigError) {
        let asksClient = settings.verifyClient != .off
        if asksClient {
            let hasAuthorities = settings.clientCertificate != nil || settings.trustedCertificate != nil
            guard hasAuthorities || settings.verifyClient == .optionalWithoutCA else {
                throw ConfigError("no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client")
            }
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, TLSCallbacks.verify)
            SSL_CTX_set_verify_depth(context, CInt(clamping: settings.verifyDepth))
            identity += Array("verify:\(settings.verifyDepth):".utf8)
            if let file = settings.clientCertificate { try addAuthorities(file, announced: true) }
        }
        if let file = settings.trustedCertificate { try addAuthorities(file, announced: false) }
        if let file = settings.revocationList { try addRevocations(file) }
    }

    private func addAuthorities(_ file: String, announced: Bool) throws(ConfigError) {
        let source = ObjectSource(file, in: environment)
        let authorities: CertificateChain
        do throws(LoadFailure) { authorities = try objects.authorities(source) } catch {
            throw cannotLoad("certificate", source, error)
        }
        let store = SSL_CTX_get_cert_store(context)
        for certificate in authorities.certificates {
            guard X509_STORE_add_cert(store, certificate) == 1 else {
                throw OpenSSLErrors.configError("X509_STORE_add_cert(\"\(source.description)\") failed")
            }
            if settings.verifyClient != .off {
                identity += [announced ? 1 : 2] + CertificateText.digest(certificate, EVP_sha256())
            }
        }
        if announced { try announce(authorities, source) }
    }

    private func announce(_ authorities: CertificateChain, _ source: ObjectSource) throws(ConfigError) {
        guard let names = openssl_names_new() else { throw OpenSSLErrors.configError("sk_X509_NAME_new_null() failed") }
        // Freed by the context from here on.
        SSL_CTX_set_client_CA_list(context, names)
        for certificate in authorities.certificates {
            guard openssl_names_add(names, X509_get_subject_name(certificate)) == 1 else {
                throw OpenSSLErrors.configError("sk_X509_NAME_push(\"\(source.description)\") failed")
            }
        }
    }

    private func addRevocations(_ file: String) throws(ConfigError) {
        let source = ObjectSource(file, in: environment)
        let revocations: RevocationLists
        do throws(LoadFailure) { revocations = try objects.revocations(source) } catch {
            throw cannotLoad("CRL", source, error)
        }
        let store = SSL_CTX_get_cert_store(context)
        for list in revocations.lists {
            guard X509_STORE_add_crl(store, list) == 1 else {
                throw OpenSSLErrors.configError("X509_STORE_add_crl(\"\(source.description)\") failed")
            }
            // A session that was made before a certificate was revoked, or where nobody minds, is not resumed here.
            if settings.verifyClient != .off { identity += [3] + CertificateText.digest(ofList: list, EVP_sha256()) }
        }
        openssl_set_crl_check(store)
    }
}
