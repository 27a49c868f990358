import ByteCoding
import Primitives

/// Names one store; the salt of every key that is derived for it (section 2).
package struct StoreID: FixedBytes {
    package static let byteCount = 16
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// The random id of one sealed object (section 3).
package struct ObjectID: FixedBytes {
    package static let byteCount = 16
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    package static func random(using generator: inout some RandomNumberGenerator) -> ObjectID {
        ObjectID(uncheckedBytes: generator.bytes(byteCount))
    }
}

/// The keyed hash of a chunk's content (section 5).
package struct ChunkID: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    /// Stands for a block of zeros and is never stored (section 7).
    package static let zeros = ChunkID(uncheckedBytes: [UInt8](repeating: 0, count: byteCount))
}

/// SHA-256 over a snapshot's structure, which chains the snapshots (section 9).
package struct SnapshotHash: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    /// What the first snapshot of a store has for its predecessor.
    package static let none = SnapshotHash(uncheckedBytes: [UInt8](repeating: 0, count: byteCount))
}
