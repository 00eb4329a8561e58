import ApusMail
import Testing

private let long = String(repeating: "x", count: 32)

@Suite struct `IMAP commands before login` {
    static let commands: [Exchange] = [
        // Tags.
        Exchange("a NOOP\r\n", "a OK completed"),
        Exchange("\(long) NOOP\r\n", "\(long) OK completed"),
        Exchange("A.b-c_9 NOOP\r\n", "A.b-c_9 OK completed"),
        Exchange("\(long)x NOOP\r\n", "counted: * BAD invalid command"),
        Exchange("a+ NOOP\r\n", "counted: * BAD invalid command"),
        Exchange("a\0 NOOP\r\n", "counted: * BAD invalid command"),
        Exchange("\r\n", "counted: * BAD invalid command"),
        Exchange("\n", "counted: * BAD invalid command"),
        Exchange("a\r\n", "counted: * BAD invalid command"),
        Exchange("a \r\n", "counted: a BAD invalid command"),
        Exchange("a   \n", "counted: a BAD invalid command"),
        Exchange(" NOOP\r\n", "counted: * BAD invalid command"),
        Exchange("a   NOOP\r\n", "a OK completed"),
        // Command words.
        Exchange("a noop\r\n", "a OK completed"),
        Exchange("a NOOP\n", "a OK completed"),
        Exchange("a NOOP\rx\r\n", "counted: a BAD invalid command"),
        Exchange("a NOOP\r\r\n", "counted: a BAD invalid command"),
        Exchange("a NOO\r\n", "counted: a BAD invalid command"),
        Exchange("a NOOPS\r\n", "counted: a BAD invalid command"),
        Exchange("a NO-OP\r\n", "counted: a BAD invalid command"),
        Exchange("a NOOP\0\r\n", "counted: a BAD invalid command"),
        Exchange("a ID NIL\r\n", "counted: a BAD invalid command"),
        Exchange("a ENABLE x\r\n", "counted: a BAD invalid command"),
        Exchange("a SELECT INBOX\r\n", "counted: a BAD invalid command"),
        Exchange("a UID FETCH\r\n", "counted: a BAD invalid command"),
        // Arguments are ignored, but must be arguments.
        Exchange("a NOOP 1 2 3\r\n", "a OK completed"),
        Exchange("a NOOP 1 2 3  \r\n", "a OK completed"),
        Exchange("a NOOP 1 2 3 4\r\n", "counted: a BAD invalid command"),
        Exchange("a NOOP 1 2 3 \"4\"\r\n", "counted: a BAD invalid command"),
        Exchange("a NOOP 1 2 3 {1}\r\n", "counted: a BAD invalid command"),
        Exchange("a NOOP \"x\r\n", "counted: a BAD invalid command"),
        Exchange("a NOOP {2}\r\n\r\n\r\n", "+ OK", "a OK completed"),
        Exchange(
            "a CAPABILITY\r\n", "* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN / a OK completed"),
        Exchange("a STARTTLS\r\n", "a BAD invalid command"),
        // LOGIN.
        Exchange("a LOGIN bob secret\r\n", "auth plain \"bob\" \"secret\"", "a NO no"),
        Exchange("a login  bob   secret  \n", "auth plain \"bob\" \"secret\"", "a NO no"),
        Exchange("a LOGIN\r\n", "a BAD invalid command"),
        Exchange("a LOGIN bob\r\n", "a BAD invalid command"),
        Exchange("a LOGIN bob secret x\r\n", "a BAD invalid command"),
        Exchange("a LOGIN bob secret x y\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN \"\" secret\r\n", "a BAD invalid command"),
        Exchange("a LOGIN bob \"\"\r\n", "auth plain \"bob\" \"\"", "a NO no"),
        Exchange("a LOGIN bob se\0cret\r\n", "a BAD invalid command"),
        Exchange("a LOGIN b\0b secret\r\n", "a BAD invalid command"),
        Exchange("a LOGIN bøb sécret\r\n", "auth plain \"bøb\" \"sécret\"", "a NO no"),
        Exchange("a LOGIN b\"o\\b s{3}\r\n", "auth plain \"b\"o\\b\" \"s{3}\"", "a NO no"),
        Exchange("a LOGIN bob\rx secret\r\n", "counted: a BAD invalid command"),
        // Quoted strings.
        Exchange("a LOGIN \"b ob\" \"se cret\"\r\n", "auth plain \"b ob\" \"se cret\"", "a NO no"),
        Exchange("a LOGIN \"b\"\"s\"\r\n", "auth plain \"b\" \"s\"", "a NO no"),
        Exchange("a LOGIN \"b\"s\r\n", "auth plain \"b\" \"s\"", "a NO no"),
        Exchange("a LOGIN \"b\\\"\\\\\\b\" s\r\n", "auth plain \"b\"\\b\" \"s\"", "a NO no"),
        Exchange("a LOGIN bob \"sec\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN bob \"sec\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN bob \"sec\\\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN bob \"sec\\\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN bob \"sec\"\r \n", "counted: a BAD invalid command"),
    ]

