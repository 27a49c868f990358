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
        case .bytes(let bytes): bytes
        case .spooled(let spooled): try await spooled.gathered()
        }
    }

    /// Whether Drive has all of it, as it was sent, in a file. Size alone proves nothing.
    func isWhole(in file: DriveFile) async throws(StoreFailure) -> Bool {
        guard file.byteCount == byteCount else { return false }
        if let given = file.sha256Checksum { return given.lowercased() == Hex.encode(sha256) }
        guard let given = file.md5Checksum else { return false }
        return given.lowercased() == Hex.encode(try await md5())
    }

    private var sha256: [UInt8] {
        switch self {
        case .bytes(let bytes): Primitives.sha256(bytes)
        case .spooled(let spooled): spooled.sha256
        }
    }

    /// Read once more for it, where Drive tells no other.
    private func md5() async throws(StoreFailure) -> [UInt8] {
        var md5 = MD5()
        switch self {
        case .bytes(let bytes): md5.update(bytes)
        case .spooled(let spooled):
            do {
                for try await part in spooled { part.withUnsafeReadableBytes { md5.update($0) } }
            } catch {
                throw Self.unreadable
            }
        }
        return md5.digest()
    }

    private static let unreadable = StoreFailure(.permanent, "temporary files on this device cannot be read")
}
