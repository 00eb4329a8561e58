import ApusMail
import Bytes
import Observability

/// What is known of a session, from accept to close. Every log line is made from it.
struct SessionRecord {
    /// Why a session ended before its relay; the names are stable.
    enum End: String {
        case clientClosed = "client_closed"
        case clientFailed = "client_failed"
        case clientTimeout = "timeout_client"
        case clientQuit = "client_quit"
        case proxyHeaderRefused = "client_proxy_header"
        case tlsFailed = "client_tls"
        case certificateRefused = "client_certificate"
        case spokeTooEarly = "client_too_early"
        case tooLong = "command_too_long"
        case tooManyErrors = "max_errors"
        case tooManyCommands = "max_commands"
        case authRefused = "auth_refused"
        case authFailed = "auth_failed"
        case upstreamConnect = "upstream_connect"
        case upstreamFailed = "upstream_failed"
        case upstreamTimeout = "timeout_upstream"
        case upstreamRefused = "upstream_refused"
        case internalError = "internal_error"
        case connectionsExhausted = "worker_connections"
        case shutdown
    }

    /// The connection number of the log.
    let number: UInt64
    /// The client's address as text, without port.
    var clientAddress: [UInt8]
    /// The `listen` that matched, as the log shows it.
    let listener: [UInt8]
    /// What is shown after "while"; empty when nothing is.
    var activity: StaticString = "sending client greeting line"
    var usesStartTLS = false
    var login: [UInt8] = []
    /// `ADDRESS:PORT` as the provider gave it.
    var upstream: [UInt8] = []
    var method: AuthenticationMethod?
    var loginAttempts = 0
    /// Milliseconds of the monotonic clock.
    let acceptedAt: UInt64
    var authenticatedAt: UInt64 = 0
    var end: End?

    /// `[ while ACTION], client: ADDR[ using starttls], server: LISTEN[, login: "LOGIN"][, upstream: ADDR:PORT]`
    func appendContext(to line: inout LogLine, withActivity: Bool = true) {
        if withActivity && activity.utf8CodeUnitCount > 0 {
            line.append(" while ")
            line.append(activity)
        }
        line.append(", client: ")
        line.append(escaped: clientAddress)
        if usesStartTLS { line.append(" using starttls") }
        line.append(", server: ")
        line.append(escaped: listener)
        if !login.isEmpty {
            line.append(", login: \"")
            line.append(escaped: login)
            line.append("\"")
        }
        if !upstream.isEmpty {
            line.append(", upstream: ")
            line.append(escaped: upstream)
        }
    }

    /// The context without activity as bytes, raw: for the relay, which escapes when it logs.
    var relayContext: [UInt8] {
        var bytes: [UInt8] = []
        bytes += ", client: ".utf8
        bytes += clientAddress
        if usesStartTLS { bytes += " using starttls".utf8 }
        bytes += ", server: ".utf8
        bytes += listener
        if !login.isEmpty {
            bytes += ", login: \"".utf8
            bytes += login
            bytes += "\"".utf8
        }
        if !upstream.isEmpty {
            bytes += ", upstream: ".utf8
            bytes += upstream
        }
        return bytes
    }
}
