// Entry points for libFuzzer, one for each reader of outside bytes. `contrib/fuzz` builds them all at once and names the
// one to run in the environment. They look for traps and for broken promises: a `precondition` here is a find.

import Bytes
import Glibc

enum FuzzTarget: String, CaseIterable {
    case imapClient = "imap-client"
    case imapBackend = "imap-backend"
    case pop3Client = "pop3-client"
    case pop3Backend = "pop3-backend"
    case smtpClient = "smtp-client"
    case smtpBackend = "smtp-backend"
    case sieveClient = "sieve-client"
    case sieveBackend = "sieve-backend"
    case configuration
    case httpAuth = "http-auth"
    case passwordFile = "password-file"
    case hashMessage = "hash-message"
    case proxyHeader = "proxy-header"
    case dnsAnswer = "dns-answer"
    case sasl
    case control

    static let chosen: FuzzTarget = {
        guard let name = getenv("APUS_FUZZ_TARGET").map({ String(cString: $0) }),
            let target = FuzzTarget(rawValue: name)
        else {
            fatalError("APUS_FUZZ_TARGET must be one of: " + allCases.map(\.rawValue).joined(separator: " "))
        }
        return target
    }()

    func run(_ input: Span<UInt8>) throws {
        switch self {
        case .imapClient: try fuzzIMAPClient(input)
        case .imapBackend: try fuzzIMAPBackend(input)
        case .pop3Client: try fuzzPOP3Client(input)
        case .pop3Backend: try fuzzPOP3Backend(input)
        case .smtpClient: try fuzzSMTPClient(input)
        case .smtpBackend: try fuzzSMTPBackend(input)
        case .sieveClient: try fuzzManageSieveClient(input)
        case .sieveBackend: try fuzzManageSieveBackend(input)
        case .configuration: fuzzConfiguration(input)
        case .httpAuth: fuzzHTTPAuth(input)
        case .passwordFile: fuzzPasswordFile(input)
        case .hashMessage: fuzzHashMessage(input)
        case .proxyHeader: fuzzProxyHeader(input)
        case .dnsAnswer: fuzzDNSAnswer(input)
        case .sasl: fuzzSASL(input)
        case .control: try fuzzControl(input)
        }
    }
}

@c(LLVMFuzzerTestOneInput)
public func runFuzzTarget(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try FuzzTarget.chosen.run(UnsafeBufferPointer(start: start, count: start == nil ? 0 : count).span)
    } catch {
        preconditionFailure("\(error)")
    }
    return 0
}
