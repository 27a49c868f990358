import ByteCoding
import Primitives

/// The name of a record in the store: a keyed hash (`RecordSealer`), so that a stolen store names no account.
package struct RecordKey: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// A sealed record as the store holds it.
package struct StoredRecord: Equatable, Sendable {
    package let key: RecordKey
    /// The record's place for ever: 0, 1, 2 … in the order of the first writes.
    package let slot: UInt64
    /// The epoch in which it was written.
    package let epoch: UInt64
    package let sealed: [UInt8]
    /// Made when the record was read or sealed, since tree, leaf table and check all ask for it.
    package let sealedHash: SealedHash
    /// The ledger's time in seconds at which a timed command should look at the record; nil: never.
    package let dueSeconds: UInt64?

    package init(key: RecordKey, slot: UInt64, epoch: UInt64, sealed: [UInt8], dueSeconds: UInt64?) {
        self.key = key
        self.slot = slot
        self.epoch = epoch
        self.sealed = sealed
        sealedHash = SealedHash(uncheckedBytes: sha256(sealed))
        self.dueSeconds = dueSeconds
    }
}

/// What one consistent read saw.
package struct StoreSnapshot: Sendable {
    /// The number of batches committed so far.
    package let epoch: UInt64
    /// The ledger's own bytes, written with the last batch; empty before the first.
    package let head: [UInt8]
    /// The number of slots in use, which is the next record's slot.
    package let slotCount: UInt64
    /// One for each key asked for, in that order; nil where there is none.
    package let records: [StoredRecord?]

    package init(epoch: UInt64, head: [UInt8], slotCount: UInt64, records: [StoredRecord?]) {
        self.epoch = epoch
        self.head = head
        self.slotCount = slotCount
        self.records = records
    }
}

/// The leaves of all records, as they are at one epoch.
package struct LeafTable: Sendable {
    package let epoch: UInt64
    package let head: [UInt8]
    /// Of slots 0, 1, 2 …, without a gap. There may be millions, so they are hashed as they are read.
    package let leaves: LeafIndexBuilder

    package init(epoch: UInt64, head: [UInt8], leaves: consuming LeafIndexBuilder) {
        self.epoch = epoch
        self.head = head
        self.leaves = leaves
    }
}

/// One batch: all of it or nothing.
package struct RecordBatch: Sendable {
    /// The batch is refused unless the store is at this epoch.
    package let expectedEpoch: UInt64
    /// The store's epoch afterwards: the next one, but for a restore, which passes over those that were lost.
    package let epoch: UInt64
    package let head: [UInt8]
    /// Each in a slot of its own; a known key keeps its slot, a new one takes the next.
    package let records: [StoredRecord]

    package init(expectedEpoch: UInt64, epoch: UInt64, head: [UInt8], records: [StoredRecord]) {
        self.expectedEpoch = expectedEpoch
        self.epoch = epoch
        self.head = head
        self.records = records
    }
}

/// Why a record store did not do what it was asked to.
package enum RecordStoreError: Error, Equatable {
    /// Another writer was first; nothing was written. Load again.
    case conflict
    /// Nothing was written; try again later.
    case unavailable(String)
    /// The batch may be written or not. Forget what was built on it, and load again.
    case unknownOutcome(String)
    /// The store's own structure does not read; nothing was written. Serve nothing from it.
    case damaged(String)
}

/// Where sealed records lie. One ledger writes at a time; whoever else writes is refused by the epoch.
///
/// Calls block until the medium has answered: a commit returns when the batch will survive a power cut.
package protocol RecordStore: Sendable {
    func load(_ keys: [RecordKey]) throws(RecordStoreError) -> StoreSnapshot

    /// The same, with the slots where the asker believes the records to lie; nil where it knows none. A store may look there
    /// first. What it answers is the same whatever the slots are.
    func load(_ keys: [RecordKey], slots: [UInt64?]) throws(RecordStoreError) -> StoreSnapshot

    /// One consistent read of every record's leaf, without the records.
    func leaves() throws(RecordStoreError) -> LeafTable

    func commit(_ batch: RecordBatch) throws(RecordStoreError)

    /// After it returns, no byte of a superseded version of any record is left in the store's files. Called before
    /// the replies to a batch that erased a secret are released, and at every start.
    func eraseOldVersions() throws(RecordStoreError)

    /// For the operator's page; nothing is decided by it. Nil: the store keeps no such numbers.
    /// `writtenUpTo` asks for the number of records that were last written in that epoch or before.
    func statistics(writtenUpTo epoch: UInt64?) throws(RecordStoreError) -> StoreStatistics?
}

extension RecordStore {
    package func load(_ keys: [RecordKey], slots: [UInt64?]) throws(RecordStoreError) -> StoreSnapshot {
        try load(keys)
    }

    package func statistics(writtenUpTo epoch: UInt64?) throws(RecordStoreError) -> StoreStatistics? { nil }
}

package struct StoreStatistics: Equatable, Sendable {
    /// Of everything that the store keeps on the disk.
    package let bytes: UInt64
    /// Records last written in the epoch that was asked for, or before.
    package let recordsUpToEpoch: UInt64

    package init(bytes: UInt64, recordsUpToEpoch: UInt64) {
        self.bytes = bytes
        self.recordsUpToEpoch = recordsUpToEpoch
    }
}
