import Primitives

/// What a store holds that is not what the tree says. Nothing of it may be served.
package enum LeafMismatch: Error, Equatable {
    /// Two slots claim one record.
    case sameRecordTwice(slot: UInt64)
    /// The record is another version, another record, or in another place.
    case anotherRecord(slot: UInt64)
    /// The tree has a record here, and the store has none: a row was deleted.
    case missing(slot: UInt64)
    /// The store has a record that the tree does not have.
    case unknownRecord
    /// A new record would leave a gap, or a known one change its slot.
    case wrongSlot(slot: UInt64)
}

/// The tree, and the way from a record's key to its slot, made of the same leaves: so absence is proved like presence.
///
/// All of it is in memory, about 110 bytes for a leaf, in a few large arrays.
package struct LeafIndex: Sendable {
    package private(set) var tree: MerkleTree
    private var slots: SlotTable
    private var due: DueTimes

    /// From the leaves of slots 0, 1, 2 ….
    package init(_ leaves: [Leaf]) throws(LeafMismatch) {
        self = try LeafIndexBuilder(leaves).index()
    }

    init(_ leaves: consuming DigestList, _ slots: consuming SlotTable, _ due: consuming DueTimes) {
        tree = MerkleTree(leaves)
        self.slots = slots
        self.due = due
    }

    package var slotCount: UInt64 { UInt64(slots.count) }

    /// The slot of a key; nil if there is no such record.
    package func slot(of key: RecordKey) -> UInt64? { slots.slot(of: key).map { UInt64($0) } }

    /// The keys of slots that follow each other.
    package func keys(_ range: Range<Int>) -> [RecordKey] { range.map(slots.key) }

    /// Proves what the store answered for a key: this very version, or that there is none.
    package func check(_ stored: StoredRecord?, for key: RecordKey) throws(LeafMismatch) {
        guard let slot = slots.slot(of: key) else {
            guard stored == nil else { throw .unknownRecord }
            return
        }
        guard let stored else { throw .missing(slot: UInt64(slot)) }
        guard stored.key == key, stored.slot == UInt64(slot), tree.leaf(at: slot) == stored.leaf.hash else {
            throw .anotherRecord(slot: UInt64(slot))
        }
    }

    /// Takes a new version, or a new record in the next slot.
    package mutating func put(_ record: StoredRecord) throws(LeafMismatch) { try put([record]) }

    /// The same for all records of a batch, one after the other. What was taken before a mismatch is not in the tree: the
    /// index is of no more use then.
    package mutating func put(_ records: [StoredRecord]) throws(LeafMismatch) {
        var leaves: [(hash: MerkleHash, at: Int)] = []
        leaves.reserveCapacity(records.count)
        for record in records {
            guard let slot = Int(exactly: record.slot), slots.slot(of: record.key) ?? slots.count == slot else {
                throw .wrongSlot(slot: record.slot)
            }
            if slot == slots.count { slots.append(record.key) }
            due.put(record.dueSeconds, at: slot)
            leaves.append((record.leaf.hash, at: slot))
        }
        guard tree.put(leaves) else { throw .wrongSlot(slot: records.last?.slot ?? 0) }
    }

    /// Up to `limit` records whose time has come, the most overdue first.
    package mutating func due(atSeconds seconds: UInt64, limit: Int) -> [RecordKey] {
        due.slots(atSeconds: seconds).prefix(limit).map(slots.key)
    }
}

/// Takes leaves in the order of slots, as a store reads them, and makes an index of them.
package struct LeafIndexBuilder: Sendable {
    private var leaves = DigestList()
    private var slots = SlotTable()
    private var due = DueTimes()

    package init() {}

    package init(_ leaves: [Leaf]) {
        for leaf in leaves { append(leaf) }
    }

    package var count: Int { leaves.count }

    /// `key` and `sealedHash` have 32 bytes.
    package mutating func append(
        key: UnsafeRawBufferPointer, dueSeconds: UInt64?, sealedHash: UnsafeRawBufferPointer
    ) {
        Leaf.withHashed(key: key, dueSeconds: dueSeconds, sealedHash: sealedHash) { leaves.append(hashing: $0) }
        slots.appendUnindexed(key)
        due.put(dueSeconds, at: leaves.count - 1)
    }

    private mutating func append(_ leaf: Leaf) {
        leaf.key.bytes.withUnsafeBytes { key in
            leaf.sealedHash.bytes.withUnsafeBytes { append(key: key, dueSeconds: leaf.dueSeconds, sealedHash: $0) }
        }
    }

    package consuming func index() throws(LeafMismatch) -> LeafIndex {
        if let slot = slots.indexAll() { throw .sameRecordTwice(slot: UInt64(slot)) }
        return LeafIndex(leaves, slots, due)
    }
}
