package import Config

/// The header of the PROXY protocol that a server behind is sent.
package enum ProxyHeaderVersion: Sendable { case off, version1, version2 }

/// What the sessions of a `server` block go by, whatever their protocol.
package struct ServerSettings: SettingsBlock {
    package var timeout = Duration.seconds(60)
    /// Empty: the machine's host name.
    package var serverName: [UInt8] = []
    package var maxErrors = 5
    package var maxCommands = 1000
    package var isStrict = false
    /// `proxy`: read and without effect, as in nginx.
    package var isProxy = false
    package var proxyBuffer = 4096
    package var proxyTimeout = Duration.seconds(86_400)
    package var passesErrorMessages = false

    /// How much of a server's reply is held; with `proxy_buffer 0` any is too long.
    var replyLimit: Int { max(proxyBuffer, 1) }
    package var upstreamProxyHeader = ProxyHeaderVersion.off
    /// The argument of `protocol`, or what the first `listen` with a well-known port says.
    package var protocolName: String?

    package init() {}

    package static var title: String { "Sessions" }

    package static var directives: [Directive<ServerSettings>] {
        [
            Directive(
                "timeout", in: [.mail, .server], \.timeout, .time,
                """
                How long a client may take before it is logged in: to send its PROXY header, to shake hands, and from the \
                greeting to complete credentials, commands and replies in between included. The same time limits the login \
                at the server behind, from the beginning of the connect, and each stalled reply.
                """),
            Directive(
                "server_name", in: [.mail, .server], \.serverName, .word("name"),
                """
                The name Apus calls itself by in greetings and challenges. Without it, or with an empty one, the \
                machine's host name in lower case.
                """),
            Directive(
                "max_errors", in: [.mail, .server], \.maxErrors, .number,
                """
                The number of commands that cannot be understood after which the connection is closed. Commands that are \
                well formed but not allowed do not count. 0 is taken as 1.
                """),
            Directive(
                "max_commands", in: [.mail, .server], \.maxCommands, .number,
                """
                The number of commands a client may give before it is logged in, lines of an authentication exchange \
                included. The next one is answered like one that cannot be understood, and the connection is closed. \
                Commands that cannot be understood count for `max_errors` instead.
                """),
            Directive(
                "auth_strict", in: [.mail, .server], \.isStrict, .flag,
                """
                Refuses every authentication mechanism that is not listed in `imap_auth` or its like. Without it PLAIN and LOGIN \
                work whether they are listed or not, as in nginx: the list then only says what is advertised.
                """),
            Directive(
                "proxy", in: [.mail, .server], \.isProxy, .flag,
                "Accepted for the sake of old configurations; it has no effect."),
            Directive(
                "proxy_buffer", in: [.mail, .server], \.proxyBuffer, .size,
                """
                The longest reply of the server behind that is read during its login dialog. Relayed bytes do not pass \
                through it.
                """),
            Directive(
                "proxy_timeout", in: [.mail, .server], \.proxyTimeout, .time,
                """
                How long a relayed session may be silent. Bytes in either direction start the time anew (in nginx only \
                the client's do).
                """),
            Directive(
                "proxy_pass_error_message", in: [.mail, .server], \.passesErrorMessages, .flag,
                """
                Whether the client hears what the server behind says when it refuses the login; otherwise it hears an \
                internal error.
                """),
            Directive(
                "proxy_protocol", in: [.mail, .server], \.upstreamProxyHeader,
                .choice([("off", .off), ("on", .version1), ("v2", .version2)]),
                """
                Whether the server behind is first sent a header of the PROXY protocol, which tells it the client's address: \
                `on` for version 1, a line of text; `v2` for version 2, which also tells the facts of the client's TLS \
                and ends with a checksum. The server must expect it.
                """),
        ]
    }
}
