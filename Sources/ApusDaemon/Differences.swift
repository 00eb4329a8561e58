import Config

/// Where Apus behaves otherwise than nginx's mail module, for the manual and for `--from-nginx`: each entry is what nginx does,
/// what Apus does instead, and what a configuration has that it matters to.
enum Differences {
    static var table: [Difference] { names + safety + service + processes }

    private static var names: [Difference] {
        [
            Difference(
                "The program's name in messages, the syslog tag and the version string is `nginx`.",
                "`apus`, `Apus/VERSION`.",
                mattersTo: .any
            ),
            Difference(
                "Listening sockets are inherited through the variable `NGINX`.",
                "Through `APUS`; `NGINX` is understood as well. What else a binary upgrade hands on stands in `APUS_STATE`.",
                mattersTo: .any
            ),
            Difference(
                "`http {}` and `stream {}` are unknown directives; `load_module` loads.",
                """
                An error that says how to go on, or `foreign_blocks ignore`; nginx's own modules are ignored with a notice, \
                others are an error.
                """,
                mattersTo: .using("http"), .using("stream"), .using("load_module")
            ),
            Difference(
                "An error of the configuration is one line.",
                "A second one, level `notice`, may help: `did you mean \"worker_processes\"?`.",
                mattersTo: .any
            ),
            Difference(
                "A comment of more than 4096 bytes is too long.",
                "It may be of any length."
            ),
        ]
    }

    private static var safety: [Difference] {
        [
            Difference(
                "Control characters in decoded SASL credentials go on to the authentication service and the server behind.",
                "They are refused like a malformed response.",
                mattersTo: .any
            ),
            Difference(
                "Control characters of a login reach the error log as they are.",
                "They are escaped (`\\n`, `\\x00`): one event is one line.",
                mattersTo: .any
            ),
            Difference(
                "Where a server behind repeats the command it refuses, the password in it reaches the error log.",
                "What the log shows of the reply ends before it.",
                mattersTo: .any
            ),
            Difference(
                "EXTERNAL with an initial response is taken when it is not listed.",
                "Only when listed. PLAIN and LOGIN work unlisted as in nginx, unless `auth_strict` is on.",
                mattersTo: .any
            ),
            Difference("An empty IMAP literal size, `{}`, counts as 0.", "`BAD`.", mattersTo: .serving("imap")),
            Difference(
                "NUL and other control characters in the arguments of HELO, EHLO, MAIL and RCPT are taken.",
                "`501 5.5.4 Invalid argument`.",
                mattersTo: .serving("smtp")
            ),
            Difference(
                "`client was rejected` quotes the whole receive buffer, which may hold a password.",
                "It quotes the command; of an AUTH command only the mechanism is ever shown.",
                mattersTo: .serving("smtp")
            ),
            Difference(
                "Commands sent together with a MAIL command that is refused with 530 are destroyed.",
                "They are carried out.",
                mattersTo: .serving("smtp")
            ),
            Difference(
                "An SMTP server behind that sends several replies to one command is trusted.",
                "That is an invalid response, except for what follows the reply to RCPT: it is relayed.",
                mattersTo: .serving("smtp")
            ),
            Difference(
                "XCLIENT gives `unix:` as the address of a client on a UNIX socket, which Postfix refuses.",
                "`ADDR=[UNAVAILABLE]`, as Postfix has it for an address that is not known.",
                mattersTo: .serving("smtp")
            ),
            Difference(
                "An IMAP literal of no bytes swallows the byte after it.", "It is an empty string.",
                mattersTo: .serving("imap")),
            Difference(
                "A quoted string that ends with the line is taken as closed; a line may begin with a space.",
                "Both are refused.",
                mattersTo: .serving("imap")
            ),
            Difference(
                "NUL in the arguments of IMAP's LOGIN, and line ends in its user name, go on.",
                "`BAD`.",
                mattersTo: .serving("imap")
            ),
            Difference(
                "Invalid Base64 in the user name line of AUTHENTICATE LOGIN is answered without a tag.",
                "With the tag of the command.",
                mattersTo: .serving("imap")
            ),
            Difference(
                "A response to AUTHENTICATE must fit what is left of `imap_client_buffer`.",
                "A response has a limit of its own, 12,288 bytes (RFC 4954); commands keep theirs.",
                mattersTo: .serving("imap")
            ),
            Difference(
                "A response to POP3's AUTH must fit the 128 bytes of a command line.",
                "It may have 12,288 bytes, an initial response too; commands keep their 128.",
                mattersTo: .serving("pop3")
            ),
            Difference(
                "Control characters in the arguments of USER, PASS and APOP go on.",
                "The command is refused. Such a user or password from elsewhere is an internal error; nothing is sent.",
                mattersTo: .serving("pop3")
            ),
            Difference(
                "`client sent too long command` quotes what was received, which may hold a password.",
                "It quotes the tag and the command word, and the rest only of commands that take no password.",
                mattersTo: .any
            ),
            Difference(
                "At level `debug` the log shows what clients send, passwords included.",
                "It never does.",
                mattersTo: .any
            ),
            Difference(
                "The lines after a login that failed within its exchange show its user name.",
                "Only user names that were asked about are shown.",
                mattersTo: .any
            ),
            Difference(
                "The server behind fails the login when it sends more than the reply to LOGIN at once.",
                "What follows the reply is relayed.",
                mattersTo: .serving("imap")
            ),
            Difference(
                "The server behind fails the login when it sends more than one untagged line before that reply, but not by a NUL.",
                "All such lines are relayed with the reply; a NUL in a reply is an invalid response.",
                mattersTo: .serving("imap")
            ),
            Difference(
                "An IMAP server behind is sent user and password one after the other.",
                "At once when its greeting says that it takes such literals (`LITERAL+`, `LITERAL-`).",
                mattersTo: .serving("imap")
            ),
            Difference(
                "Pipelined commands longer than the buffer together are refused as too long.",
                "Each command counts for itself.",
                mattersTo: .any
            ),
            Difference(
                "`imap_client_buffer`, `smtp_client_buffer` and `proxy_buffer` are the size of what a session allocates.",
                "They are limits; memory is taken as it is needed.",
                mattersTo: .any
            ),
            Difference(
                "A client may give any number of commands before it logs in.",
                "1000, lines of an authentication exchange included (`max_commands`).",
                mattersTo: .any
            ),
            Difference(
                "There are no password files; EXTERNAL is for the authentication service to judge.",
                "So it is with `auth_http`. With `auth_passwd_file`, EXTERNAL is refused unless a verified client certificate names the user."
            ),
            Difference(
                "Of several faults of a client certificate the last one found counts, which `optional_no_ca` may overlook.",
                "The worst one counts.",
                mattersTo: .using("ssl_verify_client")
            ),
        ]
    }

