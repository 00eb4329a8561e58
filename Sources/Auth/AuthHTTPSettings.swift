package import Config
import Observability
import Platform

/// `auth_http` and its companions.
package struct AuthHTTPSettings: SettingsBlock {
    /// nil: no service is set.
    package var service: HTTPAuthService?
    /// The lines of `auth_http_header`, without their ends.
    package var addedLines: [[UInt8]] = []
    package var timeout = Duration.seconds(60)
    package var passesCertificate = false
    /// Idle connections that a worker keeps.
    package var keptConnections = 16

    package init() {}

    package static var title: String { "HTTP authentication" }

    package static var directives: [Directive<AuthHTTPSettings>] {
        [
            Directive(
                "auth_http", in: [.mail, .server], arguments: .exactly(1),
                placeholder: "[http://]host[:port][/uri] | [http://]unix:path[:/uri]", default: nil,
                repetition: .lastWins,
                """
                The HTTP service that decides about logins. Each login attempt is one GET request whose headers tell \
                the method, the login, the password, the protocol and the client; the headers of the answer say \
                whether the login is good (`Auth-Status: OK`, anything else is the text of the refusal) and which \
                server the session goes to (`Auth-Server`, an address, and `Auth-Port`). All headers are listed behind \
                the directives. `Auth-User` and `Auth-Pass` replace what the server behind is told, and `Auth-Wait` \
                delays a refusal and lets the client try again. With the methods `xoauth2` and `oauthbearer` the \
                password is the client's token, which the server behind is told as its password unless `Auth-Pass` \
                replaces it; `Auth-Error-SASL` gives a refusal the error data, in Base64, that the client is told \
                before it. An answer without `Auth-Status`, or with an HTTP status other than 2xx, never lets anybody \
                in. The port is 80 and the URI `/` where none is given. A host name is resolved once, when the \
                configuration is read; of several addresses the first is used. Every `server` needs either this \
                directive or `auth_passwd_file`.
                """
            ) { use throws(ConfigError) in
                let service = try AuthHTTPURL.read(use)
                return { $0.service = service }
            },
            Directive(
                "auth_http_header", in: [.mail, .server], arguments: .exactly(2), placeholder: "name value",
                default: nil,
                repetition: .accumulates,
                """
                A header added to every request to the authentication service, for example a key by which the service \
                knows that it is asked by this proxy. May be used several times; the headers keep their order. Used inside \
                a `server`, the headers of the `mail` block are not added there.
                """
            ) { use throws(ConfigError) in
                let line = use.arguments[0].bytes + Array(": ".utf8) + use.arguments[1].bytes
                guard !line.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else {
                    throw use.phrase("invalid value")
                }
                let isFirst = use.isFirst
                return { $0.addedLines = isFirst ? [line] : $0.addedLines + [line] }
            },
            Directive(
                "auth_http_timeout", in: [.mail, .server], \.timeout, .time,
                """
                The longest time for one request to the authentication service: connecting, sending and receiving \
                together. When it is over, the client hears of an internal error and is disconnected.
                """),
            Directive(
                "auth_http_pass_client_cert", in: [.mail, .server], \.passesCertificate, .flag,
                """
                Sends the client's TLS certificate to the authentication service: PEM, with line ends and spaces escaped \
                like in a URL, as the header `Auth-SSL-Cert`.
                """),
            Directive(
                "auth_http_keepalive", in: [.mail, .server], \.keptConnections, .number,
                """
                How many idle connections to the authentication service a worker keeps for the next logins. Requests then \
                carry `Connection: keep-alive`, and a connection is used again when the answer allows it \
                (HTTP/1.1 or `Connection: keep-alive`, and `Content-Length` or status 204); there is never more than one request in \
                flight on a connection. With 0 every login makes its own connection and that header is not sent, which is \
                what nginx does.
                """),
        ]
    }
}

/// The argument of `auth_http`.
enum AuthHTTPURL {
    static func read(_ use: borrowing DirectiveUse) throws(ConfigError) -> HTTPAuthService {
        var url = use.arguments[0].bytes
        if url.span.starts(with: "http://") { url.removeFirst(7) }
        do throws(AddressSyntax.Failure) {
            return try service(url, use.environment.names)
        } catch {
            throw use.error("\(error.rawValue) in auth_http \"\(Word(url).text)\"")
        }
    }

    private static func service(_ url: [UInt8], _ names: NameTable) throws(AddressSyntax.Failure) -> HTTPAuthService {
        guard !url.contains(where: \.isASCIIControl) else { throw .invalidHost }
        let written = try AddressSyntax(url, in: .url)
        let address = try SocketAddress.resolve(written, defaultPort: 80, names)[0]
        let host =
            if case .unix = written.host { Array("localhost".utf8) } else { host(of: url.dropLast(written.uri.count)) }
        return HTTPAuthService(address: address, host: host, uri: written.uri.isEmpty ? [0x2F] : written.uri)
    }

    /// The host as it was written, without its port; IPv6 keeps its brackets.
    private static func host(of authority: ArraySlice<UInt8>) -> [UInt8] {
        let end =
            authority.first == 0x5B ? authority.firstIndex(of: 0x5D).map { $0 + 1 } : authority.firstIndex(of: 0x3A)
        return Array(authority[..<(end ?? authority.endIndex)])
    }
}
