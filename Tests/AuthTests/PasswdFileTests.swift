import ApusMail
import Auth
import Platform
import Testing

@Suite struct `Password files` {
    static func file(_ text: String) -> PasswdFile {
        let bytes = Array(text.utf8)
        return PasswdFile(parsing: bytes.span)
    }

    static func request(
        _ method: AuthenticationMethod = .plain, _ login: String, _ password: String, salt: String = "",
        from address: String = "192.0.2.7"
    ) -> HashRequest {
        HashRequest(
            id: 7, deadline: .max, file: 0, method: method, login: Array(login.utf8),
            password: Secret(Array(password.utf8)), salt: Array(salt.utf8), clientAddress: Array(address.utf8))
    }

    static func accepted(
        _ host: String? = nil, _ port: UInt16? = nil, user: String? = nil, password: String? = nil
    ) -> HashAnswer.Decision {
        .accepted(
            HashAnswer.Accepted(
                host: host.map { Array($0.utf8) }, port: port, user: user.map { Array($0.utf8) },
                password: password.map { Secret(Array($0.utf8)) }))
    }

    static let refused = HashAnswer.Decision.refused(hasDelay: true)

    /// Lines for bob whose password is `secret`, and what he gets.
    @Test(
        arguments: [
            ("bob:{PLAIN}secret", accepted()),
            ("bob:{plain}secret", accepted()),
            ("bob:{CLEARTEXT}secret:1:2:::sh", accepted()),
            ("bob:{PLAIN}secret::::::host=198.51.100.1 port=143", accepted("198.51.100.1", 143)),
            ("bob:{PLAIN}secret::::::host=2001:db8::1 port=143", accepted("2001:db8::1", 143)),
            ("bob:{PLAIN}secret::::::  port=1   user=b  pass=x=y ", accepted(nil, 1, user: "b", password: "x=y")),
            ("bob:{PLAIN}secret::::::destuser=d user=b", accepted(user: "d")),
            ("bob:{PLAIN}secret::::::pass=", accepted(password: "")),
            ("bob:{PLAIN}secret::::::proxy proxy=y proxy_maybe=y userdb_home=/x userdb_y ssl=no", accepted()),
            ("bob:{PLAIN}secret::::::nologin", refused),
            ("bob:{PLAIN}secret::::::nologin=yes", refused),
            ("bob:{PLAIN}secret::::::nologin=n", accepted()),
            ("bob:{PLAIN}secret::::::allow_nets=192.0.2.0/24", accepted()),
            ("bob:{PLAIN}secret::::::allow_nets=10.0.0.0/8,192.0.2.7", accepted()),
            ("bob:{PLAIN}secret::::::allow_nets=10.0.0.0/8,::/0,local", refused),
            ("bob:{PLAIN}secret::::::allow_nets=,", refused),
            ("bob:{PLAIN}other", refused),
            ("bob:{PLAIN}secre", refused),
            ("bob:{PLAIN}secretx", refused),
            ("bob:{PLAIN}other::::::nodelay", .refused(hasDelay: false)),
            ("Bob:{PLAIN}secret", refused),
            ("#bob:{PLAIN}secret", refused),
            ("", refused),
        ] as [(String, HashAnswer.Decision)])
    func entry(line: String, expected: HashAnswer.Decision) {
        for text in [line, line + "\n", line + "\r\n", "\n# x\nann:{PLAIN}a\n" + line + "\neve:{PLAIN}e\n"] {
            let file = Self.file(text)
            #expect(file.problems == [])
            #expect(file.decision(on: Self.request(.plain, "bob", "secret")) == expected)
        }
    }