    private static var service: [Difference] {
        [
            Difference(
                "An answer of the authentication service without `Auth-Status` accepts.",
                "It is an internal error, and the log says so.",
                mattersTo: .using("auth_http")
            ),
            Difference(
                "An empty `Auth-Status` accepts in SMTP.",
                "It refuses, as it does in IMAP and POP3.",
                mattersTo: .serving("smtp")
            ),
            Difference(
                "An answer that ends before its headers do is not logged.",
                "`auth http server ADDRESS prematurely closed connection`, level error.",
                mattersTo: .using("auth_http")
            ),
            Difference(
                "A server behind that closes the connection during the login is not logged.",
                "`upstream prematurely closed connection`, level error.",
                mattersTo: .any
            ),
            Difference(
                "The HTTP status of an answer is ignored.",
                "Without a status of 2xx nothing is accepted; a refusal in such an answer is honoured.",
                mattersTo: .using("auth_http")
            ),
            Difference(
                "Control characters in `Auth-Status`, `Auth-User` and `Auth-Pass` go on.",
                "The answer is refused as malformed.",
                mattersTo: .using("auth_http")
            ),
            Difference(
                "`proxy_pass_error_message` passes on a password of `Auth-Pass` that the server behind repeats.",
                "The client, which does not know it, hears an internal error.",
                mattersTo: .using("proxy_pass_error_message", argument: "on")
            ),
            Difference(
                "TLS sessions are resumed where another `ssl_crl` is in force than where they were made.",
                "They are not: a certificate that is revoked has to be shown anew.",
                mattersTo: .using("ssl_crl")
            ),
            Difference(
                "`Auth-Error-Code` may be anything.",
                "A reply code that does not begin with 4 or 5 counts as none: the reply begins with `535 5.7.0`.",
                mattersTo: .serving("smtp")
            ),
            Difference("An answer may have 1 KiB of headers.", "16 KiB.", mattersTo: .using("auth_http")),
            Difference(
                "Each login makes a connection of its own to the service.",
                """
                Connections are kept (`auth_http_keepalive`), and the request ends with `Connection: keep-alive`; \
                `auth_http_keepalive 0` does as nginx does.
                """,
                mattersTo: .using("auth_http")
            ),
            Difference(
                "An answer of a `resolver` server that is nonsense is ignored until `resolver_timeout` is over.",
                "The next server is asked at once; when all have answered so, the client's name is `[TEMPUNAVAIL]`.",
                mattersTo: .using("resolver")
            ),
            Difference(
                "A `resolver` server that refuses packets is followed by the next after 5 seconds.",
                "At once.",
                mattersTo: .using("resolver")
            ),
            Difference(
                "The name of an IPv4 client that is connected to an IPv6 socket is sought under `ip6.arpa`.",
                "Under `in-addr.arpa`, as that of other IPv4 clients.",
                mattersTo: .using("resolver")
            ),
            Difference(
                "A reverse name that is an alias, and comes without what it stands for, names nobody.",
                "The alias is followed.",
                mattersTo: .using("resolver")
            ),
            Difference(
                "A client that leaves while its name is looked up is noticed afterwards.",
                "Its session ends, and with the last who waits the look-up.",
                mattersTo: .using("resolver")
            ),
            Difference(
                "`WAIT` without `Auth-Wait` asks again without pause and without end.",
                "After a second, and no longer than five times `timeout`.",
                mattersTo: .using("auth_http")
            ),
        ]
    }

