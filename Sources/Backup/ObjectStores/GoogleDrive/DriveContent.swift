import BackupEngine
import ByteCoding
import NIOCore
import Primitives

/// What is uploaded.
enum DriveContent: Sendable {
    case bytes([UInt8])
    case spooled(SpooledBytes)

    var byteCount: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .spooled(let spooled): spooled.byteCount
        }
    }

    /// What is left of it from an offset on.
    func body(from offset: Int) -> StoreBody {
        switch self {
        case .bytes(let bytes): .bytes(offset == 0 ? bytes : Array(bytes[offset...]))
        case .spooled(let spooled): .spooled(spooled.dropping(offset))
        }
    }

    /// All of it, which is small.
    func gathered() async throws(StoreFailure) -> [UInt8] {
        switch self {
        case .bytes(let bytes): return bytes
        case .spooled(let spooled):
            var bytes: [UInt8] = []
            bytes.reserveCapacity(spooled.byteCount)
            do {
                for try await part in spooled { bytes += part.readableBytesView }
            } catch {
                throw StoreFailure(.permanent, "temporary files on this device cannot be read")
            }
            return bytes
        }
    }

    func proof() -> Proof {
        switch self {
        case .bytes(let bytes):
            Proof(byteCount: bytes.count, sha256: Hex.encode(Primitives.sha256(bytes)), md5: md5(bytes))
        case .spooled(let spooled):
            Proof(byteCount: spooled.byteCount, sha256: Hex.encode(spooled.sha256), md5: Hex.encode(spooled.md5))
        }
    }

    private func md5(_ bytes: [UInt8]) -> String {
        var md5 = MD5()
        md5.update(bytes)
        return Hex.encode(md5.digest())
    }

    /// What Drive must say of a file that has this content.
    struct Proof: Equatable, Sendable {
        let byteCount: Int
        let sha256: String
        let md5: String

        /// Size alone proves nothing.
        func holds(for file: DriveFile) -> Bool {
            guard file.byteCount == byteCount else { return false }
            if let given = file.sha256Checksum { return given.lowercased() == sha256 }
            return file.md5Checksum?.lowercased() == md5
        }
    }
}
