package import ByteCoding
package import Primitives
package import VaultCore

/// Why the ledger could not do its work. Nothing was answered.
package enum LedgerError: Error, Equatable {
    /// Another writer was first. Load again.
    case conflict
    /// Nothing was written.
    case unavailable(String)
    /// Written or not: what was built on it is forgotten.
    case unknownOutcome(String)
    /// A record or the store is damaged, or belongs to another data key.
    case damaged(String)
}

/// A record store together with the key that opens what is in it.
package struct SealedRecords: Sendable {
    package let store: any RecordStore
    package let sealer: RecordSealer

    package init(store: any RecordStore, dataKey: SecretBytes) {
        self.store = store
        sealer = RecordSealer(dataKey: dataKey)
    }

    /// One consistent read.
    package struct View: Sendable {
        package let snapshot: StoreSnapshot
        package let head: LedgerHead
        fileprivate let keys: [RecordKey]
        fileprivate let sealer: RecordSealer

        /// The record of the key at this position of the list that was loaded; nil if there is none.
        package func record<Value: ByteCodable>(_: Value.Type, at index: Int) throws(LedgerError) -> Value? {
            guard let stored = snapshot.records[index] else { return nil }
            guard stored.key == keys[index] else { throw .damaged("the store gave a record under another name") }
            do { return try sealer.open(Value.self, stored) } catch {
                throw .damaged("a record in slot \(stored.slot) does not open: it was altered, or the key is another")
            }
        }
    }

    /// A new version of the record at a position of a view's list.
    package struct Change {
        package let index: Int
        package let value: any ByteCodable
        package let dueSeconds: UInt64?

        package init(index: Int, value: any ByteCodable, dueSeconds: UInt64? = nil) {
            self.index = index
            self.value = value
            self.dueSeconds = dueSeconds
        }
    }

    package func load(_ keys: [RecordKey]) throws(LedgerError) -> View {
        do {
            let snapshot = try store.load(keys)
            guard snapshot.records.count == keys.count else {
                throw LedgerError.damaged("the store answered for other records")
            }
            let head = try sealer.openHead(snapshot.head, epoch: snapshot.epoch)
            return View(snapshot: snapshot, head: head, keys: keys, sealer: sealer)
        } catch let error as RecordStoreError {
            throw LedgerError(error)
        } catch is RecordDamaged {
            throw .damaged("the store's head does not open: it was altered, or the key is another")
        } catch {
            throw error as? LedgerError ?? .unavailable("\(error)")
        }
    }

    /// Seals the changes and commits them against the epoch of the view.
    package func commit(
        _ changes: [Change], head: LedgerHead, on view: View, using generator: inout some RandomNumberGenerator
    ) throws(LedgerError) {
        guard view.snapshot.epoch < .max else { throw .unavailable("the store has no epoch left") }
        let epoch = view.snapshot.epoch + 1
        var nextSlot = view.snapshot.slotCount
        var records: [StoredRecord] = []
        for change in changes {
            let slot = view.snapshot.records[change.index]?.slot ?? nextSlot
            if slot == nextSlot { nextSlot += 1 }
            records.append(
                try seal(change, key: view.keys[change.index], slot: slot, epoch: epoch, using: &generator))
        }
        // A Merkle tree over the slots hashes the sealed records here, and its root goes into the head.
        let sealedHead = sealer.sealHead(head, epoch: epoch, using: &generator)
        do {
            try store.commit(
                RecordBatch(expectedEpoch: view.snapshot.epoch, head: sealedHead, records: records))
        } catch { throw LedgerError(error) }
        // An anchor outside the store learns of the head here, before any reply is released.
    }

    private func seal(
        _ change: Change, key: RecordKey, slot: UInt64, epoch: UInt64,
        using generator: inout some RandomNumberGenerator
    ) throws(LedgerError) -> StoredRecord {
        // Room for the largest record from the start: a growing array leaves copies of secrets behind.
        var writer = ByteWriter(capacity: 16_384)
        do { try change.value.encode(into: &writer) } catch { throw .unavailable("a record has no encoding") }
        var plaintext = writer.bytes
        writer = ByteWriter()
        let sealed = sealer.seal(wiping: &plaintext, key: key, slot: slot, epoch: epoch, using: &generator)
        return StoredRecord(key: key, slot: slot, epoch: epoch, sealed: sealed, dueSeconds: change.dueSeconds)
    }
}

extension LedgerError {
    package init(_ error: RecordStoreError) {
        switch error {
        case .conflict: self = .conflict
        case .unavailable(let text): self = .unavailable(text)
        case .unknownOutcome(let text): self = .unknownOutcome(text)
        case .damaged(let text): self = .damaged(text)
        }
    }
}
