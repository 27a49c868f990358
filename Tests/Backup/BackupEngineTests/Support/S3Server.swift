import BackupEngine
import Foundation
import ObjectStores
import Primitives
import TestSupport

/// A real server of another make (moto), one for all tests of this process; it ends with it.
enum S3Server {
    struct NotRunning: Error {
        let words = "the S3 server of the tests does not start: scripts/setup --tests installs it"
    }

    /// `http://127.0.0.1:PORT`
    static let address: Result<String, any Error> = Result { try start() }
    /// Held open: the server ends when this is closed.
    nonisolated(unsafe) private static var held: [Pipe] = []  // written once, by `address`

    static let credentials = S3Credentials(
        accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretKey: SecretBytes(copying: Array("a secret of tests".utf8)))

    private static func start() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let process = Process()
        process.executableURL = root.appendingPathComponent(".build-tools/python/bin/python")
        process.arguments = [root.appendingPathComponent("Tests/EndToEnd/s3_server.py").path]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        held = [input, output]
        var line: [UInt8] = []
        while line.last != 0x0a {
            let part = output.fileHandleForReading.availableData
            guard !part.isEmpty else { throw NotRunning() }
            line += part
        }
        return String(decoding: line.dropLast(), as: UTF8.self)
    }

    /// A store under a prefix of its own.
    static func store(
        _ prefix: String = UUID().uuidString.lowercased(),
        capabilities: StoreCapabilities = StoreCapabilities(), objectsPerList: Int = 1_000,
        transport: (any StoreTransport) -> any StoreTransport = { $0 }
    ) throws -> S3Store {
        let address = try S3Address("s3:\(try address.get())/coffer/\(prefix)")
        return S3Store(
            S3Client(
                address, credentials, transport: transport(HTTPStoreTransport()),
                backoff: Backoff(triesMaxUnanswered: 9, clock: StandingClock().waiting, dice: { _ in 0 }),
                now: { UInt64(Date().timeIntervalSince1970) }), capabilities: capabilities,
            objectsPerList: objectsPerList)
    }
}
