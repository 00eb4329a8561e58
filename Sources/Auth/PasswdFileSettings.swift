package import Config
import Observability
package import Platform

/// `auth_passwd_file` and its companions.
package struct PasswdFileSettings: SettingsBlock {
    /// The file's path, prefixed; nil: none is set.
    package var path: String?
    /// The server for users whose entry names none.
    package var server: SocketAddress?
    /// `auth_passwd_file_relay`: sessions without a login are let through.
    package var isRelay = false

    package init() {}

    package static var title: String { "Password file" }

    package static var directives: [Directive<PasswdFileSettings>] {
        [
            Directive(
                "auth_passwd_file", in: [.mail, .server], arguments: .exactly(1), placeholder: "file", default: nil,
                repetition: .lastWins,
                """
                Logins are checked against this file, in the format of Dovecot's passwd-file: one user a line, \
                `user:{SCHEME}password:uid:gid:gecos:home:shell:extra fields`, of which the user, the password and the \
                extra fields count. Schemes are `PLAIN`, `CRYPT`, `SHA512-CRYPT`, `SHA256-CRYPT`, `MD5-CRYPT`, \
                `BLF-CRYPT` and `YESCRYPT`; without one it is `CRYPT`. Extra fields, separated by spaces: `host=` and \
                `port=` (the server behind, an address), `user=` or `destuser=` and `pass=` (the login and password \
                there), `nologin`, `nodelay`, `allow_nets=` (addresses or networks separated by commas, `local` for UNIX \
                sockets); `proxy` and `userdb_...` are ignored. An entry with any other field is not used and an error \
                is logged. User names are compared exactly. CRAM-MD5 and APOP work for `PLAIN` entries only. EXTERNAL \
                needs a verified client certificate whose common name is the login; XOAUTH2 and OAUTHBEARER are refused. Hashes are computed by helper \
                processes, so that slow ones do not hold the workers up; without a master (`master_process off`) there are none, \
                and the directive is refused. A changed file is noticed within a second or \
                two, without a reload. Relative names are relative to the directory of the configuration file. Every \
                `server` needs either this directive or `auth_http`.
                """
            ) { use throws(ConfigError) in
                let path = use.environment.configurationPath(use.arguments[0].text)
                guard !use.arguments[0].bytes.isEmpty else { throw use.phrase("invalid value") }
                return { $0.path = path }
            },
            Directive(
                "proxy_pass", in: [.mail, .server], arguments: .exactly(1), placeholder: "host:port", default: nil,
                repetition: .lastWins,
                """
                The server behind, for users whose entry in `auth_passwd_file` names none. A host name is resolved once, \
                when the configuration is read; of several addresses the first is used. Without it every user needs \
                `host=` and `port=`; with it an entry may give just one of the two.
                """
            ) { use throws(ConfigError) in
                let server = try Self.server(use)
                return { $0.server = server }
            },
            Directive(
                "auth_passwd_file_relay", in: [.mail, .server], \.isRelay, .flag,
                """
                Whether a session without a login (`smtp_auth none`) is let through to the server of `proxy_pass`. \
                Otherwise `auth_passwd_file` refuses it.
                """),
        ]
    }

    private static func server(_ use: borrowing DirectiveUse) throws(ConfigError) -> SocketAddress {
        let text = use.arguments[0]
        let reason: String
        do throws(AddressSyntax.Failure) {
            let address = try SocketAddress.resolve(
                AddressSyntax(text.bytes, in: .server), defaultPort: 0, use.environment.names)[0]
            switch address.host {
            case .unix: reason = "invalid host"
            default:
                if address.port > 0 { return address }
                reason = "no port"
            }
        } catch {
            reason = error.rawValue
        }
        throw use.error("\(reason) in proxy_pass \"\(text.text)\"")
    }
}
