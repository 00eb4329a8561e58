import COpenSSL
import Config
import Zones

/// Makes an `SSL_CTX` from settings, step by step; the order of the steps decides which error is reported first.
final class ContextBuilder {
    let settings: TLSSettings
    let environment: LoadingEnvironment
    let objects: TLSObjectCache
    let zones: ZoneRegistry
    let handle: ContextHandle

    /// What sessions must have in common: collected by `ContextCertificates`, hashed by `ContextSessions`.
    var identity: [UInt8] = []
    var sessionTable: TLSSessionTable?
    var ticketKeys: TicketKeys?

    var context: OpaquePointer { handle.pointer }

    init(_ settings: TLSSettings, environment: LoadingEnvironment, objects: TLSObjectCache, zones: ZoneRegistry)
        throws(ConfigError)
    {
        (self.settings, self.environment, self.objects, self.zones) = (settings, environment, objects, zones)
        handle = try ContextHandle()
    }

    /// `mail-directives.md` section 4.
    static func checkPresence(_ settings: TLSSettings, mode: String, position: Position) throws(ConfigError) {
        guard let last = settings.certificates.last else {
            throw ConfigError("no \"ssl_certificate\" is defined for the \"\(mode)\" directive", at: position)
        }
        guard !settings.certificateKeys.isEmpty else {
            throw ConfigError("no \"ssl_certificate_key\" is defined for the \"\(mode)\" directive", at: position)
        }
        guard settings.certificateKeys.count >= settings.certificates.count else {
            throw ConfigError(
                "no \"ssl_certificate_key\" is defined for certificate \"\(last)\" and the \"\(mode)\" directive",
                at: position)
        }
    }

    func build() throws(ConfigError) {
        ERR_clear_error()
        setOptions()
        try setCiphers()
        try loadCertificates()
        if openssl_compress_certificates(context, settings.compressesCertificates ? 1 : 0) == 0 {
            environment.warn("\"ssl_certificate_compression\" is not supported on this platform, ignored")
            ERR_clear_error()
        }
        try setVerification()
        try setParameters()
        try setCurves()
        try setSessions()
        try setTickets()
        try runCommands()
    }

    // MARK: Versions, ciphers, key exchange

    private func setOptions() {
        // The system's openssl.cnf may have narrowed the range; the mask alone decides.
        _ = openssl_set_version_range(context, 0, TLS1_3_VERSION)
        let refused: [(TLSVersions, UInt)] = [
            (.ssl3, OPENSSL_NO_SSLv3), (.tls1, OPENSSL_NO_TLSv1), (.tls11, OPENSSL_NO_TLSv1_1),
            (.tls12, OPENSSL_NO_TLSv1_2), (.tls13, OPENSSL_NO_TLSv1_3),
        ].filter { !settings.versions.contains($0.0) }
        openssl_set_options(
            context,
            refused.reduce(OPENSSL_NO_COMPRESSION | OPENSSL_NO_RENEGOTIATION | OPENSSL_IGNORE_UNEXPECTED_EOF) {
                $0 | $1.1
            })
        // Exactly the chain of the file is sent, never one completed from elsewhere.
        openssl_set_mode(
            context,
            Int(
                SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                    | SSL_MODE_NO_AUTO_CHAIN))
        openssl_set_read_ahead(context)
    }

    private func setCiphers() throws(ConfigError) {
        guard SSL_CTX_set_cipher_list(context, settings.ciphers) == 1 else {
            throw OpenSSLErrors.configError("SSL_CTX_set_cipher_list(\"\(settings.ciphers)\") failed")
        }
        if settings.prefersServerCiphers { openssl_set_options(context, OPENSSL_CIPHER_SERVER_PREFERENCE) }
    }

    private func setParameters() throws(ConfigError) {
        guard let file = settings.dhParameters else { return }
        let path = environment.configurationPath(file)
        guard let bio = BIO_new_file(path, "r") else {
            throw OpenSSLErrors.configError("BIO_new_file(\"\(path)\") failed")
        }
        defer { BIO_free(bio) }
        guard let parameters = PEM_read_bio_Parameters(bio, nil) else {
            throw OpenSSLErrors.configError("PEM_read_bio_Parameters(\"\(path)\") failed")
        }
        guard SSL_CTX_set0_tmp_dh_pkey(context, parameters) == 1 else {
            EVP_PKEY_free(parameters)
            throw OpenSSLErrors.configError("SSL_CTX_set0_tmp_dh_pkey(\"\(path)\") failed")
        }
    }

    private func setCurves() throws(ConfigError) {
        // The library's default; it has no name for it.
        guard settings.curves != "auto" else { return }
        guard openssl_set_groups(context, settings.curves) == 1 else {
            throw OpenSSLErrors.configError("SSL_CTX_set1_curves_list(\"\(settings.curves)\") failed")
        }
    }

    // MARK: The library's own language

    private func runCommands() throws(ConfigError) {
        guard !settings.commands.isEmpty else { return }
        guard let run = SSL_CONF_CTX_new() else { throw OpenSSLErrors.configError("SSL_CONF_CTX_new() failed") }
        defer { SSL_CONF_CTX_free(run) }
        let flags =
            SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SERVER | SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS
        SSL_CONF_CTX_set_flags(run, UInt32(flags))
        SSL_CONF_CTX_set_ssl_ctx(run, context)
        for command in settings.commands {
            ERR_clear_error()
            let kind = SSL_CONF_cmd_value_type(run, command.name)
            let isPath = kind == SSL_CONF_TYPE_FILE || kind == SSL_CONF_TYPE_DIR
            let value = isPath ? environment.configurationPath(command.value) : command.value
            guard SSL_CONF_cmd(run, command.name, value) > 0 else {
                throw OpenSSLErrors.configError("SSL_CONF_cmd(\"\(command.name)\", \"\(value)\") failed")
            }
        }
        guard SSL_CONF_CTX_finish(run) == 1 else { throw OpenSSLErrors.configError("SSL_CONF_finish() failed") }
    }
}
