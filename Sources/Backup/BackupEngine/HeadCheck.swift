package import BackupFormat

extension Repository {
    /// Compares what the store shows with what its heads tell of; nil if there are none.
    ///
    /// Reads the snapshots from the heads' number on, most often one, and the removals only where these are not enough.
    package func verdict(on heads: [BackupHead]) async throws(ObjectStoreError) -> HeadVerdict? {
        guard let number = heads.map(\.number).max() else { return nil }
        var shown = try await shownSnapshots(from: number)
        let verdict = HeadVerdict(heads, shown: shown)
        if verdict == .current { return verdict }
        shown.removed = Array(try await removals().removedSnapshots)
        return HeadVerdict(heads, shown: shown)
    }

    private func shownSnapshots(from number: UInt32) async throws(ObjectStoreError) -> ShownSnapshots {
        var shown = ShownSnapshots()
        for name in try await snapshotNames().reversed() {
            if name.number < number, !shown.readable.isEmpty { break }
            do throws(ReadError) {
                let snapshot = try await snapshot(name)
                guard let hash = try? snapshot.hash() else { continue }
                shown.readable.append(
                    ShownSnapshots.Shown(number: snapshot.number, hash: hash, previous: snapshot.previous))
            } catch {
                if case .store(let failure) = error, !failure.isLoss { throw failure }
                shown.unreadable.append(name.number)
            }
        }
        return shown
    }
}
