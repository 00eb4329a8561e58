package import Config
package import Observability

/// The `events` block.
package struct EventsSettings: SettingsBlock {
    package var connectionLimit = 512
    package var method = "epoll"
    package var acceptsMany = false
    package var usesAcceptMutex = false
    package var acceptDelay = Duration.milliseconds(500)
    /// Peers whose sessions are logged at debug level.
    package var debugNetworks: [PeerNetwork] = []
    package var eventsPerTurn = 512
    package var aioRequests = 32

    package init() {}

    package static var title: String { "Connections" }

    package static var directives: [Directive<EventsSettings>] {
        countDirectives + acceptDirectives + [debugDirective]
    }

    private static var countDirectives: [Directive<EventsSettings>] {
        [
            Directive(
                "worker_connections", in: .events, \.connectionLimit, .quotedNumber,
                """
                How many connections a worker may have at a time: to clients, to servers behind, to authentication \
                services, and its listening sockets. A relayed session takes two. A client for whom there is no \
                room is disconnected before the greeting.
                """),
            Directive(
                "use", in: .events, \.method, .eventMethod,
                "How readiness is learned. Apus always uses `epoll`; the other names are accepted for nginx's sake."),
            Directive(
                "epoll_events", in: .events, \.eventsPerTurn, .number,
                "How many events one call of epoll_wait fetches at most."),
            Directive(
                "worker_aio_requests", in: .events, \.aioRequests, .number,
                "Accepted so that configurations of nginx can be kept; Apus reads no files asynchronously."),
        ]
    }

    private static var acceptDirectives: [Directive<EventsSettings>] {
        [
            Directive(
                "multi_accept", in: .events, \.acceptsMany, .flag,
                """
                Whether a worker accepts all clients that wait when it is woken, or one. With `off`, clients spread \
                more evenly over the workers.
                """),
            Directive(
                "accept_mutex", in: .events, \.usesAcceptMutex, .flag,
                """
                Accepted so that configurations of nginx can be kept. The kernel wakes one worker for each new client, \
                so Apus needs no mutex around it.
                """),
            Directive(
                "accept_mutex_delay", in: .events, \.acceptDelay, .time,
                "How long a worker that ran out of descriptors waits before it accepts again."),
        ]
    }

    private static var debugDirective: Directive<EventsSettings> {
        Directive(
            "debug_connection", in: .events, arguments: .exactly(1), placeholder: "address | CIDR | host | unix:",
            default: nil, repetition: .accumulates,
            """
            Clients from this address or network are logged at level `debug`, in every log their server has, whatever \
            its level. An IPv4 entry matches IPv4 sockets only. May be repeated.
            """
        ) { use throws(ConfigError) in
            let networks = try PeerNetwork.read(use)
            return { $0.debugNetworks += networks }
        }
    }
}

extension ArgumentSyntax where Value == Int {
    /// A number whose error quotes it.
    fileprivate static var quotedNumber: ArgumentSyntax<Int> {
        ArgumentSyntax(placeholder: "number") { use, word throws(ConfigError) in
            guard let number = ConfigValue.number(word.bytes) else {
                throw use.error("invalid number \"\(word.text)\"")
            }
            return number
        } print: {
            String($0)
        }
    }
}

extension ArgumentSyntax where Value == String {
    fileprivate static var eventMethod: ArgumentSyntax<String> {
        ArgumentSyntax(placeholder: "epoll | poll | select") { use, word throws(ConfigError) in
            guard ["epoll", "poll", "select"].contains(word.text) else {
                throw use.error("invalid event type \"\(word.text)\"")
            }
            return word.text
        } print: {
            $0
        }
    }
}
