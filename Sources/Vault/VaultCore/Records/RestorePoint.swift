package import ByteCoding
import Primitives

/// Kept in the tree since a vault's store was put back from a copy: accounts that were last written before are frozen.
package struct RestorePoint: ByteCodable, Equatable, Sendable {
    private static let seedBytes = 32

    /// The last epoch before the restore, of the copy's history or of the one that was lost.
    package let epoch: UInt64
    /// 32 random bytes; every account's thaw nonce comes from them.
    package let seed: [UInt8]

    package init(epoch: UInt64, using generator: inout some RandomNumberGenerator) {
        self.epoch = epoch
        seed = generator.bytes(Self.seedBytes)
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        epoch = try reader.uint64()
        seed = try reader.fixed(Self.seedBytes)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(epoch)
        writer.raw(seed)
    }
}
