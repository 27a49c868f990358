import Synchronization
package import VaultCore

/// A store whose commits are counted and timed.
package struct MeasuredStore: RecordStore {
    private let store: any RecordStore
    private let metrics: VaultMetrics

    package init(_ store: any RecordStore, _ metrics: VaultMetrics) {
        self.store = store
        self.metrics = metrics
    }

    package func load(_ keys: [RecordKey]) throws(RecordStoreError) -> StoreSnapshot { try store.load(keys) }
    package func load(_ keys: [RecordKey], slots: [UInt64?]) throws(RecordStoreError) -> StoreSnapshot {
        try store.load(keys, slots: slots)
    }
    package func leaves() throws(RecordStoreError) -> LeafTable { try store.leaves() }

    package func commit(_ batch: RecordBatch) throws(RecordStoreError) {
        do throws(RecordStoreError) {
            try metrics.timed(.commit) { () throws(RecordStoreError) in try store.commit(batch) }
            metrics.count(Metrics.commits, ["done"])
        } catch {
            metrics.count(Metrics.commits, [LedgerError(error).metricWord])
            throw error
        }
    }

    package func eraseOldVersions() throws(RecordStoreError) {
        try metrics.timed(.erase) { () throws(RecordStoreError) in try store.eraseOldVersions() }
    }

    package func statistics(writtenUpTo epoch: UInt64?) throws(RecordStoreError) -> StoreStatistics? {
        try store.statistics(writtenUpTo: epoch)
    }
}

/// An anchor whose advances are counted and timed.
package struct MeasuredAnchor: Anchor {
    private let anchor: any Anchor
    private let metrics: VaultMetrics

    package init(_ anchor: any Anchor, _ metrics: VaultMetrics) {
        self.anchor = anchor
        self.metrics = metrics
    }

    package func heads() throws(AnchorError) -> [AnchoredHead] {
        do throws(AnchorError) {
            let heads = try anchor.heads()
            metrics.set(Metrics.anchorAnswers, to: 1)
            return heads
        } catch {
            metrics.set(Metrics.anchorAnswers, to: 0)
            throw error
        }
    }

    package func advance(to head: KeyedHead) throws(AnchorError) {
        do throws(AnchorError) {
            try metrics.timed(.anchor) { () throws(AnchorError) in try anchor.advance(to: head) }
            metrics.count(Metrics.anchorings, ["done"])
            metrics.set(Metrics.anchorAnswers, to: 1)
            metrics.set(Metrics.epoch, to: Double(head.head.epoch))
            metrics.set(Metrics.records, to: Double(head.head.slotCount))
        } catch {
            switch error {
            case .moved: metrics.count(Metrics.anchorings, ["moved"])
            case .unavailable:
                metrics.count(Metrics.anchorings, ["unavailable"])
                metrics.set(Metrics.anchorAnswers, to: 0)
            case .damaged:
                metrics.count(Metrics.anchorings, ["damaged"])
                metrics.set(Metrics.anchorAnswers, to: 0)
            }
            throw error
        }
    }
}

extension LedgerError {
    var metricWord: String {
        switch self {
        case .conflict: "conflict"
        case .unavailable: "unavailable"
        case .unknownOutcome: "unknown_outcome"
        case .damaged: "damaged"
        case .anchorUnavailable: "anchor_unavailable"
        case .anchorDamaged: "anchor_damaged"
        case .rolledBack: "rolled_back"
        }
    }
}
