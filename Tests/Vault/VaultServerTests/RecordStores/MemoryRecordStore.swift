import Synchronization
import VaultCore

/// Records in memory, and the ways in which a store can lie.
final class MemoryRecordStore: RecordStore {
    enum Lie: CaseIterable {
        /// Says that it committed, and forgets.
        case losesWrites
        /// Writes the first half of a batch.
        case tearsBatches
        /// Gives the version before the newest.
        case readsOldVersions
        /// Lets every epoch pass.
        case ignoresEpochs
        /// Forgets what is due.
        case forgetsDue
    }

    /// What the next commit does instead of committing.
    enum Fault {
        case unavailable
        /// Written, but the store cannot say so.
        case unknownButWritten
        case unknownAndLost
    }

    struct Contents: Sendable {
        var epoch: UInt64 = 0
        var head: [UInt8] = []
        var records: [RecordKey: [StoredRecord]] = [:]
        var faults: [Fault] = []
        var loadCount = 0
        var commitCount = 0
        var eraseCount = 0
        /// Somebody else reads, and nothing is erased meanwhile.
        var isBeingRead = false
    }

    private let contents = Mutex(Contents())
    private let lie: Lie?

    init(lie: Lie? = nil) { self.lie = lie }

    var loadCount: Int { contents.withLock { $0.loadCount } }
    var commitCount: Int { contents.withLock { $0.commitCount } }
    var eraseCount: Int { contents.withLock { $0.eraseCount } }
    func fail(next faults: Fault...) { contents.withLock { $0.faults += faults } }

    /// A copy of everything, and putting it back: what somebody with the disk may do.
    func copied() -> Contents { contents.withLock { $0 } }
    func restore(_ copy: Contents) { contents.withLock { $0 = copy } }
    func forge(_ change: (inout Contents) -> Void) { contents.withLock { change(&$0) } }

    /// What somebody with the disk may do to a record.
    func tamper(_ key: RecordKey, _ change: (inout [UInt8]) -> Void) {
        contents.withLock { contents in
            guard let record = contents.records[key]?.popLast() else { return }
            var sealed = record.sealed
            change(&sealed)
            contents.records[key]?.append(
                StoredRecord(
                    key: key, slot: record.slot, epoch: record.epoch, sealed: sealed, dueSeconds: record.dueSeconds))
        }
    }

    func load(_ keys: [RecordKey]) throws(RecordStoreError) -> StoreSnapshot {
        contents.withLock { contents in
            contents.loadCount += 1
            return StoreSnapshot(
                epoch: contents.epoch, head: contents.head, slotCount: UInt64(contents.records.count),
                records: keys.map { key in
                    guard let versions = contents.records[key] else { return nil }
                    return lie == .readsOldVersions ? versions.first : versions.last
                })
        }
    }

    func leaves() throws(RecordStoreError) -> LeafTable {
        contents.withLock { contents in
            let versions = contents.records.values.compactMap { lie == .readsOldVersions ? $0.first : $0.last }
            return LeafTable(
                epoch: contents.epoch, head: contents.head,
                leaves: LeafIndexBuilder(
                    versions.sorted { $0.slot < $1.slot }.map { record in
                        let leaf = record.leaf
                        return Leaf(
                            key: leaf.key, dueSeconds: lie == .forgetsDue ? nil : leaf.dueSeconds,
                            sealedHash: leaf.sealedHash)
                    }))
        }
    }

    func commit(_ batch: RecordBatch) throws(RecordStoreError) {
        let outcome = contents.withLock { contents in Self.commit(batch, into: &contents, lie: lie) }
        if let outcome { throw outcome }
    }

    private static func commit(_ batch: RecordBatch, into contents: inout Contents, lie: Lie?) -> RecordStoreError? {
        let fault = contents.faults.isEmpty ? nil : contents.faults.removeFirst()
        switch fault {
        case .unavailable: return .unavailable("as the test asked")
        case .unknownAndLost: return .unknownOutcome("as the test asked")
        case .unknownButWritten, nil: break
        }
        guard lie == .ignoresEpochs || contents.epoch == batch.expectedEpoch else { return .conflict }
        if lie == .losesWrites { return nil }
        for record in batch.records {
            if let slot = contents.records[record.key]?.last?.slot, slot != record.slot, lie != .tearsBatches {
                return .damaged("a record would have changed its slot")
            }
        }
        contents.epoch = batch.epoch
        contents.head = batch.head
        contents.commitCount += 1
        let written = lie == .tearsBatches ? batch.records.prefix((batch.records.count + 1) / 2) : batch.records[...]
        for record in written { contents.records[record.key, default: []].append(record) }
        return fault == .unknownButWritten ? .unknownOutcome("as the test asked") : nil
    }

    func eraseOldVersions() throws(RecordStoreError) {
        try contents.withLock { contents throws(RecordStoreError) in
            contents.eraseCount += 1
            if contents.isBeingRead { throw .unavailable("another process is reading") }
            guard lie != .readsOldVersions else { return }
            contents.records = contents.records.mapValues { $0.suffix(1) }
        }
    }
}
