package import ByteCoding
package import Primitives
package import RecoveryProtocol
import Synchronization
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
    /// The anchor does not answer: nobody can tell whether the store is the newest. Nothing was written.
    case anchorUnavailable(String)
    /// What the anchor keeps does not read. The store may be in order, and nothing in it was changed.
    case anchorDamaged(String)
    /// The store is not the one that the anchor remembers. Nothing is served from it, and nothing in it was changed.
    case rolledBack(Rollback)
}

/// A record store together with the key that opens what is in it, the tree that proves it, and the anchor that
/// remembers it.
///
/// Nothing is handed out that was not checked against the tree, whose root stands in a head that the anchor knows.
package struct SealedRecords: Sendable {
    package let store: any RecordStore
    package let sealer: RecordSealer
    package let anchor: any Anchor
    let verified = VerifiedStore()
    var verification: StoreVerification {
        StoreVerification(store: store, sealer: sealer, anchor: anchor)
    }
    /// How often another process may come in between before this one gives up.
    private static let racesMax = 16

    package init(store: any RecordStore, dataKey: SecretBytes, anchor: any Anchor) {
        self.store = store
        self.anchor = anchor
        sealer = RecordSealer(dataKey: dataKey)
    }

    /// One consistent read.
    package struct View: Sendable {
        package let snapshot: StoreSnapshot
        package let head: LedgerHead
        let keys: [RecordKey]
        /// By position: records that are not what the tree says. They are not served, whatever they hold.
        fileprivate let damaged: [Int: LedgerError]
        fileprivate let sealer: RecordSealer
        /// The last restore, if there was one.
        fileprivate let restorePoint: RestorePoint?

        /// The newest epoch that the last restore may have brought back; nil if there was none.
        package var restoredEpoch: UInt64? { restorePoint?.epoch }

        /// The ledger's time as of the last batch.
        package var time: LedgerTime { head.time }

        /// The record of the key at this position of the list that was loaded; nil if there is none. An account's is
        /// read by `account(at:)`.
        package func record<Value: ByteCodable>(_: Value.Type, at index: Int) throws(LedgerError) -> Value? {
            if let error = damaged[index] { throw error }
            return try snapshot.records[index].map { stored throws(LedgerError) in
                try sealer.opened(Value.self, stored)
            }
        }

        /// The record of an account that has none. After a restore it may have had one: its serial passes over that one's
        /// too, else the messages that registered it would register it again, with a fresh count.
        package func newAccount(_ name: AccountName) -> AccountRecord {
            var record = AccountRecord(serial: sealer.firstSerial(of: name))
            if let restorePoint {
                record.passSerials(ofBatches: restorePoint.epoch, drawn: restorePoint.drawnSerials)
            }
            return record
        }

        /// The account's record of the key at this position; frozen, if it was not written since the last restore.
        package func account(at index: Int) throws(LedgerError) -> AccountRecord? {
            guard var record = try record(AccountRecord.self, at: index), let stored = snapshot.records[index] else {
                return nil
            }
            if let restorePoint, stored.epoch <= restorePoint.epoch {
                record.freeze(
                    nonce: sealer.thawNonce(of: stored.key, after: restorePoint),
                    batchesMissed: restorePoint.epoch - stored.epoch, drawn: restorePoint.drawnSerials)
            }
            return record
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

    /// Loads records, each of them proved by the tree, absent ones too; one that is damaged is refused when it is read.
    package func load(_ keys: [RecordKey]) throws(LedgerError) -> View {
        try verified.state.withLock { state throws(LedgerError) in
            for _ in 0..<Self.racesMax {
                let asked = keys + [sealer.restorePoint]
                let snapshot = try read(asked, slots: asked.map { state?.index.slot(of: $0) })
                guard let known = state, known.head.head.epoch == snapshot.epoch else {
                    state = nil
                    let found = try verification.verify(after: verified.seen.withLock { $0 })
                    verified.seen.withLock { $0 = found.head }
                    state = found
                    continue
                }
                guard known.bytes == snapshot.head else {
                    throw .rolledBack(
                        .anotherBranch(storeEpoch: snapshot.epoch, anchoredEpoch: known.head.head.epoch))
                }
                let damaged = try known.check(snapshot.records, for: asked)
                // Which records are frozen must be known for all of them.
                if let error = damaged[keys.count] { throw error }
                let point = try snapshot.records.last.flatMap { $0 }.map { stored throws(LedgerError) in
                    try sealer.opened(RestorePoint.self, stored)
                }
                return View(
                    snapshot: snapshot, head: known.head.head, keys: keys, damaged: damaged, sealer: sealer,
                    restorePoint: point)
            }
            throw .conflict
        }
    }

    private func read(_ keys: [RecordKey], slots: [UInt64?]) throws(LedgerError) -> StoreSnapshot {
        do { return try store.load(keys, slots: slots) } catch { throw LedgerError(error) }
    }

    /// Up to `limit` records whose time has come, the most overdue first: by the tree, not by the store's word.
    package func due(atSeconds seconds: UInt64, limit: Int) throws(LedgerError) -> [RecordKey] {
        _ = try load([])
        return verified.state.withLock { $0?.index.due(atSeconds: seconds, limit: limit) ?? [] }
    }

    /// Seals the changes, commits them against the epoch of the view, and returns when the anchor holds the new head.
    ///
    /// On every error what was known of the store is forgotten, and it is verified anew before anything is built on it.
    /// `vaultID` is given with the first batch alone.
    package func commit(
        _ changes: [Change], time: LedgerTime, vaultID: VaultID? = nil, on view: View,
        using generator: inout some RandomNumberGenerator
    ) throws(LedgerError) {
        guard view.snapshot.epoch < .max else { throw .unavailable("the store has no epoch left") }
        try verified.state.withLock { state throws(LedgerError) in
            guard var next = state, next.head.head == view.head else { throw .conflict }
            // Taken out rather than copied, so that a tree of a million leaves is changed in place.
            state = nil
            let epoch = view.snapshot.epoch + 1
            let records = try seal(changes, of: view, epoch: epoch, into: &next.index, using: &generator)
            next.head = sealer.keyed(
                LedgerHead(
                    vaultID: vaultID ?? view.head.vaultID, epoch: epoch, slotCount: next.index.slotCount,
                    root: next.index.tree.root, previous: next.head.hash, time: time))
            let committed = try publish(next, records, after: view.snapshot.epoch)
            verified.seen.withLock { $0 = committed.head }
            state = committed
        }
    }

    /// Commits, and returns when the anchor holds the head.
    func publish(
        _ next: VerifiedStore.State, _ records: [StoredRecord], after epoch: UInt64
    ) throws(LedgerError) -> VerifiedStore.State {
        do throws(RecordStoreError) {
            try store.commit(
                RecordBatch(
                    expectedEpoch: epoch, epoch: next.head.head.epoch, head: next.bytes, records: records))
        } catch { throw LedgerError(error) }
        return try anchorCommitted(next)
    }

    /// Returns when the anchor holds a head that was committed. Another process on the same store may have seen it
    /// first, anchored it, and even gone on.
    private func anchorCommitted(_ committed: VerifiedStore.State) throws(LedgerError) -> VerifiedStore.State {
        do throws(AnchorError) {
            try anchor.advance(to: committed.head)
            return committed
        } catch .moved {
            let present = try verification.verify(after: committed.head)
            guard present.head == committed.head || present.head.head.previous == committed.head.hash else {
                throw .unknownOutcome("other processes went on before the anchor answered")
            }
            return present
        } catch { throw .unknownOutcome("the anchor did not take the new head: \(error.text)") }
    }

    /// Seals all new versions for the epoch, and puts their leaves into the tree at once.
    private func seal(
        _ changes: [Change], of view: View, epoch: UInt64, into index: inout LeafIndex,
        using generator: inout some RandomNumberGenerator
    ) throws(LedgerError) -> [StoredRecord] {
        var slotCount = index.slotCount
        var records: [StoredRecord] = []
        records.reserveCapacity(changes.count)
        for change in changes {
            let key = view.keys[change.index]
            let slot = index.slot(of: key) ?? slotCount
            if slot == slotCount { slotCount += 1 }
            records.append(try seal(change, key: key, slot: slot, epoch: epoch, using: &generator))
        }
        do throws(LeafMismatch) { try index.put(records) } catch { throw LedgerError(error) }
        return records
    }

    /// Seals a new version for the epoch.
    func seal(
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

    package init(_ error: AnchorError) {
        switch error {
        case .unavailable(let text): self = .anchorUnavailable(text)
        case .moved: self = .conflict
        case .damaged(let text): self = .anchorDamaged(text)
        }
    }

    package init(_ mismatch: LeafMismatch) {
        switch mismatch {
        case .sameRecordTwice(let slot): self = .damaged("slot \(slot) holds a record that another slot has too")
        case .anotherRecord(let slot):
            self = .damaged("slot \(slot) holds another record or another version than the tree says")
        case .missing(let slot): self = .damaged("the record of slot \(slot) is gone from the store")
        case .unknownRecord: self = .damaged("the store has a record that its tree does not have")
        case .wrongSlot(let slot): self = .damaged("slot \(slot) is not the record's")
        }
    }
}
