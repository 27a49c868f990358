import BackupFormat
import ByteCoding

/// The snapshots and removals of a store, as far as several lists of it show them.
///
/// A list is one answer: of a cloud that lags, of a server that was about to stop, of someone who wants to see packs deleted. So
/// whatever any list has shown counts, and what they show together is compared with the chain of snapshots and with what is known of
/// them elsewhere.
struct SnapshotView {
    private let repository: Repository
    private(set) var snapshots: [SnapshotName: Snapshot] = [:]
    private(set) var hashes: Set<SnapshotHash> = []
    private(set) var removals = Removals()
    /// What the last list showed.
    private var listed: Set<SnapshotName> = []
    /// Of what any list showed, what could not be read so far.
    private var unread: [SnapshotName: ReadError] = [:]
    /// What this run has deleted: lists may show it for a while.
    private var deleted: Set<SnapshotName> = []

    init(_ repository: Repository) { self.repository = repository }

    /// Looks once more. A snapshot that goes is named by a removal before, so the removals are looked at after the snapshots.
    ///
    /// - Returns: whether there is a snapshot that was not seen before.
    mutating func look() async throws(ObjectStoreError) -> Bool {
        listed = Set(try await repository.snapshotNames())
        var isNew = false
        for name in listed.union(unread.keys) where snapshots[name] == nil && !deleted.contains(name) {
            if try await read(name) { isNew = true }
        }
        try await repository.readRemovals(into: &removals)
        return isNew
    }

    /// - Returns: whether it could be read.
    private mutating func read(_ name: SnapshotName) async throws(ObjectStoreError) -> Bool {
        do throws(ReadError) {
            let snapshot = try await repository.snapshot(name)
            guard let hash = try? snapshot.hash() else { throw .damaged(ObjectName.snapshot(name).path) }
            snapshots[name] = snapshot
            hashes.insert(hash)
            unread[name] = nil
            return true
        } catch {
            if case .store(let failure) = error, !failure.isLoss { throw failure }
            unread[name] = error
            return false
        }
    }

    /// Throws if what a list shows cannot be read, so that nobody can know what it needs.
    func requireReadable() throws(PruneError) {
        for (name, error) in unread.sorted(by: { $0.key < $1.key }) {
            if case .store(.notFound(let path)) = error {
                if listed.contains(name) { throw .store(.notFound(path)) }
            } else {
                throw .damagedSnapshot(ObjectName.snapshot(name).path)
            }
        }
    }

    mutating func noteDeleted(_ names: [SnapshotName]) { deleted.formUnion(names) }

    /// What should be there, is not shown, and was not removed.
    func missing(_ known: KnownSnapshots) -> [MissingSnapshot] {
        let removed = removals.removedSnapshots
        let accounted = hashes.union(removed).union([.none])
        var missing: [MissingSnapshot] = []
        for seen in Set(known.seen) where !accounted.contains(seen.hash) {
            missing.append(MissingSnapshot(number: seen.number, witness: .memory, hash: seen.hash))
        }
        for name in snapshots.keys.sorted() {
            guard let hash = snapshots[name]?.previous, !accounted.contains(hash),
                !missing.contains(where: { $0.hash == hash })
            else { continue }
            missing.append(MissingSnapshot(number: nil, witness: .successor(name.number), hash: hash))
        }
        for head in missingHeads(known, accounted, removed) {
            let isNamed = missing.contains { $0.hash.map(head.names) ?? false }
            if isNamed { continue }
            missing.append(
                MissingSnapshot(number: head.number, witness: .head(endedSeconds: head.endedSeconds), hash: nil))
        }
        missing += vanished()
        return Set(missing).sorted { $0.order < $1.order }
    }

    private func missingHeads(
        _ known: KnownSnapshots, _ accounted: Set<SnapshotHash>, _ removed: Set<SnapshotHash>
    ) -> [BackupHead] {
        var heads: [BackupHead] = []
        if let own = known.own, !accounted.contains(where: own.names) { heads.append(own) }
        var shown = ShownSnapshots(removed: Array(removed))
        for snapshot in snapshots.values {
            guard let hash = try? snapshot.hash() else { continue }
            shown.readable.append(.init(number: snapshot.number, hash: hash, previous: snapshot.previous))
        }
        switch HeadVerdict(known.heads, shown: shown) {
        case .damaged(let head, _), .older(let head, _), .otherHistory(let head): heads.append(head)
        case .current, nil: break
        }
        return heads
    }

    /// Listed once and then neither there nor listed: somebody prunes as well, who has recorded it, or a list lied.
    private func vanished() -> [MissingSnapshot] {
        let numbers = Set(removals.items.flatMap(\.removal.snapshots).map(\.number))
        return unread.keys.filter { !numbers.contains($0.number) }.map {
            MissingSnapshot(number: $0.number, witness: .list, hash: nil)
        }
    }
}

extension MissingSnapshot {
    /// Where it belongs among the others.
    fileprivate var order: (UInt32, UInt32) {
        if case .successor(let next) = witness { return (next, 0) }
        return (number ?? 0, 1)
    }
}
