package import ByteCoding
import Primitives
package import RecoveryProtocol

/// The ledger's two clocks, in seconds. Neither ever falls, whatever is done to the machine's clock.
package struct LedgerTime: ByteCodable, Equatable, Sendable {
    /// Like the wall clock, but it never goes back: a clock set back would otherwise bring old waits and expiries back.
    package var seconds: UInt64
    /// Time during which the vault served. The grace before destruction counts in it: a vault that was down for three
    /// days must not come up and destroy what its owner had no chance to ask for again.
    package var servingSeconds: UInt64

    package init(seconds: UInt64, servingSeconds: UInt64) {
        self.seconds = seconds
        self.servingSeconds = servingSeconds
    }

    package static let start = LedgerTime(seconds: 0, servingSeconds: 0)

    /// The time at `now`, when the time was `self` at `before`, in the same process.
    ///
    /// When the wall clock is behind (it was ahead once, and was put right), the time goes on at the pace of the
    /// process's own clock; otherwise every wait would stand still until the wall clock caught up.
    package func advanced(from before: Moment, to now: Moment) -> LedgerTime {
        let elapsed = now.uptimeSeconds.saturatingSubtract(before.uptimeSeconds)
        return LedgerTime(
            seconds: max(now.wallSeconds, seconds.saturatingAdd(elapsed)),
            servingSeconds: servingSeconds.saturatingAdd(elapsed))
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        seconds = try reader.uint64()
        servingSeconds = try reader.uint64()
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(seconds)
        writer.uint64(servingSeconds)
    }
}

/// SHA-256 over a head and its authentication code.
package struct HeadHash: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    /// What stands for the head before the first.
    package static let none = HeadHash(uncheckedBytes: [UInt8](repeating: 0, count: byteCount))
}

/// HMAC-SHA256 over a head, under a key that comes from the data key.
package struct HeadCode: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// What the ledger writes beside every batch: all of the store in one hash, chained to the batch before.
package struct LedgerHead: ByteCodable, Equatable, Sendable {
    package let vaultID: VaultID
    /// The number of batches committed.
    package let epoch: UInt64
    /// The number of leaves below the root.
    package let slotCount: UInt64
    package let root: MerkleHash
    package let previous: HeadHash
    package let time: LedgerTime

    private static let version: UInt8 = 1

    package init(
        vaultID: VaultID, epoch: UInt64, slotCount: UInt64, root: MerkleHash, previous: HeadHash, time: LedgerTime
    ) {
        self.vaultID = vaultID
        self.epoch = epoch
        self.slotCount = slotCount
        self.root = root
        self.previous = previous
        self.time = time
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        guard try reader.uint8() == Self.version else { throw .invalidValue }
        vaultID = try VaultID(from: &reader)
        epoch = try reader.uint64()
        slotCount = try reader.uint64()
        root = try MerkleHash(from: &reader)
        previous = try HeadHash(from: &reader)
        time = try LedgerTime(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(Self.version)
        try vaultID.encode(into: &writer)
        writer.uint64(epoch)
        writer.uint64(slotCount)
        try root.encode(into: &writer)
        try previous.encode(into: &writer)
        try time.encode(into: &writer)
    }
}

/// A head with the code that shows that a holder of the data key made it.
package struct KeyedHead: ByteCodable, Equatable, Sendable {
    package let head: LedgerHead
    package let code: HeadCode

    package init(head: LedgerHead, code: HeadCode) {
        self.head = head
        self.code = code
    }

    /// Before the first batch.
    package static let none = KeyedHead(
        head: LedgerHead(
            vaultID: VaultID(uncheckedBytes: [UInt8](repeating: 0, count: VaultID.byteCount)), epoch: 0,
            slotCount: 0, root: MerkleTree().root, previous: .none, time: .start),
        code: HeadCode(uncheckedBytes: [UInt8](repeating: 0, count: HeadCode.byteCount)))

    package var hash: HeadHash {
        // The fields have fixed sizes, so there is always an encoding.
        guard head.epoch > 0, let bytes = try? labelled(.headHash, encoded()) else { return .none }
        return HeadHash(uncheckedBytes: sha256(bytes))
    }

    package var anchored: AnchoredHead { AnchoredHead(epoch: head.epoch, hash: hash) }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        head = try LedgerHead(from: &reader)
        code = try HeadCode(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try head.encode(into: &writer)
        try code.encode(into: &writer)
    }
}
