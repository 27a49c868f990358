import BackupFormat
import ByteCoding

/// Where a new snapshot goes in the chain (spec: backup format, section 9).
struct ChainLink: Equatable {
    let number: UInt32
    let previous: SnapshotHash
    /// What the snapshot before holds, and of what.
    var totals: Snapshot.Totals?
    var source: String?

    /// After the newest snapshot that can be read: a damaged one must not stop a person from backing up again.
    ///
    /// - Parameter above: a number that a snapshot had which the store does not show.
    static func next(in repository: Repository, above: UInt32 = 0) async throws(BackupError) -> ChainLink {
        let names: [SnapshotName]
        do { names = try await repository.snapshotNames() } catch { throw .store(error) }
        for name in names.reversed() {
            let snapshot: Snapshot
            do {
                snapshot = try await repository.snapshot(name)
            } catch .store(let error) where !error.isLoss {
                throw .store(error)
            } catch {
                continue
            }
            guard let hash = try? snapshot.hash() else { continue }
            return ChainLink(
                number: number(after: name, among: names, above: above), previous: hash, totals: snapshot.totals,
                source: snapshot.source)
        }
        return ChainLink(number: number(after: nil, among: names, above: above), previous: .none)
    }

    /// Above every number that is taken, unless someone without the key has put a number there that leaves no room.
    private static func number(after newest: SnapshotName?, among names: [SnapshotName], above: UInt32) -> UInt32 {
        let highest = max(names.last?.number ?? 0, above)
        if highest < SnapshotName.numberMax { return highest + 1 }
        return min(newest?.number ?? 0, SnapshotName.numberMax - 1) + 1
    }
}
