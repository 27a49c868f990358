package import ByteCoding
import Primitives

/// SHA-256 of a record's sealed bytes.
package struct SealedHash: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// What the tree says of the record in one slot: whose it is, which version, and when it must be looked at. It is all
/// that a start reads, and it is narrow: the records themselves are read, and checked, when they are asked for.
package struct Leaf: ByteCodable, Equatable, Sendable {
    package let key: RecordKey
    /// In the leaf, since whoever could alter it would put a destruction off for ever.
    package let dueSeconds: UInt64?
    package let sealedHash: SealedHash

    package init(key: RecordKey, dueSeconds: UInt64?, sealedHash: SealedHash) {
        self.key = key
        self.dueSeconds = dueSeconds
        self.sealedHash = sealedHash
    }

    /// SHA-256(0x00 ‖ leaf), RFC 9162 section 2.1.1.
    package var hash: MerkleHash {
        var writer = ByteWriter(capacity: 80)
        writer.uint8(0x00)
        writer.raw(key.bytes)
        writer.uint8(dueSeconds == nil ? 0 : 1)
        if let dueSeconds { writer.uint64(dueSeconds) }
        writer.raw(sealedHash.bytes)
        return MerkleHash(uncheckedBytes: sha256(writer.bytes))
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        key = try RecordKey(from: &reader)
        dueSeconds = try reader.optional { reader throws(ByteCodingError) in try reader.uint64() }
        sealedHash = try SealedHash(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try key.encode(into: &writer)
        try writer.optional(dueSeconds) { due, writer throws(ByteCodingError) in writer.uint64(due) }
        try sealedHash.encode(into: &writer)
    }
}

extension StoredRecord {
    /// The leaf for this version. The slot is the leaf's place in the tree; the epoch is bound by the seal.
    package var leaf: Leaf {
        Leaf(key: key, dueSeconds: dueSeconds, sealedHash: SealedHash(uncheckedBytes: sha256(sealed)))
    }
}
