package import BackupFormat
package import ByteCoding

/// A snapshot that somebody has seen in a store.
package struct SeenSnapshot: ByteCodable, Hashable, Sendable {
    package let number: UInt32
    package let hash: SnapshotHash

    package init(number: UInt32, hash: SnapshotHash) {
        self.number = number
        self.hash = hash
    }

    package init(_ snapshot: Snapshot) throws(ByteCodingError) {
        self.init(number: snapshot.number, hash: try snapshot.hash())
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

/// What is known of a store's snapshots besides what it shows, so that a list that lacks some is found out.
package struct KnownSnapshots: Sendable {
    /// What vaults and this device say of the newest.
    package var heads: [BackupHead]
    /// This device's own last one, which need not be the newest.
    package var own: BackupHead?
    /// What this device has seen there.
    package var seen: [SeenSnapshot]

    package init(heads: [BackupHead] = [], own: BackupHead? = nil, seen: [SeenSnapshot] = []) {
        self.heads = heads
        self.own = own
        self.seen = seen
    }
}

/// A snapshot that should be in a store, which does not show it and has no record of its removal.
package struct MissingSnapshot: Hashable, Sendable {
    /// How it is known that there was one.
    package enum Witness: Hashable, Sendable {
        /// The snapshot of this number was made after it.
        case successor(UInt32)
        /// It is the last backup that the vaults or this device tell of.
        case head(endedSeconds: UInt64)
        /// This device has seen it there.
        case memory
        /// A list showed it a moment ago.
        case list
    }

    package let number: UInt32?
    package let witness: Witness
    /// Nil where only its beginning is known.
    let hash: SnapshotHash?
}
