import ApusMail
import DNS
import EventLoop
import Observability
import Platform
import TLS

/// One `server` block as the sessions of a worker see it.
final class Server {
    let index: UInt16
    let declaration: ProtocolDeclaration
    let service: any ProtocolService
    let provider: any AuthProvider
    let settings: ServerSettings
    let startTLS: StartTLSPolicy
    let tls: TLSContext?
    let tlsSettings: TLSSettings
    let realIP: RealIPSettings
    /// Where clients' names are looked up; nil where they are not.
    let resolver: Resolver?
    let resolverTimeout: Duration
    let serverName: [UInt8]
    let log: Log

    init(
        index: UInt16, declaration: ProtocolDeclaration, service: any ProtocolService, provider: any AuthProvider,
        settings: ServerSettings, startTLS: StartTLSPolicy, tls: TLSContext?, tlsSettings: TLSSettings,
        realIP: RealIPSettings, resolver: Resolver?, resolverTimeout: Duration, serverName: [UInt8], log: Log
    ) {
        self.index = index
        self.declaration = declaration
        self.service = service
        self.provider = provider
        self.settings = settings
        self.startTLS = startTLS
        self.tls = tls
        self.tlsSettings = tlsSettings
        self.realIP = realIP
        self.resolver = resolver
        self.resolverTimeout = resolverTimeout
        self.serverName = serverName
        self.log = log
    }
}

/// What the relay asks about the server of a session.
struct RelayLimits {
    /// `proxy_timeout` in milliseconds.
    let timeout: UInt64
    let log: Log
}