    static let literals: [Exchange] = [
        Exchange("a LOGIN {3}\r\nbob {6+}\r\nsecret\r\n", "+ OK", "auth plain \"bob\" \"secret\"", "a NO no"),
        Exchange("a LOGIN {3}\nbob {6}\nsecret\n", "+ OK", "+ OK", "auth plain \"bob\" \"secret\"", "a NO no"),
        Exchange("a LOGIN {0003+}\r\nbob {0+}\r\n\r\n", "auth plain \"bob\" \"\"", "a NO no"),
        Exchange("a LOGIN bob {0}\r\n\r\n", "+ OK", "auth plain \"bob\" \"\"", "a NO no"),
        Exchange("a LOGIN {0+}\r\n secret\r\n", "a BAD invalid command"),
        Exchange("a LOGIN bob {4+}\r\na\r\nb\r\n", "auth plain \"bob\" \"a\r\nb\"", "a NO no"),
        Exchange("a LOGIN {3+}\r\nb\nb secret\r\n", "a BAD invalid command"),
        Exchange("a LOGIN {3+}\r\nb\rb secret\r\n", "a BAD invalid command"),
        Exchange("a LOGIN {3+}\r\nb\0b secret\r\n", "a BAD invalid command"),
        Exchange("a LOGIN bob {1+}\r\n\0\r\n", "a BAD invalid command"),
        Exchange("a LOGIN {3+}\r\nbob\"secret\"\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {3+}\r\nbob{1}\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {}\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {-1}\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN { 1}\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {1\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {1+\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {1++}x\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {1+}x\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {1}x\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {1}\rx\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {18446744073709551616}\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {9223372036854775807}\r\n", "counted: a BAD invalid command"),
        Exchange("a LOGIN {1844674407370955161}\r\n", "counted: a BAD invalid command"),
    ]

    /// These end the conversation.
    static let last: [Exchange] = [
        Exchange("a LOGOUT\r\n", "close: * BYE / a OK completed"),
        Exchange("a logout now\r\n", "close: * BYE / a OK completed"),
        Exchange("a FOO {5+}\r\nb NOOP\r\n", "counted, close: a BAD invalid command"),
        Exchange("a FOO {5+}\n", "counted, close: a BAD invalid command"),
        Exchange("+}\n", "counted, close: * BAD invalid command"),
        Exchange("a LOGIN {+}\r\n", "counted, close: a BAD invalid command"),
        Exchange("a LOGIN \"b {5+}\r\n", "counted, close: a BAD invalid command"),
        Exchange("a NOOP 1 2 3 {5+}\r\n", "counted, close: a BAD invalid command"),
        Exchange("a LOGIN {18446744073709551616+}\r\n", "counted, close: a BAD invalid command"),
        // One that cannot fit is asked for all the same, and meets the limit.
        Exchange("a LOGIN {4294967297}\r\n", "+ OK"),
        Exchange("a LOGIN {1844674407370955160}\r\n", "+ OK"),
    ]

    static let all = commands + literals

    @Test(arguments: all + last)
    func `are read whole, byte by byte and cut anywhere`(exchange: Exchange) throws {
        for delivery in exchange.deliveries {
            #expect(try exchange.held(delivery) == exchange.minutes)
        }
    }

    @Test func `are read glued together`() throws {
        let glued = Self.all.map(\.input).joined().bytes
        let minutes = Self.all.flatMap(\.minutes)
        var inPieces = try Conversation(Service(directives: ["imap_client_buffer 64k"]))
        var atOnce = try Conversation(Service(directives: ["imap_client_buffer 64k"]))
        for byte in glued { try inPieces.send([byte]) }
        try atOnce.send(glued)
        #expect(inPieces.minutes == minutes)
        #expect(atOnce.minutes == minutes)
    }

    @Test(arguments: all + last)
    func `are not answered before they are complete`(exchange: Exchange) throws {
        let complete = exchange.input.bytes
        guard !exchange.minutes.contains(where: { $0.contains("close") }) else { return }
        for end in complete.indices {
            let minutes = try exchange.held([Array(complete[..<end])])
            #expect(minutes.allSatisfy { $0 == "+ OK" })
        }
    }

    @Test func `that announce a literal too long run into the limit`() throws {
        let service = Service(directives: ["imap_client_buffer 32"])
        for announced in ["9999999", "4294967297", "1844674407370955160"] {
            let exchange = Exchange(
                "a LOGIN {\(announced)+}\r\n\(long)", "too long: a BAD invalid command")
            for delivery in exchange.deliveries {
                #expect(try exchange.held(delivery, with: service) == exchange.minutes)
            }
        }
    }

    @Test func `too many commands are not carried out`() throws {
        var conversation = try Conversation()
        try conversation.send("z NOOP\r\nz BOGUS\r\nz AUTHENTICATE PLAIN\r\n".bytes)
        conversation.exhaust()
        try conversation.send("AGJvYgA=\r\nz NOOP\r\n".bytes)
        #expect(
            conversation.minutes == [
                "z OK completed", "counted: z BAD invalid command", "+ ", "too many: z BAD invalid command",
            ])
        conversation = try Conversation()
        conversation.exhaust()
        try conversation.send("z BOGUS\r\nz NOOP\r\n".bytes)
        #expect(conversation.minutes == ["counted: z BAD invalid command", "too many: z BAD invalid command"])
    }
}
