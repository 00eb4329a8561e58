import CAres
import CLinux
import EventLoop
import Glibc
import Observability
import Platform

/// One way to one name server, UDP or TCP: a channel of c-ares that waits in our loop.
///
/// c-ares makes the sockets, sends, receives, and matches answers with queries by id, question and source address. Which
/// server is asked when is decided here (``Exchange``): a channel has one server and tries once. It reads neither
/// `/etc/resolv.conf` nor `/etc/hosts`, and knows no search domains.
final class Channel {
    enum Outcome {
        /// The bytes are lent.
        case answered(UnsafeBufferPointer<UInt8>)
        /// The query could not be sent, or the server cannot be reached; the log says why.
        case lost
        /// There is no question for such a name (`.onion`: RFC 7686).
        case impossible
        /// Nothing came within ``patience``, or the channel is gone.
        case silent
    }

    /// How long an answer is taken: longer than until another server is asked, so that slow ones count too.
    private static let patience = Duration.seconds(10)
    /// Queries of one channel that are under way.
    private static let mostOutstanding = 4096

    let server: SocketAddress
    let isStream: Bool
    let loop: EventLoop
    let log: Log
    let takeNumber: () -> UInt64
    private var channel: ares_channel?
    private let functions: UnsafeMutablePointer<ares_socket_functions>
    var sockets: [CInt: ChannelSocket] = [:]
    private var usedIDs: Set<UInt16> = []
    private var timer: TimerHandle?

    init(
        to server: SocketAddress, isStream: Bool, loop: EventLoop, log: Log, takeNumber: @escaping () -> UInt64
    ) {
        (self.server, self.isStream, self.loop, self.log) = (server, isStream, loop, log)
        self.takeNumber = takeNumber
        functions = .allocate(capacity: 1)
        functions.initialize(to: Self.socketFunctions)
    }

    deinit {
        if let channel { ares_destroy(channel) }
        loop.cancel(&timer)
        functions.deallocate()
    }

    // MARK: Asking

    /// - Parameters:
    ///   - name: As ``DomainName/normalized(_:)`` gives it.
    ///   - answer: Called exactly once, perhaps before this returns.
    func ask(_ name: [UInt8], _ type: RecordType, answer: @escaping (Outcome) -> Void) {
        guard let channel = channel ?? open(), let id = freeID() else { return answer(.lost) }
        var query: UnsafeMutablePointer<UInt8>?
        var length: CInt = 0
        let status = (name + [0]).withUnsafeBytes { text in
            ares_create_query(
                text.bindMemory(to: CChar.self).baseAddress, 1, CInt(type.rawValue), id, 1, &query, &length, 0)
        }
        guard status == ARES_SUCCESS, let query else { return answer(.impossible) }
        defer { ares_free_string(query) }
        usedIDs.insert(id)
        let attempt = Attempt(id: id, channel: self, answer: answer)
        ares_send(channel, query, length, Self.received, Unmanaged.passRetained(attempt).toOpaque())
        watchClock()
    }

    /// An id that no query of this channel has: c-ares' own are only as random as its version (CVE-2023-31147).
    private func freeID() -> UInt16? {
        guard usedIDs.count < Self.mostOutstanding else { return nil }
        while true {
            let id = UInt16.random(in: .min ... .max)
            if !usedIDs.contains(id) { return id }
        }
    }

    private final class Attempt {
        let id: UInt16
        weak var channel: Channel?
        let answer: (Outcome) -> Void
        init(id: UInt16, channel: Channel, answer: @escaping (Outcome) -> Void) {
            (self.id, self.channel, self.answer) = (id, channel, answer)
        }
    }

    private static let received: ares_callback = { context, status, _, bytes, count in
        guard let context else { return }
        let attempt = Unmanaged<Attempt>.fromOpaque(context).takeRetainedValue()
        attempt.channel?.usedIDs.remove(attempt.id)
        switch status {
        case ARES_SUCCESS:
            attempt.answer(.answered(UnsafeBufferPointer(start: bytes, count: max(0, Int(count)))))
        case ARES_ETIMEOUT, ARES_EDESTRUCTION: attempt.answer(.silent)
        default: attempt.answer(.lost)
        }
    }

    // MARK: The channel

    private func open() -> ares_channel? {
        var options = ares_options()
        // Answers are handed over as they are, whatever they say: it is we who judge them.
        options.flags =
            ARES_FLAG_NOCHECKRESP | ARES_FLAG_IGNTC | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES
            | (isStream ? ARES_FLAG_USEVC : 0)
        options.timeout = CInt(Self.patience.milliseconds)
        options.tries = 1
        options.ndots = 1
        options.sock_state_cb = Self.watch
        options.sock_state_cb_data = Unmanaged.passUnretained(self).toOpaque()
        // All that would be read from /etc/resolv.conf is given, were it empty: then the file is not opened.
        let mask =
            ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_SOCK_STATE_CB
            | ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_LOOKUPS | ARES_OPT_NOROTATE
        var opened: ares_channel?
        var placeholder = in_addr()
        var lookups: [CChar] = [0x62, 0]  // "b": DNS alone
        let status = lookups.withUnsafeMutableBufferPointer { lookups in
            withUnsafeMutablePointer(to: &placeholder) { placeholder in
                options.servers = placeholder
                options.nservers = 1
                options.lookups = lookups.baseAddress
                return ares_init_options(&opened, &options, mask)
            }
        }
        guard status == ARES_SUCCESS, let opened else {
            log.write(.alert, "ares_init_options() failed, status \(status)")
            return nil
        }
        ares_set_socket_functions(opened, functions, Unmanaged.passUnretained(self).toOpaque())
        setServer(of: opened)
        channel = opened
        return opened
    }

    private func setServer(of channel: ares_channel) {
        var node = ares_addr_port_node()
        node.family = server.family
        node.udp_port = CInt(server.port)
        node.tcp_port = CInt(server.port)
        switch server.host {
        case .ipv4(let bytes), .ipv6(let bytes):
            withUnsafeMutableBytes(of: &node.addr) { $0.copyBytes(from: bytes.prefix($0.count)) }
        case .unix: break  // the configuration admits none
        }
        ares_set_servers_ports(channel, &node)
    }

    // MARK: Events

    func process(_ descriptor: CInt, _ events: Events) {
        guard let channel else { return }
        let none = CInt(-1)
        ares_process_fd(channel, events.canRead ? descriptor : none, events.canWrite ? descriptor : none)
        watchClock()
    }

    /// Tells c-ares when the first of its queries has waited long enough. All wait equally long, so that a timer that
    /// runs is never too late.
    private func watchClock() {
        guard timer == nil, let channel else { return }
        var wait = timeval()
        guard ares_timeout(channel, nil, &wait) != nil else { return }
        // Rounded up: one that fires early would fire again at once.
        let delay = Duration.milliseconds(Int64(wait.tv_sec) * 1000 + Int64(wait.tv_usec) / 1000 + 1)
        timer = loop.schedule(after: delay) { [weak self] in
            guard let self else { return }
            timer = nil
            process(-1, [])
        }
    }
}