    private static var processes: [Difference] {
        [
            Difference(
                "Workers open log files; the master gives these to the workers' user.",
                "The master opens them and passes descriptors; the owner of a log file is not changed.",
                mattersTo: .any
            ),
            Difference(
                "USR1 makes a worker open its log files anew.",
                "The worker asks the master to; all logs are opened anew.",
                mattersTo: .any
            ),
            Difference(
                "`env TZ=ZONE` does not change the time in the lines that workers log.",
                "It does.",
                mattersTo: .using("env", argument: "TZ=")
            ),
            Difference(
                "A reload tells the old workers to quit after 100 ms.",
                "When every new worker has said that it accepts.",
                mattersTo: .any
            ),
            Difference(
                "The master stays when no worker can begin; the command of a daemon returns before there are workers.",
                "The start fails with status 1; the command returns when all workers accept.",
                mattersTo: .any
            ),
            Difference(
                "Orders to a running master are signals; what comes of them stands in the log.",
                """
                There is a control socket (`control`, beside the pid file by default) for `apusctl`, `-s upgrade` and `-w`, \
                which tell the outcome.
                """,
                mattersTo: .any
            ),
            Difference(
                "A service manager hears nothing, and its sockets are not known.",
                """
                systemd is told of readiness, reloads, the end and who is the main process (`NOTIFY_SOCKET`), its watchdog is \
                served, and listening sockets it passes on (`LISTEN_FDS`) are taken by address, or by name.
                """,
                mattersTo: .any
            ),
            Difference(
                "USR2 is refused in the foreground, and as long as an older master lives.",
                """
                Neither matters: only a new binary that this master has started itself must have ended. The pid file of \
                the newest old master is `.oldbin`, of older ones `.oldbin.PID`.
                """,
                mattersTo: .any
            ),
            Difference(
                "HUP to a master whose new binary runs starts a further set of workers.",
                "Only if WINCH has ended the ones it had.",
                mattersTo: .any
            ),
            Difference(
                "Sockets inherited from another master that the configuration does not name are closed.",
                """
                So they are when that master was Apus, but the file of a UNIX socket goes only when it has ended. When it was \
                nginx, the start fails unless `takeover_foreign_sockets` says `close`.
                """,
                mattersTo: .any
            ),
            Difference(
                "A reload reads the configuration in the master, which waits for slow names and files.",
                "In a child first, so the files are read twice; a FIFO of passphrases only by the master.",
                mattersTo: .any
            ),
            Difference(
                "TLS tickets are lost with each reload unless there is a shared cache or a key file.",
                "Their keys are shared by all workers and kept over reloads and upgrades while the certificates stay the same.",
                mattersTo: .using("ssl_certificate")
            ),
            Difference(
                "When `worker_connections` run out, the new connection is closed.",
                """
                Clients that have not logged in and were silent for a quarter of `timeout` give way first; then the new \
                connection is closed.
                """,
                mattersTo: .any
            ),
            Difference(
                "A PROXY header that comes in more than one segment is refused as broken.",
                "The rest is waited for, within `timeout` and 4096 bytes.",
                mattersTo: .using("listen", argument: "proxy_protocol")
            ),
            Difference(
                "Commands that come in one segment with a PROXY header wait until more comes.",
                "They are carried out.",
                mattersTo: .using("listen", argument: "proxy_protocol")
            ),
            Difference(
                "A client of a UNIX socket whose address a PROXY header replaced is announced with the socket's path.",
                "`proxy_protocol on` sends `PROXY UNKNOWN` wherever one side has no address of the Internet.",
                mattersTo: .using("proxy_protocol")
            ),
            Difference(
                "`proxy_timeout` counts from the client's last byte.",
                "From the last byte of either side.",
                mattersTo: .any
            ),
            Difference(
                "Sockets have neither `TCP_NODELAY` nor, unless asked for, keep-alive.",
                "`TCP_NODELAY` on both sides; clients' connections have keep-alive unless `so_keepalive` says otherwise.",
                mattersTo: .any
            ),
            Difference(
                "A worker that hangs is left alone; of one that crashes, the signal is logged.",
                "`worker_watchdog` ends and replaces it; a report says where each was.", mattersTo: .any
            ),
            Difference(
                "Workers keep capabilities that the master was given as an ordinary user; core files may be written of all.",
                "They have none and can get none; core files only with `worker_rlimit_core`.",
                mattersTo: .any
            ),
            Difference(
                "`worker_shutdown_timeout` ends relayed sessions only.",
                "It ends those before their login as well.",
                mattersTo: .using("worker_shutdown_timeout")
            ),
            Difference(
                "A quitting worker drops connections that the kernel has queued for it.",
                "It accepts them first.",
                mattersTo: .any
            ),
            Difference(
                "Unix sockets: a session is closed with unread bytes pending.",
                "What the client had sent is read first, so that its last reply is not lost in a reset.",
                mattersTo: .using("listen", argument: "unix:")
            ),
        ]
    }
}