    /// Entries that are not used, and why.
    @Test(
        arguments: [
            ("bob", "no user name and password"), (":{PLAIN}secret", "no user name and password"),
            ("b\u{1}b:{PLAIN}secret", "no user name and password"),
            ("bob:", "user \"bob\": no password"), ("bob::1:2", "user \"bob\": no password"),
            ("bob:{PLAIN}", "user \"bob\": no password"),
            ("bob:{ROT13}frperg", "user \"bob\": unknown password scheme"),
            ("bob:{SHA512-CRYPT}$5$a$b", "user \"bob\": password hash is not of its scheme"),
            ("bob:{BLF-CRYPT}$y$a$b", "user \"bob\": password hash is not of its scheme"),
            ("bob:{PLAIN}secret::::::colour=red", "user \"bob\": extra field 1 is unknown"),
            ("bob:{PLAIN}secret::::::port=143 pass=my secret", "user \"bob\": extra field 3 is unknown"),
            ("bob:{PLAIN}a\tb", "user \"bob\": control character in the password"),
            ("bob:{PLAIN}secret::::::host=mail.example", "user \"bob\": host is not an address"),
            ("bob:{PLAIN}secret::::::host=", "user \"bob\": host has no value"),
            ("bob:{PLAIN}secret::::::host", "user \"bob\": host has no value"),
            ("bob:{PLAIN}secret::::::port=0", "user \"bob\": invalid port"),
            ("bob:{PLAIN}secret::::::port=65536", "user \"bob\": invalid port"),
            ("bob:{PLAIN}secret::::::nologin=maybe", "user \"bob\": invalid nologin"),
            ("bob:{PLAIN}secret::::::allow_nets=192.0.2.0/33", "user \"bob\": invalid allow_nets"),
            ("bob:{PLAIN}secret::::::allow_nets=example.com", "user \"bob\": invalid allow_nets"),
            (
                "bob:{PLAIN}secret::::::ssl=yes",
                "user \"bob\": ssl is asked for, and TLS to servers behind is not supported yet"
            ),
            (
                "bob:{PLAIN}secret::::::ssl",
                "user \"bob\": ssl is asked for, and TLS to servers behind is not supported yet"
            ),
            (
                "bob:{PLAIN}secret::::::starttls=any-cert",
                "user \"bob\": starttls is asked for, and TLS to servers behind is not supported yet"
            ),
            ("bob:{PLAIN}secret::::::master=root", "user \"bob\": master is not supported yet"),
            ("bob:{PLAIN}secret::::::user=a\u{1}b", "user \"bob\": control character in a field"),
            ("bob:{PLAIN}" + String(repeating: "x", count: 4096), "line is too long"),
        ])
    func `an entry that is not used`(line: String, problem: String) {
        let file = Self.file("# first\n" + line + "\nann:{PLAIN}a\n")
        #expect(file.problems == ["line 2: " + problem])
        #expect(file.entries.count == 1)
        #expect(file.decision(on: Self.request(.plain, "bob", "secret")) == Self.refused)
        #expect(file.decision(on: Self.request(.plain, "ann", "a")) == Self.accepted())
    }

    @Test func `the first entry of a user counts`() {
        let file = Self.file("bob:{PLAIN}one\nbob:{PLAIN}two\n")
        #expect(file.problems == ["line 2: user \"bob\" is there already"])
        #expect(file.decision(on: Self.request(.plain, "bob", "one")) == Self.accepted())
        #expect(file.decision(on: Self.request(.plain, "bob", "two")) == Self.refused)
    }

    @Test func `problems do not fill the log`() {
        let file = Self.file(String(repeating: "x\n", count: 1000))
        #expect(file.problems.count == PasswdFile.mostProblems)
        #expect(file.problemCount == 1000)
    }

    static let hashes: [(String, String)] = [
        (
            "{SHA512-CRYPT}",
            "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG."
        ),
        (
            "{SHA512-CRYPT}",
            "$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1"
        ),
        (
            "{SHA256-CRYPT}",
            "$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4"
        ),
        (
            "{MD5-CRYPT}",
            "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1"
        ),
        (
            "{BLF-CRYPT}",
            "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"
        ),
        (
            "{BLF-CRYPT}",
            "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"
        ),
        (
            "{YESCRYPT}",
            "$y$j75$abcdefghijklmnop$vZlXu1XtxOBWRxjOpQqONp1WYfMO0dN.H4xeSMU2ZvC"
        ),
        (
            "{CRYPT}",
            "abNANd1rDfiNc"
        ),
    ]

    @Test(arguments: hashes) func `hashes of all schemes`(scheme: String, hash: String) {
        for prefix in [scheme, "{CRYPT}", ""] {
            let file = Self.file("bob:\(prefix)\(hash)\n")
            #expect(file.problems == [])
            #expect(!file.hasPlainEntries)
            #expect(file.decision(on: Self.request(.plain, "bob", "secret")) == Self.accepted())
            for wrong in ["", "Secret", "secret ", "secret\0", "secret\0x", String(repeating: "x", count: 1000), hash] {
                #expect(file.decision(on: Self.request(.plain, "bob", wrong)) == Self.refused)
            }
            // No digest can be verified with a hash, whatever is said.
            #expect(file.decision(on: Self.request(.cramMD5, "bob", "secret", salt: "<1@h>")) == Self.refused)
        }
    }

    @Test(arguments: ["*", "!", "!!", "x", "*0", "*1", "$6$", "$9$abc$def", "$2b$05$short", "$6$rounds=1$"])
    func `a hash that crypt refuses admits nobody`(hash: String) {
        let file = Self.file("bob:\(hash)\n")
        for password in ["", hash, "*0", "secret"] {
            #expect(file.decision(on: Self.request(.plain, "bob", password)) == Self.refused)
        }
    }

