package import ByteCoding
import Primitives

/// Kept in the tree since a vault's store was put back from a copy: accounts that were last written before are frozen.
package struct RestorePoint: ByteCodable, Equatable, Sendable {
    private static let seedBytes = 32

    /// The last epoch before the restore, of the copy's history or of the one that was lost.
    package let epoch: UInt64
    /// 32 random bytes; every account's thaw nonce comes from them.
    package let seed: [UInt8]

    /// Added to every serial that the restore passes over, below 2^24. Two restores from one copy whose anchor was put back
    /// as well have one epoch, and so would give out the same serials: what was signed for one would count in the other.
    package var drawnSerials: UInt64 { seed.prefix(3).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }

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
