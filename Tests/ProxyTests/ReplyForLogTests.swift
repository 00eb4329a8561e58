import ApusMail
import Testing

@testable import Proxy

@Suite struct `A server's words in the log` {
    private func shown(
        _ reply: String, sent: String, password: String = "wonderland", login: String = "bob"
    ) -> String {
        let reply = reply.bytes
        let log = ReplyForLog(lastSent: Secret(sent.bytes), password: Secret(password.bytes), login: login.bytes)
        return String(decoding: log.shown(reply.span), as: UTF8.self)
    }

    @Test(
        arguments: [
            ("-ERR [AUTH] wrong", "PASS wonderland\r\n", "-ERR [AUTH] wrong"),
            ("500 bad command: PASS wonderland", "PASS wonderland\r\n", "500 bad command: PASS ..."),
            ("500 wonderland? wonderland!", "PASS wonderland\r\n", "500 ..."),
            // Cut off by the server.
            ("500 bad command: PASS wond", "PASS wonderland\r\n", "500 bad command: PASS ..."),
            ("500 bad command: PASS won", "PASS wonderland\r\n", "500 bad command: PASS won"),
            // In the form of a mechanism, whole and cut off.
            (
                "a BAD AUTHENTICATE PLAIN AGJvYgB3b25kZXJsYW5k unknown",
                "a AUTHENTICATE PLAIN AGJvYgB3b25kZXJsYW5k\r\n",
                "a BAD AUTHENTICATE PLAIN ..."
            ),
            ("a BAD AGJvYg", "a AUTHENTICATE PLAIN AGJvYgB3b25kZXJsYW5k\r\n", "a BAD ..."),
            ("NO 'AGJvYgB3b25k'", "AUTHENTICATE \"PLAIN\" \"AGJvYgB3b25k\"\r\n", "NO '..."),
            // What was sent before is no secret.
            ("a NO no such user bob", "a LOGIN bob wonderland\r\n", "a NO no such user bob"),
            ("", "PASS wonderland\r\n", ""),
        ])
    func `end before a secret`(reply: String, sent: String, expected: String) {
        #expect(shown(reply, sent: sent) == expected)
    }

    @Test func `tell the login, however long it is`() {
        let login = "bob.the.builder@example.com"
        #expect(shown("-ERR no \(login)", sent: "USER \(login)\r\n", login: login) == "-ERR no \(login)")
    }

    @Test func `an empty password hides nothing`() {
        #expect(shown("-ERR no", sent: "PASS \r\n", password: "") == "-ERR no")
        #expect(ReplyForLog().shown("-ERR no".bytes.span) == "-ERR no".bytes)
    }
}
