import ApusMail
import Auth
import Testing

@Suite struct `HTTP authentication answers` {
    /// A verdict as one line, to be compared.
    static func text(_ verdict: Verdict) -> String {
        func text(_ bytes: [UInt8]?) -> String { bytes.map { String(decoding: $0, as: UTF8.self) } ?? "-" }
        switch verdict {
        case .accepted(let to):
            let password = to.password.map { $0.withBytes { text($0.bytes as [UInt8]) } } ?? "-"
            return "accepted \(text(to.server)) \(text(to.port)) \(text(to.user)) \(password)"
        case .refused(let refusal, let delay, let user):
            return
                "refused \"\(text(refusal.message))\" \(text(refusal.code)) \(delay.map { "\($0)" } ?? "-") \(text(user))"
                + (refusal.errorData.map { " \(text($0))" } ?? "")
        case .wait(let delay, let user): return "wait \(delay) \(text(user))"
        case .failed(let failure): return "failed \(text(failure.message)) \(failure.errno)"
        }
    }

    static func answer(
        _ pieces: [[UInt8]], method: AuthenticationMethod = .plain, requiresPassword: Bool = true
    ) -> String {
        var response = HTTPAuthResponse()
        let verdicts = HTTPAuthVerdict(service: Array("A:1".utf8), requiresPassword: requiresPassword)
        for piece in pieces {
            switch response.receive(piece.span) {
            case .needMoreInput: continue
            case .complete(let answer, _): return text(verdicts.verdict(on: answer, method: method))
            case .failed(let problem): return text(.failed(verdicts.failure(problem)))
            }
        }
        return "incomplete"
    }

    static let ok = "Auth-Status: OK\r\nAuth-Server: 198.51.100.1\r\nAuth-Port: 143\r\n"
    static let accepted = "accepted 198.51.100.1 143 - -"

