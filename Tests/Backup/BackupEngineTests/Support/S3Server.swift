import BackupEngine
import Foundation
import ObjectStores
import Primitives
import TestSupport

/// A real server of another make (moto), one for all tests of this process; it ends with it.
enum S3Server {
    /// `http://127.0.0.1:PORT`
    static var address: Result<String, any Error> { server.map(\.line) }
    private static let server = Result { try PythonServer("EndToEnd/s3_server.py") }

    static let credentials = S3Credentials(
        accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretKey: SecretBytes(copying: Array("a secret of tests".utf8)))

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
