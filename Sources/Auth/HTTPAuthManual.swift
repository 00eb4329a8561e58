package import Config

/// What a service for `auth_http` has to understand and to answer, for the manual: the contract of nginx's mail module.
package enum HTTPAuthManual {
    package static var tables: [ManualTable] { [requests, answers] }

    private static var requests: ManualTable {
        ManualTable(
            title: "Requests to the authentication service",
            """
            For each attempt to log in, the service of `auth_http` gets a request, `GET /uri HTTP/1.0`, with these headers in \
            this order (with `none`, one for each recipient). In `Auth-User`, `Auth-Pass`, `Auth-Salt` and `Auth-SSL-Cert`, \
            the bytes 0 to 32 and `%` are written as `%XX`, and the service has to decode them: the password `my pass` comes \
            as `my%20pass`.
            """,
            columns: ("Header", "What it tells"),
            rows: [
                ("Host", "The host of `auth_http`, without the port; `localhost` for a UNIX socket."),
                (
                    "Auth-Method",
                    """
                    How the client authenticates: `plain` (any password, whatever command it came in), `apop`, `cram-md5`, \
                    `external`, `none` (mail without a login), `xoauth2`, `oauthbearer`.
                    """
                ),
                ("Auth-User", "The login; empty with `none`."),
                (
                    "Auth-Pass",
                    """
                    The password; with `xoauth2` and `oauthbearer` the token; with `apop` and `cram-md5` the client's digest, \
                    in hexadecimal; empty with `external` and `none`.
                    """
                ),
                ("Auth-Salt", "With `apop` and `cram-md5`: the challenge that the digest was made for."),
                ("Auth-Protocol", "The argument of `protocol`: `imap`, `pop3`, `smtp`, `sieve`."),
                ("Auth-Login-Attempt", "1 for the first attempt of a session, then 2, and so on."),
                ("Client-IP", "The client's address; `unix:` for UNIX sockets."),
                ("Client-Host", "SMTP: the client's host name, `[UNAVAILABLE]`, or `[TEMPUNAVAIL]` (`resolver`)."),
                (
                    "Proxy-Protocol-Addr, Proxy-Protocol-Port, Proxy-Protocol-Server-Addr, Proxy-Protocol-Server-Port",
                    "With `listen ... proxy_protocol`: what the client's PROXY header said."
                ),
                (
                    "Auth-SMTP-Helo, Auth-SMTP-From, Auth-SMTP-To",
                    "With `none`: the argument of HELO or EHLO, and the client's MAIL and RCPT commands."
                ),
                (
                    "Auth-SSL",
                    "`on`. This and the headers below that begin like it are there only when the client uses TLS."
                ),
                ("Auth-SSL-Protocol, Auth-SSL-Cipher", "As OpenSSL names them: `TLSv1.3`, `TLS_AES_256_GCM_SHA384`."),
                ("Auth-SSL-Verify", "With `ssl_verify_client`: `SUCCESS`, `FAILED:reason`, or `NONE`."),
                (
                    "Auth-SSL-Subject, Auth-SSL-Issuer, Auth-SSL-Serial, Auth-SSL-Fingerprint",
                    "Of the client's certificate, where it has shown one."
                ),
                ("Auth-SSL-Cert", "With `auth_http_pass_client_cert`: that certificate itself, PEM."),
                (
                    "Connection",
                    "`keep-alive`, unless `auth_http_keepalive` is 0. The headers of `auth_http_header` come before it."
                ),
            ])
    }

    private static var answers: ManualTable {
        ManualTable(
            title: "Answers of the authentication service",
            """
            Headers decide; a body is ignored. The status line and the headers may have 16 KiB. A login is let in by \
            `Auth-Status: OK` with `Auth-Server` and `Auth-Port`, in an answer whose HTTP status is 2xx or that has no status \
            line, and by nothing else.
            """,
            columns: ("Header", "What it means"),
            rows: [
                (
                    "Auth-Status",
                    """
                    `OK`; `WAIT`: ask again after `Auth-Wait`; anything else refuses, and is the text that the client is \
                    told.
                    """
                ),
                ("Auth-Server", "The address of the server behind, IPv4 or IPv6, no name."),
                ("Auth-Port", "Its port."),
                ("Auth-User", "What the server behind is told as the login, instead of the client's."),
                (
                    "Auth-Pass",
                    """
                    What the server behind is told as the password. Where the client gave none (`apop`, `cram-md5`, \
                    `external`), only SMTP can do without it, and not with `proxy_smtp_auth`.
                    """
                ),
                (
                    "Auth-Wait",
                    """
                    With a refusal: seconds, a day at most, after which the client is told, and may try again; without it, \
                    or with 0, the session ends with the refusal. With `WAIT`: seconds, one at least, until the service \
                    is asked again, for five times `timeout` in all.
                    """
                ),
                (
                    "Auth-Error-Code",
                    "SMTP: the reply code of a refusal, instead of `535 5.7.0`, if it begins with 4 or 5."
                ),
                (
                    "Auth-Error-SASL",
                    "With `xoauth2` and `oauthbearer`: the error data that the client is told before a refusal, Base64."
                ),
            ])
    }
}
