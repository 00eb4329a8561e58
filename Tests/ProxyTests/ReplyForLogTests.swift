import ApusMail
import Testing

@testable import Proxy

@Suite struct `A server's words in the log` {
    private func shown(_ reply: String, sent parts: [Secret.Part], password: String = "wonderland") -> String {
        let reply = reply.bytes
        let log = ReplyForLog(lastSent: Secret(joining: parts), password: Secret(password.bytes))
        return String(decoding: log.shown(reply.span), as: UTF8.self)
    }

    @Test(
        arguments: [
            ("-ERR [AUTH] wrong", "-ERR [AUTH] wrong"),
            ("500 bad command: PASS wonderland", "500 bad command: PASS ..."),
            ("500 wonderland? wonderland!", "500 ..."),
            // Cut off, by the server or where the session has stopped reading.
            ("500 bad command: PASS wond", "500 bad command: PASS ..."),
            ("500 bad command: PASS won", "500 bad command: PASS won"),
            ("500 bad command: \"PASS wonder\"... (truncated)", "500 bad command: \"PASS ..."),
            // Words that begin alike tell nothing, and are not to tell how the password begins.
            ("500 wonderful", "500 ..."), ("500 wondrous, wonky", "500 wondrous, wonky"),
            ("", ""),
        ])
    func `end before the password`(reply: String, expected: String) {
        #expect(shown(reply, sent: [.text("PASS "), .secret(Secret("wonderland".bytes)), .text("\r\n")]) == expected)
    }

    @Test(
        arguments: [
            ("a BAD AUTHENTICATE PLAIN AGJvYgB3b25kZXJsYW5k unknown", "a BAD AUTHENTICATE PLAIN ..."),
            ("a BAD AGJvYgB3b2", "a BAD ..."), ("NO 'AGJvYgB3b25kZXJsYW5k'", "NO '..."),
            // The rest of what was sent is no secret.
            (
                "00000001 NO [AUTHENTICATIONFAILED] AUTHENTICATE PLAIN",
                "00000001 NO [AUTHENTICATIONFAILED] AUTHENTICATE PLAIN"
            ),
        ])
    func `end before the secret parts of what was sent`(reply: String, expected: String) {
        let secret = Secret("AGJvYgB3b25kZXJsYW5k".bytes)
        let parts: [Secret.Part] = [
            .bytes("00000001".bytes), .text(" AUTHENTICATE PLAIN "), .secret(secret), .text("\r\n"),
        ]
        #expect(shown(reply, sent: parts) == expected)
    }

    @Test func `end before a command that is all secret`() {
        let log = ReplyForLog(lastSent: Secret("TOKEN abcdefgh\r\n".bytes))
        #expect(log.shown("500 TOKEN abcdefgh".bytes.span) == "500 ...".bytes)
    }

    @Test(
        arguments: [
            (#"won"der\land"#, #"a BAD LOGIN bob "won\"der\\land""#),
            (#"won"der\land"#, #"a BAD LOGIN bob "won"der\land"#),
            (#"wo\\nder"#, #"a BAD LOGIN bob "wo\\nder""#), (#"wo\\nder"#, #"a BAD LOGIN bob "wo\\\\nder""#),
            (#"\\\\"#, #"a BAD LOGIN bob "\\\\\\\\""#),
        ])
    func `end before the password in a quoted string`(password: String, reply: String) {
        #expect(shown(reply, sent: [.secret(Secret(password.bytes))], password: password) == #"a BAD LOGIN bob "..."#)
    }

    @Test func `an empty password hides nothing, and only a line's worth is looked at`() {
        #expect(
            shown("-ERR no", sent: [.text("PASS "), .secret(Secret([])), .text("\r\n")], password: "") == "-ERR no")
        #expect(ReplyForLog().shown("-ERR no".bytes.span) == "-ERR no".bytes)
        #expect(ReplyForLog().shown([UInt8](repeating: 0x61, count: 100_000).span).count == 4096)
    }
}
