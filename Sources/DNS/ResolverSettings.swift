package import Config
import Observability
package import Platform

/// One use of `resolver`. It is known by its identity: every server block that inherits it shares a resolver.
package final class ResolverDirective: Sendable {
    /// At least one.
    package let servers: [SocketAddress]
    /// How long answers are kept, whatever they say.
    package let validity: Duration?
    package let usesIPv4: Bool
    package let usesIPv6: Bool

    package init(servers: [SocketAddress], validity: Duration? = nil, usesIPv4: Bool = true, usesIPv6: Bool = true) {
        (self.servers, self.validity) = (servers, validity)
        (self.usesIPv4, self.usesIPv6) = (usesIPv4, usesIPv6)
    }
}

/// `resolver` and `resolver_timeout`.
package struct ResolverSettings: SettingsBlock {
    /// nil: names are not looked up.
    package var resolver: ResolverDirective?
    package var timeout = Duration.seconds(30)

    package init() {}

    package static var title: String { "Client names" }

    package static var directives: [Directive<ResolverSettings>] {
        [
            Directive(
                "resolver", in: [.mail, .server], arguments: .atLeast(1),
                placeholder: "address[:port] ... [valid=time] [ipv4=on | off] [ipv6=on | off] | off", default: "off",
                """
                The DNS servers that are asked for the names of SMTP clients. A client's address is looked up before it is \
                greeted, and the name that is found must have the address again; then the authentication service \
                (`Client-Host`) and the server behind (`XCLIENT NAME=`) are told it. A client without such a name is \
                `[UNAVAILABLE]`, one whose name could not be found out is `[TEMPUNAVAIL]`; without a resolver all are \
                `[UNAVAILABLE]`. Servers take turns, and one that does not answer within 5 seconds is followed by the next; \
                the port is 53 where none is given. A host name among them is resolved once, when the configuration is \
                read. What was found is kept as long as its TTL says, or as `valid` says. `ipv4=off` and `ipv6=off` \
                leave out the addresses of that family.
                """
            ) { use throws(ConfigError) in
                let resolver = try ResolverDirective.read(use)
                return { $0.resolver = resolver }
            },
            Directive(
                "resolver_timeout", in: [.mail, .server], \.timeout, .time,
                """
                How long the name of a client's address may take to be found, and again the addresses of that name: so \
                long the greeting waits at most. 0 sets no limit.
                """),
        ]
    }
}

extension ResolverDirective {
    /// - Returns: nil for `off`.
    fileprivate static func read(_ use: borrowing DirectiveUse) throws(ConfigError) -> ResolverDirective? {
        if use.arguments[0].text == "off" { return nil }
        var servers: [SocketAddress] = []
        var validity: Duration?
        var families = (ipv4: true, ipv6: true)
        for word in use.arguments {
            if word.hasParameter("valid=") {
                guard let time = ConfigValue.seconds(word.bytes.dropFirst(6)) else { throw invalid(word, use) }
                validity = time
            } else if word.hasParameter("ipv4=") {
                families.ipv4 = try flag(word, use)
            } else if word.hasParameter("ipv6=") {
                families.ipv6 = try flag(word, use)
            } else {
                servers += try addresses(word, use)
            }
        }
        guard families.ipv4 || families.ipv6 else { throw use.error("\"ipv4\" and \"ipv6\" cannot both be \"off\"") }
        guard !servers.isEmpty else { throw use.error("no name servers defined") }
        return ResolverDirective(
            servers: servers, validity: validity, usesIPv4: families.ipv4, usesIPv6: families.ipv6)
    }

    private static func flag(_ word: Word, _ use: borrowing DirectiveUse) throws(ConfigError) -> Bool {
        switch String(decoding: word.bytes.dropFirst(5), as: UTF8.self) {
        case "on": true
        case "off": false
        default: throw invalid(word, use)
        }
    }

    private static func invalid(_ word: Word, _ use: borrowing DirectiveUse) -> ConfigError {
        use.error("invalid parameter: \(word.text)")
    }

    private static func addresses(_ word: Word, _ use: borrowing DirectiveUse) throws(ConfigError) -> [SocketAddress] {
        do throws(AddressSyntax.Failure) {
            let written = try AddressSyntax(word.bytes, in: .server)
            // Name servers are asked over UDP and TCP.
            if case .unix = written.host { throw .invalidHost }
            return try SocketAddress.resolve(written, defaultPort: 53, use.environment.names)
        } catch {
            throw use.error("\(error.rawValue) in resolver \"\(word.text)\"")
        }
    }
}

extension Word {
    fileprivate func hasParameter(_ name: String) -> Bool { bytes.starts(with: name.utf8) }
}
