// swift-tools-version: 6.2
import PackageDescription

/// Every target of ours: Swift 6 mode, warnings are errors, `any` is written out, imports are explicit.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

// The targets stand in the order of docs/architecture.md: a target may import only those it names.
// `swift build --explicit-target-dependency-import-check error` enforces it.
let package = Package(
  name: "fcrun",
  platforms: [.macOS(.v15)],
  products: [
    Product.library(name: "ForwardCompute", targets: ["ForwardCompute"]),
    Product.executable(name: "fcrun", targets: ["fcrun"]),
    Product.executable(name: "fcrun-ssh", targets: ["fcrun-ssh"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", .upToNextMinor(from: "1.8.2")),
    .package(url: "https://github.com/apple/swift-crypto", .upToNextMinor(from: "4.5.2")),
    .package(url: "https://github.com/apple/swift-log", .upToNextMinor(from: "1.16.2")),
    .package(url: "https://github.com/apple/swift-nio", .upToNextMinor(from: "2.101.2")),
    .package(url: "https://github.com/apple/swift-nio-ssl", .upToNextMinor(from: "2.37.6")),
    .package(url: "https://github.com/groue/GRDB.swift", .upToNextMinor(from: "7.10.0")),
    .package(url: "https://github.com/hummingbird-project/hummingbird", .upToNextMinor(from: "2.28.1")),
    .package(url: "https://github.com/jpsim/Yams", .upToNextMinor(from: "6.2.2")),
    .package(url: "https://github.com/swift-server/async-http-client", .upToNextMinor(from: "1.37.0")),
  ],
  targets: [
    .systemLibrary(
      name: "CLibSSH2",
      pkgConfig: "libssh2",
      providers: [.apt(["libssh2-1-dev"]), .brew(["libssh2"])]
    ),
    .target(
      name: "ForwardCompute",
      dependencies: [
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ],
      swiftSettings: strict
    ),
    // What the library's documentation shows.
    .executableTarget(name: "rent", dependencies: ["ForwardCompute"], path: "Examples/Rent", swiftSettings: strict),
    .target(name: "Jobs", dependencies: [.product(name: "Yams", package: "Yams")], swiftSettings: strict),
    .target(
      name: "Store",
      dependencies: ["Jobs", .product(name: "GRDB", package: "GRDB.swift")],
      swiftSettings: strict
    ),
    .target(name: "SSH", dependencies: ["CLibSSH2"], swiftSettings: strict),
    .target(
      name: "Remote",
      dependencies: [.product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: strict
    ),
    .executableTarget(
      name: "fcrun-ssh",
      dependencies: ["Remote", "SSH"],
      swiftSettings: strict
    ),
    .target(
      name: "Runner",
      dependencies: [
        "ForwardCompute", "Jobs", "Remote", "Store",
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict
    ),
    .target(
      name: "Simulator",
      dependencies: [
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
      ],
      swiftSettings: strict
    ),
    .executableTarget(
      name: "fcrun",
      dependencies: [
        "ForwardCompute", "Jobs", "Remote", "Runner", "Simulator", "Store",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      // Places to be killed at, for tests: Sources/fcrun/Failpoints.swift.
      swiftSettings: strict + [.define("FCRUN_FAILPOINTS", .when(configuration: .debug))]
    ),
    .target(
      name: "TestSupport",
      path: "Tests/TestSupport",
      swiftSettings: strict
    ),
    .target(
      name: "Simulation",
      dependencies: ["ForwardCompute", "Jobs", "Remote", "Runner", "Simulator", "Store"],
      path: "Tests/Simulation",
      swiftSettings: strict
    ),
    // A million situations in a debug build: nothing depends on this target but tests and the torture program.
    .target(
      name: "ProtocolModel",
      dependencies: ["Jobs"],
      path: "Tests/Model",
      swiftSettings: strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]
    ),
    .target(name: "Kills", dependencies: ["TestSupport"], path: "Tests/Kills", swiftSettings: strict),
    .executableTarget(
      name: "torture",
      dependencies: [
        "Kills", "ProtocolModel", "Simulation", "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Tests/Torture",
      swiftSettings: strict
    ),
    .executableTarget(
      name: "bench",
      dependencies: [
        "Remote", "TestSupport", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Benchmarks",
      exclude: ["startup.sh"],
      swiftSettings: strict
    ),
    .testTarget(name: "FaultTests", dependencies: ["TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "ForwardComputeTests",
      dependencies: ["ForwardCompute", "TestSupport"],
      swiftSettings: strict
    ),
    .testTarget(name: "JobsTests", dependencies: ["Jobs", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "StoreTests",
      dependencies: ["Jobs", "Store", "TestSupport", .product(name: "GRDB", package: "GRDB.swift")],
      swiftSettings: strict
    ),
    .testTarget(
      name: "RunnerTests",
      dependencies: [
        "ForwardCompute", "Jobs", "ProtocolModel", "Remote", "Runner", "Simulation", "Simulator", "Store",
        "TestSupport",
      ],
      swiftSettings: strict
    ),
    .testTarget(name: "RemoteTests", dependencies: ["Remote", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "SSHTests",
      dependencies: ["CLibSSH2", "Remote", "SSH", "TestSupport", "fcrun-ssh"],
      swiftSettings: strict
    ),
    .testTarget(name: "SimulatorTests", dependencies: ["Simulator", "TestSupport", "fcrun"], swiftSettings: strict),
    .testTarget(
      name: "fcrunTests",
      dependencies: ["Kills", "TestSupport", "fcrun", "fcrun-ssh", "rent", .product(name: "Yams", package: "Yams")],
      swiftSettings: strict
    ),
  ]
)
