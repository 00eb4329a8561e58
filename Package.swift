// swift-tools-version: 6.2
import PackageDescription

// The rooms of the house. A target imports only what its line names, always rooms further up.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
]

func room(_ name: String, _ imports: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: strict)
}

// A protocol is compiled as if it were another package's: it sees what is `public` in `ApusMail`, and nothing else.
func mailProtocol(_ name: String) -> Target {
    .target(name: name, dependencies: ["ApusMail"], packageAccess: false, swiftSettings: strict)
}

func tests(of name: String, _ more: [Target.Dependency] = []) -> Target {
    .testTarget(name: name + "Tests", dependencies: [.byName(name: name)] + more, swiftSettings: strict)
}

let package = Package(
    name: "apus",
    products: [
        .executable(name: "apus", targets: ["apus"]),
        // For protocols and authentication providers of other packages, and for the executables that bring them along.
        .library(name: "ApusMail", targets: ["ApusMail"]),
        .library(name: "ApusDaemon", targets: ["ApusDaemon"]),
    ],
    targets: [
        .target(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CAres", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
        .systemLibrary(name: "CCrypt", providers: [.apt(["libcrypt-dev"])]),

        room("Bytes", []),
        room("Platform", ["CLinux", "Bytes"]),
        room("Config", ["Bytes"]),
        room("Observability", ["Platform", "Config", "Bytes"]),
        room("Zones", ["CLinux", "Platform"]),
        room("EventLoop", ["CLinux", "Platform"]),
        room("TLS", ["COpenSSL", "Platform", "Config", "Zones", "Bytes"]),
        room("Transport", ["Bytes", "Platform", "EventLoop", "TLS", "Observability"]),
        room("DNS", ["CAres", "CLinux", "Platform", "Config", "Observability", "EventLoop"]),
        room("ApusMail", ["Bytes", "Config"]),
        mailProtocol("IMAP"),
        mailProtocol("POP3"),
        mailProtocol("SMTP"),
        mailProtocol("ManageSieve"),
        room("Auth", ["Bytes", "Platform", "Config", "Observability", "EventLoop", "Transport", "ApusMail", "CCrypt"]),
        room(
            "Proxy",
            [
                "Bytes", "Platform", "Config", "Observability", "Zones", "EventLoop", "TLS", "Transport", "DNS",
                "ApusMail", "Auth",
            ]),
        room("Supervisor", ["CLinux", "Platform", "EventLoop", "Config", "Observability"]),
        room(
            "ApusDaemon",
            [
                "Bytes", "Platform", "Config", "Observability", "Zones", "EventLoop", "TLS", "Transport", "ApusMail",
                "IMAP", "POP3", "SMTP", "ManageSieve", "Auth", "Proxy", "Supervisor",
            ]),
        .executableTarget(name: "apus", dependencies: ["ApusDaemon"], swiftSettings: strict),

        // What the tests of every protocol share.
        .target(
            name: "ProtocolTesting", dependencies: ["ApusMail"], path: "Tests/ProtocolTesting", swiftSettings: strict),
        tests(of: "Bytes"),
        tests(of: "Platform", ["CLinux"]),
        tests(of: "Config"),
        tests(of: "Observability"),
        tests(of: "Zones"),
        tests(of: "EventLoop"),
        tests(of: "Supervisor"),
        tests(of: "TLS"),
        tests(of: "Transport", ["EventLoop", "Platform"]),
        tests(of: "DNS", ["Config", "EventLoop", "Observability", "Platform"]),
        tests(of: "ApusMail"),
        tests(of: "IMAP", ["ApusMail", "ProtocolTesting"]),
        tests(of: "POP3", ["ApusMail", "ProtocolTesting"]),
        tests(of: "SMTP", ["ApusMail", "ProtocolTesting"]),
        tests(of: "ManageSieve", ["ApusMail", "ProtocolTesting"]),
        tests(of: "Auth", ["ApusMail", "Config", "EventLoop", "Observability", "Platform"]),
        tests(of: "Proxy", ["ApusMail", "Platform"]),
    ],
    swiftLanguageModes: [.v6]
)

// Entry points for libFuzzer; `contrib/fuzz` sets the variable and links them.
if Context.environment["APUS_FUZZ"] != nil {
    package.products.append(.library(name: "Fuzz", type: .static, targets: ["Fuzz"]))
    package.targets.append(
        .target(
            name: "Fuzz",
            dependencies: [
                "Bytes", "Config", "ApusMail", "IMAP", "POP3", "SMTP", "ManageSieve", "Auth", "Proxy", "DNS",
                "Supervisor",
            ],
            path: "Tests/Fuzz",
            exclude: ["Seeds"], swiftSettings: strict))
}

// A program that is not to be trusted; `contrib/test` sets the variable and runs it.
if Context.environment["APUS_MISBEHAVING"] != nil {
    package.targets.append(
        .executableTarget(
            name: "apus-misbehaving", dependencies: ["ApusDaemon", "ApusMail"], path: "Tests/Misbehaving",
            packageAccess: false, swiftSettings: strict))
}
