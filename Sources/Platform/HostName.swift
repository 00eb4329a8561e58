import Glibc

/// The name of this machine.
package enum HostName {
    /// As gethostname(2) tells it, in lower case.
    package static func current() -> [UInt8] {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return Array("localhost".utf8) }
        return name.prefix { $0 != 0 }.map { byte in
            let byte = UInt8(bitPattern: byte)
            return (0x41...0x5A).contains(byte) ? byte + 0x20 : byte
        }
    }
}
