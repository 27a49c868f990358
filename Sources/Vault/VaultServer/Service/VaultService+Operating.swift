import Logging
import Synchronization
import VaultCore

/// What the operator's side asks of a vault.
extension VaultService {
    /// Looks whether the store reads and the anchor answers; to be called every few seconds. Blocks no other task.
    package func probe() async {
        let failure = await aside { self.look() }
        guard readiness.found(failure, at: clock()) else { return }
        if let failure { log(.notReady, ["reason": "\(failure)"]) } else { log(.serving, [:]) }
    }

    /// Nil if all is well.
    private func look() -> String? {
        let view: SealedRecords.View
        do throws(LedgerError) {
            view = try records.load([records.sealer.configuration, records.sealer.anchorSettings])
            try show(view)
        } catch {
            return Self.words(for: error)
        }
        do throws(AnchorError) { _ = try records.anchor.heads() } catch { return Self.words(for: LedgerError(error)) }
        return nil
    }

    private static func words(for error: LedgerError) -> String {
        switch error {
        case .rolledBack: "the store is not the one that the anchor remembers"
        case .damaged: "the store is damaged"
        case .anchorUnavailable: "the anchor does not answer"
        case .anchorDamaged: "the anchor does not read"
        case .conflict, .unavailable, .unknownOutcome: "the store or the anchor does not answer"
        }
    }

    private func show(_ view: SealedRecords.View) throws(LedgerError) {
        let configuration = try view.record(VaultConfiguration.self, at: 0)
        // The vault's own records: configuration, identity, and those that are not always there.
        let own = 2 + (view.snapshot.records[1] == nil ? 0 : 1) + (view.restoredEpoch == nil ? 0 : 1)
        ownRecordCount.withLock { $0 = own + (configuration?.tenants.count ?? 0) }
        let slots = view.head.slotCount
        metrics.set(Metrics.epoch, to: Double(view.head.epoch))
        metrics.set(Metrics.records, to: Double(slots))
        try showStore(restoredEpoch: isCountDue(slots) ? view.restoredEpoch : nil)
        if view.restoredEpoch == nil { metrics.set(Metrics.restored, to: 0) }
    }

    private func showStore(restoredEpoch: UInt64?) throws(LedgerError) {
        let statistics: StoreStatistics?
        do { statistics = try records.store.statistics(writtenUpTo: restoredEpoch) } catch { throw LedgerError(error) }
        guard let statistics else { return }
        metrics.set(Metrics.storeBytes, to: Double(statistics.bytes))
        if restoredEpoch != nil { metrics.set(Metrics.restored, to: Double(statistics.recordsUpToEpoch)) }
    }

    /// Counting reads all of a restored store: of a large one every ten minutes is often enough.
    private func isCountDue(_ slots: UInt64) -> Bool {
        let now = clock().uptimeSeconds
        return nextCountSeconds.withLock { next in
            guard now >= next else { return false }
            next = now + (slots > 100_000 ? 600 : 0)
            return true
        }
    }

    /// Why the vault is not ready; nil if it is.
    package func notReady() -> String? { readiness.refusal(at: clock()) }

    /// The body of `GET /metrics`.
    package func metricsPage() -> String {
        let slots = metrics.value(Metrics.records) ?? 0
        metrics.set(Metrics.accounts, to: max(0, slots - Double(ownRecordCount.withLock { $0 })))
        metrics.set(Metrics.queue, to: Double(ledger.queueCount))
        metrics.set(Metrics.ready, to: notReady() == nil ? 1 : 0)
        ProcessFacts.show(in: metrics)
        return metrics.page()
    }
}
