import BackupFormat
import ByteCoding

// What was named to go and is needed after all: the list by which it was named lacked something, or a repair has found it damaged. If
// it stayed named, its grace would be over for good, and the next list that lacks something would let it go at once.

extension Prune {
    /// How long a pack stays that was needed when its time had come. A prune in that time takes the name back.
    static let parkedSeconds: UInt64 = 30 * 86_400
    /// Nobody whose clock goes before by less than this takes a pack for due whose name is taken back.
    private static let clockSeconds: UInt64 = 3_600
    /// Each is read whole before it is believed in again. The others wait for the next run.
    private static let proofsMax = 64

    /// Packs that are not to go as the removals say.
    struct Revision {
        /// Sound and needed: they are not named any more.
        var dropped: Set<ObjectID> = []
        /// Named anew, to go at another time.
        var moved: Set<ObjectID> = []
    }

    /// Takes names back, or writes them with other times.
    ///
    /// A name is taken back only before its time has come: another device that prunes by other rules at this moment may be about to
    /// remove what is due, and a backup might build upon it meanwhile. What is due is named for a later time first.
    mutating func reviseNames(_ survey: Survey, without gone: Set<ObjectID>) async throws(PruneError) -> Revision {
        guard !options.isTrial else { return Revision() }
        let named = removals.goSeconds.filter { !gone.contains($0.key) }
        let needed = survey.use.needed.filter { named[$0.id] != nil }
        var revision = Revision()
        revision.dropped = try await sound(among: needed.filter { mayBeDropped(named[$0.id] ?? 0) })
        let parked = needed.map(\.id).filter { named[$0] ?? 0 <= now && !revision.dropped.contains($0) }
        let hastened = survey.use.unneeded.map(\.id).filter { named[$0] ?? 0 > goSeconds }
        do {
            try await name(parked, goSeconds: now.saturatingAdd(Self.parkedSeconds))
            try await name(hastened, goSeconds: goSeconds)
        } catch .store(.full) {
            // Then they stay as they are.
            return Revision()
        }
        revision.moved = Set(parked + hastened)
        return revision
    }

    private func mayBeDropped(_ seconds: UInt64) -> Bool {
        options.graceSeconds == 0 || seconds > now.saturatingAdd(Self.clockSeconds)
    }

    private mutating func sound(among packs: [ChunkIndex.Pack]) async throws(PruneError) -> Set<ObjectID> {
        guard !packs.isEmpty else { return [] }
        let prover = PackProver(repository)
        var sound: Set<ObjectID> = []
        for pack in packs.shuffled(using: &generator).prefix(Self.proofsMax) {
            do {
                if try await prover.isSound(pack) { sound.insert(pack.id) }
            } catch {
                throw .store(error)
            }
        }
        return sound
    }

    /// Removals that say what is not so any more go, and what else they said is written again before.
    mutating func forgetNames(_ revision: Revision, without gone: Set<ObjectID>) async throws(PruneError) {
        guard !options.isTrial else { return }
        let forgotten = revision.dropped.union(revision.moved)
        for item in removals.items {
            var removal = item.removal
            if !removal.isSpent(without: gone) {
                guard !forgotten.isDisjoint(with: removal.packs) else { continue }
                removal.packs.removeAll { forgotten.contains($0) || gone.contains($0) }
                if !removal.packs.isEmpty || !removal.snapshots.isEmpty {
                    do { try await repository.write(removal, using: &generator) } catch .store(.full) { continue }
                }
            }
            try await delete(.removal(item.id))
        }
    }
}

extension Removal {
    /// Whether it says nothing any more once these packs are gone.
    func isSpent(without gone: Set<ObjectID>) -> Bool {
        snapshots.isEmpty && !packs.isEmpty && gone.isSuperset(of: packs)
    }
}
