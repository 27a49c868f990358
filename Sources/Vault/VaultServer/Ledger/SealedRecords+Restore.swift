import Synchronization
import VaultCore

/// Why a store was not made the vault's present one. Nothing was changed.
package enum RestoreError: Error, Equatable {
    /// The anchor remembers this very store, so nothing was put back.
    case isCurrent(epoch: UInt64)
    case ledger(LedgerError)
}

/// Both ends of what was lost.
package struct RestoredStore: Equatable, Sendable {
    /// The epoch of the copy.
    package let copyEpoch: UInt64
    /// The newest epoch that the anchor remembered.
    package let lostEpoch: UInt64

    package init(copyEpoch: UInt64, lostEpoch: UInt64) {
        self.copyEpoch = copyEpoch
        self.lostEpoch = lostEpoch
    }
}

extension SealedRecords {
    /// Makes an older store the vault's present one, without what a rollback would bring back: everything in it is
    /// frozen until its owner's key says otherwise.
    ///
    /// One small batch, whatever the number of accounts: a `RestorePoint`, under a head that follows the anchored one.
    /// The store must be whole, by its own head. A crash in between leaves it refused as before, or one batch ahead.
    ///
    /// - Parameter evenIfCurrent: the anchor was put back together with the store, as a file beside it is, and so
    ///   noticed nothing.
    package func restore(
        evenIfCurrent: Bool, using generator: inout some RandomNumberGenerator
    ) throws(RestoreError) -> RestoredStore {
        try verified.state.withLock { state throws(RestoreError) in
            state = nil
            var next = try ledger { () throws(LedgerError) in try verification.read() }
            let copy = next.head.head
            let last = try last(before: next, evenIfCurrent: evenIfCurrent)
            let point = RestorePoint(epoch: last.epoch, using: &generator)
            state = try ledger { () throws(LedgerError) in
                let record = try seal(
                    Change(index: 0, value: point), key: sealer.restorePoint,
                    slot: next.index.slot(of: sealer.restorePoint) ?? next.index.slotCount, epoch: last.epoch + 1,
                    using: &generator)
                do throws(LeafMismatch) { try next.index.put(record) } catch { throw LedgerError(error) }
                next.head = sealer.keyed(
                    LedgerHead(
                        vaultID: copy.vaultID, epoch: last.epoch + 1, slotCount: next.index.slotCount,
                        root: next.index.tree.root, previous: last.hash, time: copy.time))
                return try publish(next, [record], after: copy.epoch)
            }
            verified.seen.withLock { $0 = state?.head }
            return RestoredStore(copyEpoch: copy.epoch, lostEpoch: last.epoch)
        }
    }

    /// The head that the restored store follows: the newest that the anchor knows.
    private func last(
        before found: VerifiedStore.State, evenIfCurrent: Bool
    ) throws(RestoreError) -> AnchoredHead {
        let heads: [AnchoredHead]
        do { heads = try anchor.heads() } catch { throw .ledger(LedgerError(error)) }
        let epoch = found.head.head.epoch
        guard let newest = heads.max(by: { $0.epoch < $1.epoch }), newest.epoch < .max, epoch > 0 else {
            throw .ledger(.rolledBack(.anchorIsBehind(storeEpoch: epoch, anchoredEpoch: 0)))
        }
        switch Standing(of: found.head, anchored: heads) {
        case .current, .oneAhead:
            guard evenIfCurrent else { throw .isCurrent(epoch: epoch) }
            do { try anchor.advance(to: found.head) } catch { throw .ledger(LedgerError(error)) }
            return found.head.anchored
        case .refused(let rollback):
            // A store beyond its anchor is no copy from before; and the anchor takes single steps alone.
            guard epoch <= newest.epoch else { throw .ledger(.rolledBack(rollback)) }
        }
        return newest
    }

    private func ledger<Result>(_ body: () throws(LedgerError) -> Result) throws(RestoreError) -> Result {
        do { return try body() } catch { throw .ledger(error) }
    }
}
