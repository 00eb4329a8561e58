import Config
import Glibc
import TLS
import Testing
import Zones

/// Certificates and keys, made once by the `openssl` command in a directory of their own.
enum Fixture {
    static let directory: String = {
        var name = Array("/tmp/apus-tls-XXXXXX".utf8CString)
        let directory = String(cString: mkdtemp(&name))
        let script = """
            set -e; cd \(directory); exec >/dev/null 2>&1
            key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }
            ca() { key $1; openssl req -x509 -new -key $1.key -subj "/O=Test/CN=$1" -days 30 -out $1.pem; }
            leaf() { key $1; openssl req -new -key $1.key -subj "/O=Test/CN=$1" -out $1.csr
                openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -days 30 -set_serial 0x$3 -out $1.pem; }
            ca ca; ca otherca; ca self
            leaf server ca 0A01; leaf other ca 0A02; leaf client ca 0A0B0C; leaf revoked ca 0A04
            leaf stranger otherca 0A05
            openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -subj /CN=rsa -days 30 -out rsa.pem
            cat server.pem ca.pem > chain.pem
            openssl ec -in server.key -aes128 -passout pass:secret -out locked.key
            printf 'wrong\\r\\n\\nsecret\\r\\nlater' > passwords
            printf 'wrong\\n' > badpasswords
            head -c 5000 /dev/zero | tr '\\0' x > longpasswords
            openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out dh.pem
            head -c 80 /dev/urandom > key80; head -c 48 /dev/urandom > key48; head -c 47 /dev/urandom > key47
            echo rubbish > rubbish; : > index.txt; echo 01 > crlnumber
            printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index.txt\\ncrlnumber=crlnumber\\ndefault_md=sha256\\n' > ca.cnf
            openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke revoked.pem
            openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -crldays 30 -out crl.pem
            """
        precondition(system("bash -c '\(script.split(separator: "'").joined(separator: "'\\''"))'") == 0)
        return directory
    }()

    static func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// The contents of a file as text.
    static func text(_ name: String) -> String {
        let file = fopen(path(name), "r")!
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    static func write(_ text: String, to name: String) {
        let file = fopen(path(name), "w")!
        defer { fclose(file) }
        _ = fwrite(text, 1, text.utf8.count, file)
    }
}

/// One load of a configuration: settings from text, contexts from settings.
final class Load {
    let environment: LoadingEnvironment
    let objects: TLSObjectCache
    let zones: ZoneRegistry
    private(set) var warnings: [String] = []
    private static var pair: String { "ssl_certificate server.pem; ssl_certificate_key server.key;\n" }

    init(zones: ZoneRegistry = ZoneRegistry(), inheriting objects: TLSObjectCache? = nil) {
        environment = LoadingEnvironment(
            prefix: Fixture.directory + "/", configurationPrefix: Fixture.directory + "/", isPrivileged: false,
            warn: { _ in })
        self.objects = TLSObjectCache(inheriting: objects)
        self.zones = zones
        environment.warn = { [weak self] in self?.warnings.append($0) }
    }

    /// The settings of each `server` inside `mail { TEXT }`; without a `server`, those of an empty one.
    func settings(_ text: String) throws -> [TLSSettings] {
        let name = "conf\(random())"
        Fixture.write("mail {\n\(text)\n\(text.contains("server {") ? "" : "server { }")\n}\n", to: name)
        let loader = ConfigLoader(
            directives: AnyDirective.all(of: TLSSettings.self) + AnyDirective.all(of: TLSLibrarySettings.self),
            blocks: [
                BlockDirective("mail", in: .main, body: .mail, ""),
                BlockDirective("server", in: .mail, body: .server, isRepeatable: true, ""),
            ], environment: environment)
        let loaded = try loader.load(file: Fixture.path(name))
        return withExtendedLifetime(loaded) { loaded.root.children[0].children.map { $0.settings[TLSSettings.self] } }
    }

    /// The context of the only server, which has the usual certificate unless `text` names one.
    func context(_ text: String, protocol name: String = "imap") throws -> TLSContext {
        let settings = try settings(text.contains("ssl_certificate ") ? text : Self.pair + text)[0]
        return try context(settings, protocol: name)
    }

    func context(_ settings: TLSSettings, protocol name: String = "imap") throws -> TLSContext {
        try TLSContext(
            settings, name: name, mode: "starttls", position: Position(file: "F", line: 7), environment: environment,
            objects: objects, zones: zones)
    }

    /// The message that loading `text` fails with; the directory's name and the configuration's are shortened.
    func failure(_ text: String) -> String {
        do {
            _ = try context(text)
            return "no error"
        } catch let error as ConfigError {
            return error.message.replacing(Fixture.directory + "/", with: "")
        } catch {
            return "\(error)"
        }
    }
}
