package import ByteCoding

/// A snapshot that was removed on purpose: with it the chain is whole without the snapshot (section 11).
package struct RemovedSnapshot: ByteCodable, Equatable, Sendable {
    package let number: UInt32
    package let hash: SnapshotHash

    package init(number: UInt32, hash: SnapshotHash) {
        self.number = number
        self.hash = hash
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        number = try reader.uint32()
        hash = try SnapshotHash(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint32(number)
        try hash.encode(into: &writer)
    }
}

/// What whoever holds the key removed, or is about to remove (section 11).
package struct Removal: ByteCodable, Equatable, Sendable {
    private static let listBytes = 0...0xff_ffff
    /// How many snapshots and packs one object names at most; more go into further ones.
    package static let namesMax = 0xff_ffff / 36

    package var snapshots: [RemovedSnapshot]
    /// Writers take what lies in these packs for absent from now on.
    package var packs: [ObjectID]
    /// When the packs may go, in seconds since 1970: whoever was writing when they were named is done by then.
    package var packsGoSeconds: UInt64

    package init(snapshots: [RemovedSnapshot] = [], packs: [ObjectID] = [], packsGoSeconds: UInt64 = 0) {
        self.snapshots = snapshots
        self.packs = packs
        self.packsGoSeconds = packsGoSeconds
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        snapshots = try reader.list(Self.listBytes)
        packs = try reader.list(Self.listBytes)
        packsGoSeconds = try reader.uint64()
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.list(snapshots, Self.listBytes)
        try writer.list(packs, Self.listBytes)
        writer.uint64(packsGoSeconds)
    }
}