    static let table: [(String, String)] = [
        ("HTTP/1.0 200 OK\r\n\(ok)\r\n", accepted),
        ("HTTP/1.1 204 No Content\n\(ok)\n", accepted),
        ("HTTP/9 299\r\n\(ok)\r\nbody", accepted),
        // Without a status line, as nginx reads it.
        ("\(ok)\r\n", accepted),
        ("HTTP: x\r\n\(ok)\r\n", accepted),
        ("H\r\n\(ok)\r\n", accepted),
        // Names without regard to case, spaces around values, other headers, order, repetition.
        (
            "HTTP/1.0 200\nAUTH-PORT:   1  \nx-y: z\nauth-server: 1.2.3.4\nNoColon\nAuth-Status:OK\n\n",
            "accepted 1.2.3.4 1 - -"
        ),
        ("HTTP/1.0 200\nAuth-Port: 1\nAuth-Port: 2\nAuth-Server: ::1\nAuth-Status: OK\n\n", "accepted ::1 2 - -"),
        ("HTTP/1.0 200\n\(ok)Auth-User: a  b\nAuth-Pass: \n\n", "accepted 198.51.100.1 143 a  b "),
        ("HTTP/1.0 200\n\(ok)Auth-Pass: p w\n\n", "accepted 198.51.100.1 143 - p w"),
        // Refusals.
        ("HTTP/1.0 200\r\nAuth-Status: No way\r\n\r\n", "refused \"No way\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status: ok\r\n\r\n", "refused \"ok\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status:\r\n\r\n", "refused \"\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status\r\n\r\n", "refused \"\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Wait: 3\r\nAuth-User: u\r\n\r\n", "refused \"No\" - 3.0 seconds u"),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Wait: 0\r\n\r\n", "refused \"No\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Wait: soon\r\n\r\n", "refused \"No\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Wait: 99999999999999999999\r\n\r\n", "refused \"No\" - - -"),
        (
            "HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Wait: 9223372036854775807\r\n\r\n",
            "refused \"No\" - 86400.0 seconds -"
        ),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Error-Code: 454 4.7.0\r\n\r\n", "refused \"No\" 454 4.7.0 - -"),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Error-Code: 535\r\n\r\n", "refused \"No\" 535 - -"),
        // No codes of a refusal.
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Error-Code: 235 2.7.0\r\n\r\n", "refused \"No\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Error-Code: 5350\r\n\r\n", "refused \"No\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Error-Code: failed\r\n\r\n", "refused \"No\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Error-Code:\r\n\r\n", "refused \"No\" - - -"),
        // Once refused, always refused.
        ("HTTP/1.0 200\r\nAuth-Status: No\r\n\(ok)\r\n", "refused \"No\" - - -"),
        ("HTTP/1.0 200\r\n\(ok)Auth-Status: No\r\n\r\n", "refused \"No\" - - -"),
        ("HTTP/1.0 200\r\nAuth-Status: No\r\nAuth-Status: WAIT\r\n\r\n", "refused \"No\" - - -"),
        // Other than 2xx.
        ("HTTP/1.1 500 Oops\r\n\(ok)\r\n", "failed auth http server A:1 answered with HTTP status 500 0"),
        (
            "HTTP/1.1 302 Found\r\nAuth-Status: WAIT\r\n\r\n",
            "failed auth http server A:1 answered with HTTP status 302 0"
        ),
        ("HTTP/1.1 401 No\r\nAuth-Status: No\r\n\r\n", "refused \"No\" - - -"),
        ("HTTP/1.1\r\n\(ok)\r\n", "failed auth http server A:1 sent no HTTP status code 0"),
        ("HTTP/1.1 2000\r\n\(ok)\r\n", "failed auth http server A:1 sent no HTTP status code 0"),
        ("HTTP/1.1 -20\r\n\(ok)\r\n", "failed auth http server A:1 sent no HTTP status code 0"),
        // Waiting.
        ("HTTP/1.0 200\r\nAuth-Status: WAIT\r\nAuth-Wait: 5\r\n\r\n", "wait 5.0 seconds -"),
        ("HTTP/1.0 200\r\nAuth-Status: WAIT\r\n\r\n", "wait 1.0 seconds -"),
        ("HTTP/1.0 200\r\nAuth-Status: WAIT\r\nAuth-Wait: 0\r\n\(ok)\r\n", "wait 1.0 seconds -"),
        // What is missing or wrong.
        (
            "HTTP/1.0 200\r\nAuth-Server: 1.2.3.4\r\nAuth-Port: 143\r\n\r\n",
            "failed auth http server A:1 did not send Auth-Status 0"
        ),
        ("\r\n", "failed auth http server A:1 did not send Auth-Status 0"),
        ("HTTP/1.0 200\r\nAuth-Status: OK\r\n\r\n", "failed auth http server A:1 did not send server or port 0"),
        (
            "HTTP/1.0 200\r\nAuth-Status: OK\r\nAuth-Server: 1.2.3.4\r\nAuth-Port:\r\n\r\n",
            "failed auth http server A:1 did not send server or port 0"
        ),
        (
            "HTTP/1.0 200\n\(ok)Auth-Server: mail.example\n\n",
            "failed auth http server A:1 sent invalid server address:\"mail.example\" 0"
        ),
        (
            "HTTP/1.0 200\n\(ok)Auth-Server: [::1]\n\n",
            "failed auth http server A:1 sent invalid server address:\"[::1]\" 0"
        ),
        ("HTTP/1.0 200\n\(ok)Auth-Port: 0\n\n", "failed auth http server A:1 sent invalid server port:\"0\" 0"),
        ("HTTP/1.0 200\n\(ok)Auth-Port: 65536\n\n", "failed auth http server A:1 sent invalid server port:\"65536\" 0"),
        ("HTTP/1.0 200\n\(ok)Auth-Port: 14x\n\n", "failed auth http server A:1 sent invalid server port:\"14x\" 0"),
        // Malformed.
        ("HTTP/1.0 200\rX\n\(ok)\r\n", "failed auth http server A:1 sent invalid response 0"),
        ("HTTP/1.0 200\r\nAuth_Status: OK\r\n\r\n", "failed auth http server A:1 sent invalid header in response 0"),
        ("HTTP/1.0 200\r\nAuth Status: OK\r\n\r\n", "failed auth http server A:1 sent invalid header in response 0"),
        ("HTTP/1.0 200\r\n Auth-Status: OK\r\n\r\n", "failed auth http server A:1 sent invalid header in response 0"),
        ("HTTP/1.0 200\r\n-A: OK\r\n\r\n", "failed auth http server A:1 sent invalid header in response 0"),
        ("HTTP/1.0 200\r\nA: OK\rX\r\n\r\n", "failed auth http server A:1 sent invalid header in response 0"),
        ("HTTP/1.0 200\r\nA: OK\r\n\rX", "failed auth http server A:1 sent invalid header in response 0"),
        ("HTTP/x", "incomplete"), ("HTT", "incomplete"), ("", "incomplete"),
        // Control bytes.
        (
            "HTTP/1.0 200\n\(ok)Auth-User: a\u{7}\n\n",
            "failed auth http server A:1 sent control characters in Auth-User 0"
        ),
        (
            "HTTP/1.0 200\n\(ok)Auth-Pass: a\u{0}\n\n",
            "failed auth http server A:1 sent control characters in Auth-Pass 0"
        ),
        ("HTTP/1.0 200\nAuth-Status: a\tb\n\n", "failed auth http server A:1 sent control characters in Auth-Status 0"),
        (
            "HTTP/1.0 200\nAuth-Status: a\nAuth-Error-Code: 5\u{7F}\n\n",
            "failed auth http server A:1 sent control characters in Auth-Error-Code 0"
        ),
        (
            "HTTP/1.0 200\nAuth-Status: a\nAuth-Error-SASL: e30=\t\n\n",
            "failed auth http server A:1 sent control characters in Auth-Error-SASL 0"
        ),
    ]

    @Test(arguments: table) func `the whole at once`(answer: String, expected: String) {
        #expect(Self.answer([Array(answer.utf8)]) == expected)
    }

    @Test(arguments: table) func `one byte at a time`(answer: String, expected: String) {
        #expect(Self.answer(answer.utf8.map { [$0] }) == expected)
    }

    @Test(arguments: table) func `cut off anywhere, nobody is let in`(answer: String, expected: String) {
        let bytes = Array(answer.utf8)
        for length in bytes.indices {
            let outcome = Self.answer([Array(bytes[..<length])])
            #expect(outcome == "incomplete" || outcome == expected || outcome.hasPrefix("failed"))
        }
    }

    @Test(
        arguments: [
            (.xoauth2, "e30=", "e30="), (.oauthbearer, " e30= ", "e30="), (.xoauth2, "", nil), (.plain, "e30=", nil),
            (.external, "e30=", nil),
        ] as [(AuthenticationMethod, String, String?)])
    func `error data is for whoever gave a token`(method: AuthenticationMethod, sent: String, expected: String?) {
        let answer = Array("HTTP/1.0 200\nAuth-Status: No\nAuth-Error-SASL: \(sent)\n\n".utf8)
        #expect(Self.answer([answer], method: method) == "refused \"No\" - - -" + (expected.map { " \($0)" } ?? ""))
    }

    @Test(
        arguments: [
            (.plain, true, false), (.none, true, true), (.none, false, false), (.external, true, true),
            (.apop, true, true),
            (.cramMD5, true, true), (.xoauth2, true, false), (.oauthbearer, true, false), (.external, false, false),
            (.cramMD5, false, false),
        ] as [(AuthenticationMethod, Bool, Bool)])
    func `a password is needed where none is known`(method: AuthenticationMethod, requires: Bool, fails: Bool) {
        let answer = Array("HTTP/1.0 200 OK\r\n\(Self.ok)\r\n".utf8)
        let outcome = Self.answer([answer], method: method, requiresPassword: requires)
        #expect(outcome == (fails ? "failed auth http server A:1 did not send password 0" : Self.accepted))
        let with = Array("HTTP/1.0 200 OK\r\n\(Self.ok)Auth-Pass: p\r\n\r\n".utf8)
        #expect(Self.answer([with], method: method, requiresPassword: requires) == "accepted 198.51.100.1 143 - p")
    }

    @Test func `headers have a limit`() {
        let fill = String(repeating: "a", count: HTTPAuthResponse.longestHead - 2 - Self.ok.utf8.count - 3)
        let fitting = "\(Self.ok)X:\(fill)\n\r\n"
        #expect(fitting.utf8.count == HTTPAuthResponse.longestHead)
        #expect(Self.answer([Array(fitting.utf8)]) == Self.accepted)
        #expect(Self.answer([Array(("a" + fitting).utf8)]) == "failed auth http server A:1 sent too long headers 0")
        for piece in ["HTTP/", "A", "A:", "A:\n", "HTTP/1.0 200\n"] {
            let long = Array(piece.utf8) + [UInt8](repeating: 0x61, count: 8 << 20)
            #expect(Self.answer([long]) == "failed auth http server A:1 sent too long headers 0")
        }
    }

    @Test(
        arguments: [
            ("HTTP/1.1 200\nConnection: keep-alive\nContent-Length: 5\n\n", 5),
            ("HTTP/1.0 200\nConnection: x, Keep-Alive\nContent-Length: 0\n\n", 0),
            ("HTTP/1.1 204\nConnection: keep-alive\n\n", 0),
            ("HTTP/1.1 204\nConnection: keep-alive\nContent-Length: 0\n\n", 0),
            ("HTTP/1.1 403\nConnection: keep-alive\nContent-Length: 2\n\n", 2),
            ("HTTP/1.1 204\nConnection: keep-alive\nContent-Length: 3\n\n", nil),
            ("HTTP/1.1 200\nContent-Length: 5\n\n", 5),
            ("HTTP/1.0 200\nContent-Length: 5\n\n", nil),
            ("HTTP/1.1 200\nConnection: close\nContent-Length: 5\n\n", nil),
            ("HTTP/1.1 200\nConnection: keep-alive, close\nContent-Length: 5\n\n", nil),
            ("HTTP/1.1 200\nConnection: keep-alive\nConnection: close\nContent-Length: 5\n\n", nil),
            ("HTTP/1.1 200\nConnection: keep-alive\n\n", nil),
            ("HTTP/1.1 200\nConnection: keep-alive\nContent-Length: 5\nContent-Length: 5\n\n", nil),
            ("HTTP/1.1 200\nConnection: keep-alive\nContent-Length: 5, 5\n\n", nil),
            ("HTTP/1.1 200\nConnection: keep-alive\nContent-Length: -5\n\n", nil),
            ("HTTP/1.1 200\nConnection: keep-alive\nContent-Length: 99999999999999999999\n\n", nil),
            ("HTTP/1.1 200\nConnection: keep-alive\nContent-Length: 5\nTransfer-Encoding: chunked\n\n", nil),
            ("HTTP/1.1 100\nConnection: keep-alive\nContent-Length: 0\n\n", nil),
            ("HTTP/1.1 x\nConnection: keep-alive\nContent-Length: 0\n\n", nil),
            ("Connection: keep-alive\nContent-Length: 0\n\n", nil),
        ] as [(String, Int?)])
    func `a connection is used again only when the answer allows it`(head: String, bodyLength: Int?) {
        var response = HTTPAuthResponse()
        let bytes = Array((head + "body!").utf8)
        guard case .complete(let answer, let consumed) = response.receive(bytes.span) else {
            Issue.record("incomplete")
            return
        }
        #expect(consumed == head.utf8.count)
        #expect(answer.bodyLength == bodyLength)
    }

    @Test func `garbage lets nobody in and traps nowhere`() {
        var random = Noise(state: 42)
        for (answer, _) in Self.table {
            for _ in 0..<200 {
                var bytes = Array(answer.utf8)
                for _ in 0...Int(random.next() % 4) where !bytes.isEmpty {
                    bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
                }
                _ = Self.answer([bytes])
            }
        }
    }
}

/// Numbers that are the same in every run.
struct Noise {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
}
