import BackupFormat
import Foundation
import ObjectStores
import TestSupport

/// The real rclone, with a configuration of the test's own.
struct RcloneServer {
    /// Where scripts/setup --tests puts it.
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent(".build-tools/python/bin").path

    let process: RcloneProcess
    /// Kept for as long as rclone runs.
    let home: TemporaryFolder
    let environment: [String: String]

    /// - Parameters:
    ///   - remotes: sections of rclone's configuration.
    ///   - programs: folders in which rclone is looked for first.
    init(_ remotes: String = "", more: [String: String] = [:], programs: String = RcloneServer.folder) throws {
        home = try TemporaryFolder()
        try home.write(Array(remotes.utf8), to: "rclone.conf")
        environment =
            [
                "PATH": "\(programs):/usr/bin:/bin", "HOME": home.path, "RCLONE_CONFIG": home("rclone.conf"),
                // Its folders are looked into by tests, and go with the test.
                "XDG_RUNTIME_DIR": home.path,
            ].merging(more, uniquingKeysWith: { $1 })
        process = RcloneProcess(environment: environment)
    }

    func store(
        _ place: String, transport: any StoreTransport = RcloneClient.transport, service: (any RcloneService)? = nil
    ) throws -> RcloneStore {
        RcloneStore(
            RcloneClient(
                try RcloneAddress("rclone:\(place)"), service ?? process, transport: transport,
                clock: StandingClock().waiting, dice: { _ in 0 }))
    }

    /// What is left of sockets' folders.
    var socketFolders: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: home.path)) ?? []).filter {
            $0.hasPrefix("coffer-rclone-")
        }
    }
}

extension RcloneServer {
    /// One for the contract's tests: rclone takes a tenth of a second to start. A disk, and the bucket of the S3 server.
    static let common = Result {
        try RcloneServer(
            """
            [disk]
            type = local

            [bucket]
            type = s3
            provider = Other
            access_key_id = AKIAIOSFODNN7EXAMPLE
            secret_access_key = a secret of tests
            endpoint = \(try S3Server.address.get())

            """)
    }
}