    @Test func `digests are verified with plain entries`() {
        let file = Self.file(
            "tim:{PLAIN}tanstaaftanstaaf\nmrose:{PLAIN}tanstaaf::::::pass=there\nann:\(Self.hashes[0].1)\n")
        #expect(file.hasPlainEntries)
        let salt = "<1896.697170952@postoffice.reston.mci.net>"
        // RFC 2195 2.
        let digest = "b913a602c7eda7a495b4e6e7334d3890"
        #expect(
            file.decision(on: Self.request(.cramMD5, "tim", digest, salt: salt))
                == Self.accepted(password: "tanstaaftanstaaf"))
        #expect(file.decision(on: Self.request(.cramMD5, "tim", digest, salt: salt + "x")) == Self.refused)
        #expect(file.decision(on: Self.request(.cramMD5, "ann", digest, salt: salt)) == Self.refused)
        #expect(file.decision(on: Self.request(.cramMD5, "eve", digest, salt: salt)) == Self.refused)
        #expect(file.decision(on: Self.request(.apop, "tim", digest, salt: salt)) == Self.refused)
        // RFC 1939 7.
        #expect(
            file.decision(
                on: Self.request(
                    .apop, "mrose", "c4c9334bac560ecc979e58001b3e22fb", salt: "<1896.697170952@dbc.mtview.ca.us>"))
                == Self.accepted(password: "there"))
    }

    @Test func `an unknown user costs what most users cost`() {
        #expect(Self.file("").dummy == nil)
        let file = Self.file(
            "a:\(Self.hashes[1].1)\nb:\(Self.hashes[2].1)\nc:\(Self.hashes[2].1)\nd:{PLAIN}x\n")
        #expect(file.dummy == .crypt(Array(Self.hashes[2].1.utf8)))
    }

    @Test(
        arguments: [
            ("$6$salt$hash", "6"), ("$6$rounds=5000$salt$hash", "6$rounds=5000"), ("$2b$12$salthash", "2b$12"),
            ("$y$j9T$salt$hash", "y$j9T"), ("abJnggxhB/yWI", "crypt"), ("{PLAIN}x", "plain"),
        ])
    func `what a hash costs`(hash: String, cost: String) throws {
        let bytes = Array(hash.utf8)
        #expect(try PasswordHash(parsing: bytes.span).cost == Array(cost.utf8))
    }

    @Test func `garbage traps nowhere`() {
        let seed = Array(
            "bob:{PLAIN}secret:1:2:g:/h:/s:host=::1 port=143 allow_nets=10.0.0.0/8,local pass=x userdb_a=b\nann:$6$a$b\n#\n\n"
                .utf8)
        var random = Noise(state: 7)
        for _ in 0..<5000 {
            var bytes = seed
            for _ in 0...Int(random.next() % 6) {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes[place] = Array(":={} \n$,/".utf8)[Int(random.next() % 9)]
                default: bytes.removeSubrange(place...min(place + 3, bytes.count - 1))
                }
                if bytes.isEmpty { bytes = seed }
            }
            _ = PasswdFile(parsing: bytes.span)
        }
    }
}

@Suite struct `Clients' networks` {
    @Test(
        arguments: [
            ("192.0.2.7", [192, 0, 2]), ("::ffff:192.0.2.9", [192, 0, 2]),
            ("2001:db8:1:2:3::4", [32, 1, 13, 184, 0, 1, 0, 2]),
            ("unix:", [0]), ("nonsense", []), ("", []),
        ] as [(String, [UInt8])])
    func portion(address: String, expected: [UInt8]) {
        #expect(ClientNetwork.portion(Array(address.utf8)) == expected)
    }

    @Test(
        arguments: [
            ("CN=bob,O=x", "bob"), ("O=x,CN=bob", "bob"), ("O=x+CN=bob", "bob"), ("cn=bob", "bob"),
            ("2.5.4.3=bob", "bob"),
            ("CN=a\\,b", "a,b"), ("CN=a\\2Cb", "a,b"), ("CN=a\\C3\\A4", "aä"), ("CN=", ""),
            ("O=x\\,CN=root", nil), ("CN=a,CN=b", nil), ("CN=#0403", nil), ("CN=a\\", nil), ("CN=a\\4", nil),
            ("CN", nil),
            ("", nil), ("O=x", nil), ("XCN=bob", nil), ("CN=\"bob\"", nil),
        ] as [(String, String?)])
    func `the common name of a certificate`(subject: String, name: String?) {
        let bytes = Array(subject.utf8)
        #expect(CertificateName.commonName(ofSubject: bytes.span) == name.map { Array($0.utf8) })
    }
}
