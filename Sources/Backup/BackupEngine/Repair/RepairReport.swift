/// Why a repair stopped. Nothing that opened before was changed or removed, and the next run goes on.
package enum RepairError: Error, Equatable, Sendable {
    case store(ObjectStoreError)
    /// More than the format can name.
    case tooMuch
}

/// What a repair found and did, or with `isTrial` would have done.
package struct RepairReport: Equatable, Sendable {
    /// A file or folder that no snapshot can bring back whole any more.
    package struct Lost: Equatable, Sendable {
        /// Empty for everything.
        package var path: [UInt8]
        /// The numbers of the snapshots that have it so; others may have it whole.
        package var snapshots: [UInt32]
    }

    package var packs = 0
    /// Packs that are damaged or gone, by name. What was in them is stored again by the next backup that finds it.
    package var damagedPacks: [String] = []
    /// Indexes that did not open; one that was made from the packs themselves takes their place.
    package var damagedIndexes: [String] = []
    package var wroteIndex = false
    /// Copies of the keyring that do not open, and the number of the one that was written beside them.
    package var damagedKeyringCopies: [String] = []
    package var newKeyring: UInt32?
    /// Snapshots of which one copy is damaged. They are read from the other, and left as they are.
    package var halfDamagedSnapshots: [String] = []
    /// Snapshots that cannot be read at all.
    package var lostSnapshots: [String] = []
    /// Records of removals that did not open, and were removed.
    package var damagedRemovals: [String] = []
    /// Objects that do not open, but may be another device's: they were left alone.
    package var leftAlone: [String] = []
    /// The first ones.
    package var lost: [Lost] = []
    /// At least so many are lost, if that is more than are named.
    package var lostCount = 0

    /// Whether there was nothing to repair and nothing is lost.
    package var isClean: Bool {
        damagedPacks.isEmpty && damagedIndexes.isEmpty && damagedKeyringCopies.isEmpty && damagedRemovals.isEmpty
            && halfDamagedSnapshots.isEmpty && lostSnapshots.isEmpty && leftAlone.isEmpty && lostCount == 0
    }
}
