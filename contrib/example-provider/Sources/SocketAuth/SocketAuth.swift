import ApusMail

/// Users are authenticated by a service on a UNIX socket, one connection for each login. It is sent one line, `login`, tab,
/// `password`, tab, `address of the client`, and answers with one: `OK address port`, or `NO text for the user`.
public enum SocketAuth {
    /// The provider that `auth_socket` selects.
    public static var declaration: AuthProviderDeclaration {
        AuthProviderDeclaration(
            directive: "auth_socket", directives: AnyDirective.all(of: SocketAuthSettings.self),
            makeProvider: { SocketAuthProvider($0) })
    }
}

/// The directives of the provider.
struct SocketAuthSettings: SettingsBlock {
    var path: String?

    static var title: String { "Authentication by a service on a socket" }

    static var directives: [Directive<SocketAuthSettings>] {
        [
            Directive(
                "auth_socket", in: [.mail, .server], \.path, .optional(socketPath),
                "The UNIX socket of the service that is asked about each login.")
        ]
    }

    /// As much as unix(7) has room for.
    private static var socketPath: ArgumentSyntax<String> {
        .string("path").checked { use, path throws(ConfigError) in
            guard (1...107).contains(path.utf8.count) else {
                throw use.error("the path of a socket has 1 to 107 bytes")
            }
        }
    }
}

/// The provider of one `server` block.
final class SocketAuthProvider: AuthProvider {
    private let path: String
    private let loop: any WorkerLoop

    init(_ context: ProviderContext) {
        path = context.settings[SocketAuthSettings.self].path ?? ""
        loop = context.loop
    }

    /// The service knows passwords only.
    var canVerifyDigests: Bool { false }

    func decide(_ request: AuthRequest, answer: @escaping (Verdict) -> Void) -> any AuthInquiry {
        SocketInquiry(request, path, loop, answer)
    }
}
