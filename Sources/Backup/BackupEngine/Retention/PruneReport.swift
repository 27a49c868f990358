package import BackupFormat

/// Why pruning stopped. Every backup that was to stay can be restored in each case, and the next run goes on.
package enum PruneError: Error, Equatable, Sendable {
    /// A snapshot that cannot be read: what it needs is not known, so nothing was removed.
    case damagedSnapshot(String)
    /// The store does not show these, and nobody removed them: what they need is not known, so no pack was removed.
    case missingSnapshots([MissingSnapshot])
    /// Part of a backup that stays cannot be read, so what lies beyond it is not known; no pack was removed.
    case damagedBackup(ReadError)
    /// More than the format names.
    case tooMuch
    case store(ObjectStoreError)
    case backup(BackupError)
}

/// What pruning did, or with `isTrial` would have done.
package struct PruneReport: Equatable, Sendable {
    package var kept: [SnapshotName] = []
    package var removed: [SnapshotName] = []
    /// What the store has now, to be remembered by the device.
    package var seen: [SeenSnapshot] = []
    /// Snapshots that were given up, since whoever prunes says that they are lost.
    package var givenUp: [MissingSnapshot] = []
    /// Bytes of packs that are gone, and of objects that writers which were killed never finished.
    package var freedBytes: UInt64 = 0
    /// Bytes of packs that go when their grace is over, and when that is.
    package var waitingBytes: UInt64 = 0
    package var waitingUntilSeconds: UInt64?
    /// Bytes that were written anew, out of packs that were mostly waste.
    package var repackedBytes: UInt64 = 0
}
