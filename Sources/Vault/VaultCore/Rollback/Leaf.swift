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
        key.bytes.withUnsafeBytes { key in
            sealedHash.bytes.withUnsafeBytes { sealedHash in
                Self.withHashed(key: key, dueSeconds: dueSeconds, sealedHash: sealedHash) {
                    MerkleHash(uncheckedBytes: sha256($0))
                }
            }
        }
    }

    /// Lends what is hashed: 0x00, then the leaf's encoding, from parts that nobody made a leaf of.
    static func withHashed<Result>(
        key: UnsafeRawBufferPointer, dueSeconds: UInt64?, sealedHash: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(byteCount: 1 + RecordKey.byteCount + 9 + SealedHash.byteCount, alignment: 8) {
            buffer in
            var count = 0
            func append(_ bytes: UnsafeRawBufferPointer) {
                UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + bytes.count]).copyMemory(from: bytes)
                count += bytes.count
            }
            withUnsafeBytes(of: UInt8(0x00)) { append($0) }
            append(key)
            withUnsafeBytes(of: UInt8(dueSeconds == nil ? 0 : 1)) { append($0) }
            if let dueSeconds { withUnsafeBytes(of: dueSeconds.bigEndian) { append($0) } }
            append(sealedHash)
            return body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
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
        Leaf(key: key, dueSeconds: dueSeconds, sealedHash: sealedHash)
    }
}
