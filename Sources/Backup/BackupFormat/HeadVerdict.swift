/// What a store shows of its snapshots, as far as it can be read, from the head's number on.
package struct ShownSnapshots: Equatable, Sendable {
    package struct Shown: Equatable, Sendable {
        package let number: UInt32
        package let hash: SnapshotHash
        package let previous: SnapshotHash

        package init(number: UInt32, hash: SnapshotHash, previous: SnapshotHash) {
            self.number = number
            self.hash = hash
            self.previous = previous
        }
    }

    /// In any order; with the newest of all, whatever its number.
    package var readable: [Shown]
    /// Numbers of those that are there and cannot be read.
    package var unreadable: [UInt32]
    /// Hashes of those that a removal names.
    package var removed: [SnapshotHash]

    package init(readable: [Shown] = [], unreadable: [UInt32] = [], removed: [SnapshotHash] = []) {
        self.readable = readable
        self.unreadable = unreadable
        self.removed = removed
    }
}

/// Whether a store shows the newest backup that its heads tell of (section 13).
package enum HeadVerdict: Equatable, Sendable {
    /// It does, or a newer one that builds upon it.
    case current
    /// The snapshot is there, and cannot be read: damage, or somebody's. The newest number that can, or 0.
    case damaged(BackupHead, newest: UInt32)
    /// All that can be read is older. The newest number that can, or 0.
    case older(BackupHead, newest: UInt32)
    /// There are snapshots as new, and they do not build upon it.
    case otherHistory(BackupHead)

    /// Of all heads those with the highest number count: liars may keep earlier ones, and after an older state was
    /// accepted, the next snapshot has a higher number. Nil if there are none.
    package init?(_ heads: [BackupHead], shown: ShownSnapshots) {
        guard let number = heads.map(\.number).max() else { return nil }
        self =
            heads.filter { $0.number == number }.map { Self.verdict(on: $0, shown) }
            .max { $0.severity < $1.severity } ?? .current
    }

    private static func verdict(on head: BackupHead, _ shown: ShownSnapshots) -> HeadVerdict {
        let newest = shown.readable.map(\.number).max() ?? 0
        if shown.readable.contains(where: { head.names($0.hash) }) { return .current }
        if newest > head.number {
            // The newest snapshot of a source is never removed, so whatever replaced it is there.
            if shown.removed.contains(where: head.names) { return .current }
            if shown.readable.contains(where: { $0.number > head.number && head.names($0.previous) }) {
                return .current
            }
        }
        if shown.unreadable.contains(head.number) { return .damaged(head, newest: newest) }
        return newest < head.number ? .older(head, newest: newest) : .otherHistory(head)
    }

    private var severity: Int {
        switch self {
        case .current: 0
        case .damaged: 1
        case .older: 2
        case .otherHistory: 3
        }
    }
}
