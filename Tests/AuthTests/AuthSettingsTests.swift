import ApusMail
import Auth
import Config
import Platform
import Testing

@Suite struct `Directives of authentication` {
    static func read<Group: SettingsBlock>(
        _ name: String, _ arguments: String..., into group: Group.Type, isFirst: Bool = true, start: Group = Group()
    ) throws -> Group {
        let directive = try #require(Group.directives.first { $0.name == name })
        let use = DirectiveUse(
            name: name, arguments: arguments.map { Word($0) }, position: Position(file: "F", line: 3), isFirst: isFirst,
            environment: LoadingEnvironment(
                prefix: "/p/", configurationPrefix: "/etc/apus/", isPrivileged: false, warn: { _ in }))
        var block = start
        try directive.read(use)(&block)
        return block
    }

    @Test(
        arguments: [
            ("127.0.0.1", "127.0.0.1:80", "127.0.0.1", "/"),
            ("http://127.0.0.1:8080/auth?x=1", "127.0.0.1:8080", "127.0.0.1", "/auth?x=1"),
            ("127.0.0.1?x", "127.0.0.1:80", "127.0.0.1", "?x"),
            ("http://[::1]/a", "[::1]:80", "[::1]", "/a"),
            ("[2001:DB8::0]:81", "[2001:db8::]:81", "[2001:DB8::0]", "/"),
            ("unix:/run/a.sock", "unix:/run/a.sock", "localhost", "/"),
            ("http://unix:/run/a.sock:/x/y", "unix:/run/a.sock", "localhost", "/x/y"),
            ("unix:/run/a.sock:", "unix:/run/a.sock", "localhost", "/"),
        ])
    func `auth_http`(url: String, address: String, host: String, uri: String) throws {
        let service = try #require(try Self.read("auth_http", url, into: AuthHTTPSettings.self).service)
        #expect(service.address.text == address)
        #expect(String(decoding: service.host, as: UTF8.self) == host)
        #expect(String(decoding: service.uri, as: UTF8.self) == uri)
    }

    @Test(
        arguments: [
            ("http://", "no host", ""), (":80", "no host", ":80"), ("/x", "no host", "/x"),
            ("https://a/", "invalid port", "https://a/"), ("a:0", "invalid port", "a:0"),
            ("a:65536/x", "invalid port", "a:65536/x"), ("[::1", "invalid host", "[::1"),
            ("[::1]x", "invalid host", "[::1]x"), ("[x]", "invalid IPv6 address", "[x]"),
            ("unix:", "no path in the unix domain socket", "unix:"),
            ("http://unix::/x", "no path in the unix domain socket", "unix::/x"),
            ("host.invalid", "host not found", "host.invalid"),
        ])
    func `auth_http refused`(url: String, reason: String, shown: String) {
        let error = ConfigError("\(reason) in auth_http \"\(shown)\"", at: Position(file: "F", line: 3))
        #expect(throws: error) { try Self.read("auth_http", url, into: AuthHTTPSettings.self) }
    }

    @Test func `auth_http_header`() throws {
        var settings = try Self.read("auth_http_header", "X-Key", "a b", into: AuthHTTPSettings.self)
        settings = try Self.read(
            "auth_http_header", "Y", "", into: AuthHTTPSettings.self, isFirst: false, start: settings)
        #expect(settings.addedLines == [Array("X-Key: a b".utf8), Array("Y: ".utf8)])
        settings = try Self.read("auth_http_header", "Z", "z", into: AuthHTTPSettings.self, start: settings)
        #expect(settings.addedLines == [Array("Z: z".utf8)])
        #expect(throws: ConfigError.self) {
            try Self.read("auth_http_header", "X", "a\nb", into: AuthHTTPSettings.self)
        }
    }

    @Test func `numbers, times and flags`() throws {
        #expect(AuthHTTPSettings().timeout == .seconds(60))
        #expect(try Self.read("auth_http_timeout", "1m30s", into: AuthHTTPSettings.self).timeout == .seconds(90))
        #expect(try Self.read("auth_http_keepalive", "0", into: AuthHTTPSettings.self).keptConnections == 0)
        #expect(try Self.read("auth_http_pass_client_cert", "ON", into: AuthHTTPSettings.self).passesCertificate)
        #expect(try Self.read("auth_passwd_file_relay", "on", into: PasswdFileSettings.self).isRelay)
    }

    @Test(arguments: [("users", "/etc/apus/users"), ("/a/users", "/a/users")])
    func `auth_passwd_file`(name: String, path: String) throws {
        #expect(try Self.read("auth_passwd_file", name, into: PasswdFileSettings.self).path == path)
    }

    @Test(arguments: [("127.0.0.1:143", "127.0.0.1:143"), ("[::1]:1", "[::1]:1")])
    func `proxy_pass`(text: String, address: String) throws {
        #expect(try Self.read("proxy_pass", text, into: PasswdFileSettings.self).server?.text == address)
    }

    @Test(
        arguments: [
            ("127.0.0.1", "no port"), ("unix:/x", "invalid host"), ("[x]:1", "invalid IPv6 address"),
            ("a:b", "invalid port"),
        ])
    func `proxy_pass refused`(text: String, reason: String) {
        let error = ConfigError("\(reason) in proxy_pass \"\(text)\"", at: Position(file: "F", line: 3))
        #expect(throws: error) { try Self.read("proxy_pass", text, into: PasswdFileSettings.self) }
    }

    @Test func `every directive is documented, in mail and server`() {
        for directive in AnyDirective.all(of: AuthHTTPSettings.self) + AnyDirective.all(of: PasswdFileSettings.self) {
            #expect(directive.documentation.utf8.count > 80)
            #expect(directive.contexts == [.mail, .server])
        }
    }
}
