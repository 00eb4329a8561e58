// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "example-protocol",
    // In a package of yours: .package(url: "…/apus.git", .upToNextMinor(from: "0.1.0")).
    dependencies: [.package(name: "apus", path: "../..")],
    targets: [
        .target(name: "NNTP", dependencies: [.product(name: "ApusMail", package: "apus")]),
        .executableTarget(
            name: "apus-nntp", dependencies: ["NNTP", .product(name: "ApusDaemon", package: "apus")]),
    ]
)
