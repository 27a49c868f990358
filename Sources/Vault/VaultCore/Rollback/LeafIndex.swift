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
package struct LeafIndex: Sendable {
    package private(set) var tree: MerkleTree
    private var keys: [RecordKey]
    private var dueSeconds: [UInt64?]
    private var slots: [RecordKey: Int]

    /// From the leaves of slots 0, 1, 2 ….
    package init(_ leaves: [Leaf]) throws(LeafMismatch) {
        tree = MerkleTree(leaves.map(\.hash))
        keys = leaves.map(\.key)
        dueSeconds = leaves.map(\.dueSeconds)
        slots = Dictionary(minimumCapacity: leaves.count)
        for (slot, key) in keys.enumerated() {
            guard slots.updateValue(slot, forKey: key) == nil else { throw .sameRecordTwice(slot: UInt64(slot)) }
        }
    }

    package var slotCount: UInt64 { UInt64(keys.count) }

    /// The slot of a key; nil if there is no such record.
    package func slot(of key: RecordKey) -> UInt64? { slots[key].map { UInt64($0) } }

    /// Every key, in the order of slots.
    package var allKeys: [RecordKey] { keys }

    /// Proves what the store answered for a key: this very version, or that there is none.
    package func check(_ stored: StoredRecord?, for key: RecordKey) throws(LeafMismatch) {
        guard let slot = slots[key] else {
            guard stored == nil else { throw .unknownRecord }
            return
        }
        guard let stored else { throw .missing(slot: UInt64(slot)) }
        guard stored.key == key, stored.slot == UInt64(slot), tree.leaf(at: slot) == stored.leaf.hash else {
            throw .anotherRecord(slot: UInt64(slot))
        }
    }

    /// Takes a new version, or a new record in the next slot.
    package mutating func put(_ record: StoredRecord) throws(LeafMismatch) {
        let leaf = record.leaf
        guard let slot = Int(exactly: record.slot), slots[record.key] ?? keys.count == slot,
            tree.put(leaf.hash, at: slot)
        else { throw .wrongSlot(slot: record.slot) }
        if slot == keys.count {
            keys.append(record.key)
            dueSeconds.append(record.dueSeconds)
            slots[record.key] = slot
        } else {
            dueSeconds[slot] = record.dueSeconds
        }
    }

    /// Up to `limit` records whose time has come, the most overdue first.
    package func due(atSeconds seconds: UInt64, limit: Int) -> [RecordKey] {
        var found: [(due: UInt64, slot: Int)] = []
        for (slot, due) in dueSeconds.enumerated() {
            if let due, due <= seconds { found.append((due, slot)) }
        }
        found.sort { ($0.due, $0.slot) < ($1.due, $1.slot) }
        return found.prefix(limit).map { keys[$0.slot] }
    }
}
