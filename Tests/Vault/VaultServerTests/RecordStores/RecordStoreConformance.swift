import ByteCoding
import TestSupport
import VaultCore

/// The contract of `RecordStore`, written once for every store. A store that breaks a rule is named by the rule.
struct RecordStoreConformance {
    struct Broken: Error, Equatable {
        let rule: String
    }

    /// Gives the same store again, as a new process would find it after the old one was killed.
    let reopen: () throws -> any RecordStore

    func check() throws {
        try startsEmpty()
        try keepsWhatItCommitted()
        try refusesAnotherEpoch()
        try takesAllOfABatchOrNothing()
        try givesEveryLeaf()
        try erasesOldVersionsAndKeepsTheNew()
        try passesOverEpochs()
    }

    private func require(_ condition: Bool, _ rule: String) throws {
        guard condition else { throw Broken(rule: rule) }
    }

    private func key(_ number: UInt8) throws -> RecordKey { try RecordKey([UInt8](repeating: number, count: 32)) }

    private func record(_ number: UInt8, slot: UInt64, epoch: UInt64, text: String, due: UInt64? = nil) throws
        -> StoredRecord
    {
        StoredRecord(key: try key(number), slot: slot, epoch: epoch, sealed: Array(text.utf8), dueSeconds: due)
    }

    private func startsEmpty() throws {
        let snapshot = try reopen().load([try key(1)])
        try require(snapshot.epoch == 0 && snapshot.slotCount == 0 && snapshot.head.isEmpty, "a new store is empty")
        try require(snapshot.records == [nil], "an unknown key has no record")
    }

    private func keepsWhatItCommitted() throws {
        let records = [
            try record(1, slot: 0, epoch: 1, text: "one"), try record(2, slot: 1, epoch: 1, text: "two", due: 50),
        ]
        try reopen().commit(RecordBatch(expectedEpoch: 0, epoch: 1, head: [1], records: records))
        let snapshot = try reopen().load([try key(2), try key(3), try key(1)])
        try require(snapshot.epoch == 1 && snapshot.head == [1], "a commit moves epoch and head")
        try require(snapshot.slotCount == 2, "slots are counted")
        try require(snapshot.records == [records[1], nil, records[0]], "what was committed is read back, in order")
        for slots in [[1, nil, 0], [0, 1, 1], [7, 7, 7], [nil, 0, nil], [.max, 1 << 63, nil]] as [[UInt64?]] {
            let asked = try reopen().load([try key(2), try key(3), try key(1)], slots: slots)
            try require(asked.records == snapshot.records, "whatever slots are named, the answer is the same")
        }
    }

    private func refusesAnotherEpoch() throws {
        let store = try reopen()
        for epoch: UInt64 in [0, 2] {
            let batch = RecordBatch(
                expectedEpoch: epoch, epoch: epoch + 1, head: [9],
                records: [try record(1, slot: 0, epoch: 9, text: "stale")])
            try require(refusal { try store.commit(batch) } == .conflict, "another epoch is refused as a conflict")
        }
        let snapshot = try reopen().load([try key(1)])
        try require(
            snapshot.epoch == 1 && snapshot.head == [1] && snapshot.records[0]?.epoch == 1,
            "a refused commit changes nothing")
    }

    private func takesAllOfABatchOrNothing() throws {
        // The second record asks for a slot that is not its own.
        let batch = RecordBatch(
            expectedEpoch: 1, epoch: 2, head: [8],
            records: [
                try record(1, slot: 0, epoch: 2, text: "torn"), try record(2, slot: 0, epoch: 2, text: "torn"),
            ])
        try require(refusal { try reopen().commit(batch) } != nil, "a record cannot change its slot")
        let snapshot = try reopen().load([try key(1), try key(2)])
        try require(
            snapshot.epoch == 1 && snapshot.head == [1] && snapshot.records.allSatisfy { $0?.epoch == 1 },
            "a batch that fails half-way leaves nothing")
        let many = try (3..<40).map { try record($0, slot: UInt64($0) - 1, epoch: 2, text: "many") }
        try reopen().commit(RecordBatch(expectedEpoch: 1, epoch: 2, head: [2], records: many))
        let after = try reopen().load(try (3..<40).map { try key($0) })
        try require(after.epoch == 2 && after.records == many.map { $0 }, "all of a large batch is written")
    }

    private func givesEveryLeaf() throws {
        let store = try reopen()
        let batch = RecordBatch(
            expectedEpoch: 2, epoch: 3, head: [3], records: [try record(3, slot: 2, epoch: 3, text: "due", due: 20)])
        try store.commit(batch)
        let table = try reopen().leaves()
        try require(table.epoch == 3 && table.head == [3], "the leaves come with their head and epoch")
        let records = try reopen().load(try (1..<40).map { try key($0) }).records.compactMap { $0 }
        var index = try table.leaves.index()
        try require(
            index.slotCount == UInt64(records.count) && index.keys(0..<records.count) == records.map(\.key),
            "there is a leaf for each record, in the order of slots")
        try require(
            index.due(atSeconds: 50, limit: 9) == [try key(3), try key(2)], "a leaf says when its record is due")
        try require(
            index.tree.root == MerkleTree(records.map(\.leaf.hash)).root, "a leaf has its record's hash")
    }

    private func erasesOldVersionsAndKeepsTheNew() throws {
        let store = try reopen()
        try store.commit(
            RecordBatch(
                expectedEpoch: 3, epoch: 4, head: [4], records: [try record(1, slot: 0, epoch: 4, text: "newest")]))
        try store.eraseOldVersions()
        try store.eraseOldVersions()
        let snapshot = try reopen().load([try key(1), try key(2), try key(3)])
        try require(snapshot.epoch == 4 && snapshot.head == [4], "erasing keeps the head")
        try require(
            snapshot.records.map { $0?.epoch } == [4, 1, 3] && snapshot.records[0]?.sealed == Array("newest".utf8),
            "erasing keeps the newest versions")
    }

    private func passesOverEpochs() throws {
        try reopen().commit(
            RecordBatch(expectedEpoch: 4, epoch: 9, head: [9], records: [try record(1, slot: 0, epoch: 9, text: "on")]))
        try require(try reopen().load([]).epoch == 9, "a restore passes over the epochs that were lost")
    }

    private func refusal(_ body: () throws -> Void) -> RecordStoreError? {
        do { try body() } catch { return error as? RecordStoreError ?? .unavailable("\(error)") }
        return nil
    }
}
