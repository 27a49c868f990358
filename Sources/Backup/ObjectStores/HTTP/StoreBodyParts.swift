import BackupEngine
import NIOCore

extension StoreBody {
    var byteCount: Int {
        switch self {
        case .none: 0
        case .bytes(let bytes): bytes.count
        case .spooled(let spooled): spooled.byteCount
        }
    }

    /// Some of its bytes.
    func portion(_ range: Range<Int>) -> StoreBody {
        switch self {
        case .none: .none
        case .bytes(let bytes): .bytes(Array(bytes[range]))
        case .spooled(let spooled): .spooled(spooled.portion(range))
        }
    }

    /// All of it, which is small.
    func gathered() async throws(StoreFailure) -> [UInt8] {
        switch self {
        case .none: []
        case .bytes(let bytes): bytes
        case .spooled(let spooled): try await spooled.gathered()
        }
    }
}

extension SpooledBytes {
    /// All of them, which are few.
    func gathered() async throws(StoreFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        do {
            for try await part in self { bytes += part.readableBytesView }
        } catch {
            throw StoreFailure(.permanent, "temporary files on this device cannot be read")
        }
        return bytes
    }
}
