// swift-tools-version:6.2
// Coffer: end-to-end encrypted backup of chat histories.
//
// The order of the targets is the law (Docs/Architecture.md): a target uses only targets listed above it, and the
// vault wing and the backup wing never use each other. `scripts/check-architecture` guards it.

import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func room(
    _ name: String, in wing: String, uses dependencies: [Target.Dependency] = []
) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(wing)/\(name)", swiftSettings: strict)
}

func tests(_ name: String, in wing: String, uses dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(wing)/\(name)", swiftSettings: strict)
}

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let jwt = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let toml = Target.Dependency.product(name: "TOMLKit", package: "TOMLKit")

let package = Package(
    name: "Coffer",
    platforms: [.macOS(.v15), .iOS(.v18)],
    products: [
        .library(name: "Coffer", targets: ["Coffer"]),
        .executable(name: "coffer", targets: ["coffer-cli"]),
        .executable(name: "coffer-vault", targets: ["coffer-vault"]),
    ],
    dependencies: [
        // Ciphers, hashes, signatures, HPKE with X-Wing: Apple's API over BoringSSL, kept by Apple.
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        // The commands' arguments, help and completions.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // The one logging interface that server libraries share.
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        // The vault's HTTP server, over SwiftNIO.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        // The client's HTTP, with pooling and deadlines.
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        // SQLite with safe statements and transactions; the vault's store, and the lock under which a live
        // database is read.
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        // Buffers and HTTP types that Hummingbird and async-http-client hand over.
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        // HTTP parts as Hummingbird's channels hand them over; TLS by the vault itself.
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        // Graceful shutdown of the vault on signals.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // Verification of tenants' tokens (JWS with fixed algorithms, JWKS).
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
        // Fleet files and settings are TOML.
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        // Ground
        .systemLibrary(
            name: "CSodium", path: "Sources/Ground/CSodium", pkgConfig: "libsodium",
            providers: [.apt(["libsodium-dev"]), .brew(["libsodium"])]),
        .systemLibrary(
            name: "CZstd", path: "Sources/Ground/CZstd", pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
        // Headers alone: these two libraries are opened when they are needed.
        .systemLibrary(
            name: "COpenSSL", path: "Sources/Ground/COpenSSL",
            providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
        .systemLibrary(
            name: "CISAL", path: "Sources/Ground/CISAL", providers: [.apt(["libisal-dev"]), .brew(["isa-l"])]),
        .systemLibrary(name: "CZlib", path: "Sources/Ground/CZlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CCofferSystem", path: "Sources/Ground/CCofferSystem", publicHeadersPath: "."),
        room("ByteCoding", in: "Ground"),
        room(
            "Primitives", in: "Ground", uses: ["ByteCoding", "CISAL", "COpenSSL", "CSodium", "CZlib", "CZstd", crypto]),

        // Recovery
        room("RecoveryProtocol", in: "Recovery", uses: ["ByteCoding", "Primitives"]),

        room("FleetFiles", in: "Recovery", uses: ["ByteCoding", "Primitives", "RecoveryProtocol", toml]),

        // Vault wing
        room("VaultCore", in: "Vault", uses: ["ByteCoding", "Primitives", "RecoveryProtocol"]),
        // A header alone: tokens' own modules are opened by their paths.
        .systemLibrary(
            name: "CPKCS11", path: "Sources/Vault/CPKCS11",
            providers: [.apt(["libp11-kit-dev"]), .brew(["p11-kit"])]),
        room("SecurityModules", in: "Vault", uses: ["ByteCoding", "Primitives", "VaultCore", "CPKCS11"]),
        room("RecordStores", in: "Vault", uses: ["ByteCoding", "VaultCore", grdb, sqlite]),
        room(
            "VaultServer", in: "Vault",
            uses: [
                "ByteCoding", "Primitives", "RecoveryProtocol", "FleetFiles", "VaultCore", "CCofferSystem",
                hummingbird, hummingbirdCore, hummingbirdTLS, httpTypes, httpClient, nio, nioHTTP, nioHTTPTypes, nioSSL,
                jwt, logging,
            ]),

        // Backup wing
        room("BackupFormat", in: "Backup", uses: ["ByteCoding", "Primitives"]),
        room("Crypt15", in: "Backup", uses: ["ByteCoding", "Primitives"]),
        room("BackupEngine", in: "Backup", uses: ["ByteCoding", "Primitives", "BackupFormat"]),
        room(
            "ObjectStores", in: "Backup",
            uses: [
                "ByteCoding", "Primitives", "BackupFormat", "BackupEngine", "CCofferSystem", httpClient, nio, nioPosix,
                nioHTTP,
                nioSSL,
            ]),
        room(
            "BackupSources", in: "Backup",
            uses: [
                "ByteCoding", "Primitives", "BackupFormat", "Crypt15", "BackupEngine", "CCofferSystem", grdb, sqlite,
            ]),

        // Apps
        room(
            "Coffer", in: "Apps",
            uses: [
                "ByteCoding", "Primitives", "RecoveryProtocol", "FleetFiles", "BackupFormat", "Crypt15", "BackupEngine",
                "ObjectStores", "BackupSources", httpClient, nio, nioHTTP,
            ]),
        .executableTarget(
            name: "coffer-cli", dependencies: ["Coffer", "CCofferSystem", argumentParser],
            path: "Sources/Apps/coffer-cli", swiftSettings: strict),
        .executableTarget(
            name: "coffer-vault",
            dependencies: [
                "ByteCoding", "Primitives", "RecoveryProtocol", "FleetFiles", "VaultCore", "SecurityModules",
                "RecordStores", "VaultServer", argumentParser, lifecycle, unixSignals, logging, jwt, toml, nio,
            ],
            path: "Sources/Apps/coffer-vault", swiftSettings: strict),

        // How we know
        .target(
            name: "TestSupport", dependencies: ["ByteCoding"], path: "Tests/Support",
            exclude: ["cloudkit_emulator", "drive_emulator"], swiftSettings: strict),
        tests("ByteCodingTests", in: "Ground", uses: ["ByteCoding", "TestSupport"]),
        tests("PrimitivesTests", in: "Ground", uses: ["ByteCoding", "Primitives", "TestSupport"]),
        tests(
            "RecoveryProtocolTests", in: "Recovery",
            uses: ["ByteCoding", "Primitives", "RecoveryProtocol", "FleetFiles", "TestSupport"]),
        tests(
            "VaultCoreTests", in: "Vault",
            uses: ["ByteCoding", "Primitives", "RecoveryProtocol", "VaultCore", "TestSupport"]),
        tests(
            "VaultServerTests", in: "Vault",
            uses: [
                "ByteCoding", "Primitives", "RecoveryProtocol", "FleetFiles", "VaultCore", "SecurityModules",
                "CPKCS11", "RecordStores", "VaultServer", "TestSupport", hummingbird, httpClient, httpTypes, nio,
                nioEmbedded, nioPosix, nioHTTP, nioHTTPTypes, jwt, logging, grdb,
            ]),
        tests("BackupFormatTests", in: "Backup", uses: ["ByteCoding", "Primitives", "BackupFormat", "TestSupport"]),
        tests("Crypt15Tests", in: "Backup", uses: ["ByteCoding", "Primitives", "Crypt15", "TestSupport"]),
        tests(
            "BackupEngineTests", in: "Backup",
            uses: [
                "ByteCoding", "Primitives", "BackupFormat", "Crypt15", "BackupEngine", "ObjectStores", "BackupSources",
                "TestSupport", grdb, httpClient, nio, nioPosix,
            ]),
        tests(
            "CofferTests", in: "Apps",
            uses: [
                "ByteCoding", "Primitives", "RecoveryProtocol", "FleetFiles", "VaultCore", "SecurityModules",
                "RecordStores", "VaultServer", "BackupFormat", "Crypt15", "BackupEngine", "ObjectStores",
                "BackupSources",
                "Coffer",
                "TestSupport", hummingbird, httpClient, jwt, logging,
            ]),

        // Everything above in one thread, from a seed
        .executableTarget(
            name: "simulate",
            dependencies: [
                "ByteCoding", "Primitives", "RecoveryProtocol", "FleetFiles", "VaultCore", "VaultServer", "Coffer",
                "TestSupport", argumentParser,
            ],
            path: "Simulation", swiftSettings: strict),

        // WhatsApp's files, bent in every way (`make fuzz-whatsapp`)
        .executableTarget(
            name: "whatsapp-fuzz",
            dependencies: ["ByteCoding", "Primitives", "Crypt15", "TestSupport", argumentParser],
            path: "Fuzz", swiftSettings: strict),

        // How fast a vault is (`make bench-vault`)
        .executableTarget(
            name: "vault-bench",
            dependencies: [
                "ByteCoding", "Primitives", "RecoveryProtocol", "FleetFiles", "VaultCore", "SecurityModules",
                "RecordStores", "VaultServer", "TestSupport", argumentParser, grdb,
            ],
            path: "Benchmarks/VaultBench", swiftSettings: strict),
    ]
)
