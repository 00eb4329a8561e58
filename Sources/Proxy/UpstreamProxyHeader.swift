import Bytes
import Platform
import TLS

/// The PROXY protocol header a server behind is sent before anything else (haproxy's `proxy-protocol.txt` 2.1, 2.2).
struct UpstreamProxyHeader {
    /// The client's address, replaced where `set_real_ip_from` says so.
    let client: SocketAddress
    /// Where the client's connection was accepted.
    let local: SocketAddress
    /// nil: the client does not use TLS.
    var encryption: Encryption?

    struct Encryption {
        /// What the client asked for (SNI).
        var serverName: [UInt8]?
        var applicationProtocol: [UInt8]?
        var version: [UInt8]
        var cipher: [UInt8]
        /// nil: the client has shown no certificate, neither now nor when the resumed session began.
        var clientCertificate: ClientCertificate?
        /// Of the server's own certificate, as `RSA-SHA256` and `EC256`.
        var signatureAlgorithm: [UInt8]
        var key: [UInt8]
    }

    struct ClientCertificate {
        var isOfThisConnection: Bool
        /// The library's result of the verification: 0 is good.
        var verifyCode: UInt32
        var commonName: [UInt8]?
    }

    // MARK: Version 1

    var version1: [UInt8] {
        let family: String
        switch (client.host, local.host) {
        case (.unix, _), (_, .unix): return Array("PROXY UNKNOWN\r\n".utf8)
        case (.ipv4, _): family = "TCP4"
        case (.ipv6, _): family = "TCP6"
        }
        return Array("PROXY \(family) \(client.hostText) \(local.hostText) \(client.port) \(local.port)\r\n".utf8)
    }

    // MARK: Version 2

    var version2: [UInt8] {
        var header: [UInt8] = Array("\r\n\r\n\0\r\nQUIT\n".utf8)
        header += commandAndFamily
        header += [0, 0]  // the length, set when it is known
        header += addresses
        if let encryption { header += Self.values(of: encryption) }
        header += Self.value(.checksum, [0, 0, 0, 0])
        let length = UInt16(truncatingIfNeeded: header.count - 16)
        (header[14], header[15]) = (UInt8(length >> 8), UInt8(length & 0xFF))
        header.replaceSubrange((header.count - 4)..., with: Self.bytes(of: CRC32C.checksum(of: header.span)))
        return header
    }

    private var hosts: (client: [UInt8], local: [UInt8])? {
        switch (client.host, local.host) {
        case (.unix, _), (_, .unix): nil
        case (.ipv4(let client), .ipv4(let local)): (client, local)
        case (.ipv6(let client), .ipv4(let local)): (client, SocketAddress.mapping + local)
        case (.ipv4(let client), .ipv6(let local)): (SocketAddress.mapping + client, local)
        case (.ipv6(let client), .ipv6(let local)):
            if case (.ipv4(let client), .ipv4(let local)) = (self.client.host.unmapped, self.local.host.unmapped) {
                (client, local)
            } else {
                (client, local)
            }
        }
    }

    /// `LOCAL` without a family where one side is no address of the Internet, else `PROXY` and TCP over IPv4 or IPv6.
    private var commandAndFamily: [UInt8] {
        guard let hosts else { return [0x20, 0x00] }
        return [0x21, hosts.client.count == 4 ? 0x11 : 0x21]
    }

    private var addresses: [UInt8] {
        guard let hosts else { return [] }
        return hosts.client + hosts.local + Self.bytes(of: client.port) + Self.bytes(of: local.port)
    }

    // MARK: Type, length, value

    private enum Kind: UInt8 {
        case applicationProtocol = 0x01
        case authority = 0x02
        case checksum = 0x03
        case encryption = 0x20
        case version = 0x21
        case commonName = 0x22
        case cipher = 0x23
        case signatureAlgorithm = 0x24
        case key = 0x25
    }

    /// A client's certificate may hold names of any length; a cut one would name somebody else, so it is left out.
    private static let longestName = 256

    private static func value(_ kind: Kind, _ value: [UInt8]?) -> [UInt8] {
        guard let value else { return [] }
        return [kind.rawValue] + bytes(of: UInt16(truncatingIfNeeded: value.count)) + value
    }

    private static func values(of encryption: Encryption) -> [UInt8] {
        value(.authority, encryption.serverName) + value(.applicationProtocol, encryption.applicationProtocol)
            + value(.encryption, details(of: encryption))
    }

    private static func details(of encryption: Encryption) -> [UInt8] {
        var clientFlags: UInt8 = 0x01
        if let certificate = encryption.clientCertificate {
            clientFlags |= certificate.isOfThisConnection ? 0x06 : 0x04
        }
        return [clientFlags] + bytes(of: encryption.clientCertificate?.verifyCode ?? 1)
            + value(.version, encryption.version)
            + value(
                .commonName, encryption.clientCertificate?.commonName.flatMap { $0.count <= longestName ? $0 : nil })
            + value(.cipher, encryption.cipher)
            + value(.signatureAlgorithm, encryption.signatureAlgorithm)
            + value(.key, encryption.key)
    }

    /// In network order.
    private static func bytes(of number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }
}

extension UpstreamProxyHeader.Encryption {
    init(_ facts: TLSFacts, _ certificates: CertificateFacts) {
        self.init(
            serverName: facts.serverName, applicationProtocol: facts.applicationProtocol.map { Array($0.utf8) },
            version: Array(facts.protocolVersion.utf8), cipher: Array(facts.cipher.utf8),
            clientCertificate: certificates.client.map { client in
                UpstreamProxyHeader.ClientCertificate(
                    isOfThisConnection: !facts.isResumed, verifyCode: UInt32(clamping: client.verifyCode),
                    commonName: client.commonName)
            },
            signatureAlgorithm: Array(certificates.signatureAlgorithm.utf8), key: Array(certificates.key.utf8))
    }
}
