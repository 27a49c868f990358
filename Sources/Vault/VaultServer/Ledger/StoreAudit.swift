import VaultCore

/// What an audit found in order.
package struct StoreAudit: Equatable, Sendable {
    package let epoch: UInt64
    package let recordCount: Int
    /// The anchor lacks the last batch, as after a crash; opening the vault completes it.
    package let isOneAhead: Bool
}

extension SealedRecords {
    private static let auditBatchCount = 256
    private static let auditRoundsMax = 16

    /// Proves the whole store: every record by its leaf and by its seal, all leaves by the head, the head by the anchor.
    /// Changes nothing. A vault may serve meanwhile; if it never pauses, the audit gives up with a conflict.
    package func audit() throws(LedgerError) -> StoreAudit {
        let verification = StoreVerification(store: store, sealer: sealer, anchor: anchor)
        for _ in 0..<Self.auditRoundsMax {
            let found = try verification.read()
            let standing = try verification.standing(of: found)
            guard try isComplete(found) else { continue }
            if case .refused(let rollback) = standing {
                guard try !verification.hasMoved(since: found) else { continue }
                throw .rolledBack(rollback)
            }
            return StoreAudit(
                epoch: found.head.head.epoch, recordCount: Int(found.index.slotCount), isOneAhead: standing == .oneAhead
            )
        }
        throw .conflict
    }

    /// Proves a copy by its own head, whatever the anchor says: every record by its leaf and its seal. Returns what is
    /// wrong with single records, too: a rotten one is no reason to be without a copy of the others.
    package func proveCopy() throws(LedgerError) -> (audit: StoreAudit, damaged: [LedgerError]) {
        let found = try StoreVerification(store: store, sealer: sealer, anchor: anchor).read()
        guard found.head.head.epoch > 0, let damaged = try damagedRecords(found) else {
            throw .damaged("the copy is not whole")
        }
        let audit = StoreAudit(
            epoch: found.head.head.epoch, recordCount: Int(found.index.slotCount), isOneAhead: false)
        return (audit, damaged)
    }

    /// False if the store moved on meanwhile.
    private func isComplete(_ found: VerifiedStore.State) throws(LedgerError) -> Bool {
        guard let damaged = try damagedRecords(found) else { return false }
        if let first = damaged.first { throw first }
        return true
    }

    /// In the order of slots; nil if the store moved on meanwhile.
    private func damagedRecords(_ found: VerifiedStore.State) throws(LedgerError) -> [LedgerError]? {
        let count = Int(found.index.slotCount)
        var all: [LedgerError] = []
        for start in stride(from: 0, to: count, by: Self.auditBatchCount) {
            let batch = found.index.keys(start..<min(start + Self.auditBatchCount, count))
            let snapshot: StoreSnapshot
            do { snapshot = try store.load(batch) } catch { throw LedgerError(error) }
            guard snapshot.epoch == found.head.head.epoch else { return nil }
            let damaged = try found.check(snapshot.records, for: batch)
            for (place, record) in snapshot.records.enumerated() {
                if let error = damaged[place] {
                    all.append(error)
                } else if let record, !sealer.opens(record) {
                    all.append(.damaged("the record of slot \(record.slot) does not open"))
                }
            }
        }
        return all
    }
}
