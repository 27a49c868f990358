package import BackupFormat
import ByteCoding

/// Removes snapshots, and then what no snapshot needs, in two phases (spec: backup format, section 11).
///
/// First a pack is *named*: from then on writers take what lies in it for absent, and a backup that was under way when
/// it was named fails and is begun again. When the grace is over, and still no snapshot needs it, it goes. So no lock
/// is needed, whatever other devices do. Killed anywhere, it leaves a store from which every snapshot restores.
///
/// Nothing goes on the word of one list: the snapshots are looked at several times (`SnapshotView`), and only a pack goes whose
/// contents are known, byte for byte, and are needed by none of them or lie in packs that were found to be there.
package struct Prune {
    package struct Options: Sendable {
        /// Between naming a pack and removing it. Zero if no other device writes to the store.
        package var graceSeconds: UInt64
        /// How much of the packs' bytes may be waste before packs are written anew, in percent.
        package var wastePercentMax: Int
        /// Go on although snapshots are missing: they are lost for good, and what only they needed may go.
        package var acceptsMissing: Bool
        /// Only say what would be done.
        package var isTrial: Bool

        package init(
            graceSeconds: UInt64 = 24 * 3600, wastePercentMax: Int = 20, acceptsMissing: Bool = false,
            isTrial: Bool = false
        ) {
            self.graceSeconds = graceSeconds
            self.wastePercentMax = wastePercentMax
            self.acceptsMissing = acceptsMissing
            self.isTrial = isTrial
        }
    }

    /// Other devices may write all the time; each of their snapshots is followed before anything goes.
    private static let surveysMax = 8

    let repository: Repository
    let options: Options
    let now: UInt64
    private let known: KnownSnapshots
    var generator: any RandomNumberGenerator & Sendable
    private var view: SnapshotView
    /// Those that go, or went.
    private var going: Set<SnapshotName> = []
    var report = PruneReport()
    /// Given up, and there was no room to say so.
    private var unrecorded: [RemovedSnapshot] = []

    /// What is needed of which pack, as of one look at everything.
    struct Survey {
        let loaded: LoadedIndex
        let needed: NeededChunks
        let use: PackUse
    }

    /// - Parameter known: what snapshots there should be.
    package static func run(
        _ repository: Repository, keeping: ([Snapshot]) -> Set<SnapshotName>, knowing known: KnownSnapshots = .init(),
        options: Options, now: UInt64, generator: any RandomNumberGenerator & Sendable
    ) async throws(PruneError) -> PruneReport {
        var prune = Prune(
            repository: repository, options: options, now: now, known: known, generator: generator,
            view: SnapshotView(repository))
        try await prune.lookAround()
        try await prune.removeSnapshots(keeping: keeping)
        try await prune.removeGarbage()
        try await prune.recordUnrecorded()
        prune.report.seen = prune.staying.compactMap { try? SeenSnapshot($0) }
        return prune.report
    }

    var removals: Removals { view.removals }

    private var staying: [Snapshot] {
        view.snapshots.filter { !going.contains($0.key) }.sorted { $0.key < $1.key }.map(\.value)
    }

    // MARK: Looking

    @discardableResult
    private mutating func look() async throws(PruneError) -> Bool {
        do { return try await view.look() } catch { throw .store(error) }
    }

    /// Nothing is removed before two lists were seen; a third one may bring what both lacked.
    private mutating func lookAround() async throws(PruneError) {
        try await look()
        try await look()
        if !view.missing(known).isEmpty { try await look() }
        try view.requireReadable()
        report.givenUp = try accepted()
    }

    /// What is missing, if whoever prunes says that it is lost.
    private func accepted() throws(PruneError) -> [MissingSnapshot] {
        let missing = view.missing(known)
        guard missing.isEmpty || options.acceptsMissing else { throw .missingSnapshots(missing) }
        return missing
    }

    /// Follows every snapshot to its packs, until a look afterwards shows no other one.
    ///
    /// - Parameter rewritten: packs whose needed chunks were written anew.
    private mutating func survey(
        leaving rewritten: Set<ObjectID> = [], _ before: NeededChunks? = nil
    ) async throws(PruneError) -> Survey {
        var followed = before
        for _ in 0..<Self.surveysMax {
            let loaded: LoadedIndex
            do { loaded = try await repository.loadIndex(removals, leavingOut: []) } catch { throw .store(error) }
            guard !staying.isEmpty || loaded.index.packs.isEmpty else {
                throw .store(.failed("it shows no snapshot, but packs that some may need, so none was removed"))
            }
            let reader = ChunkReader(repository, loaded.index)
            var needed = followed ?? NeededChunks(reader)
            needed.reader = reader
            for snapshot in staying { try await follow(snapshot, &needed) }
            let use: PackUse
            do {
                use = try PackUse(
                    loaded.index, needing: needed.chunks, going: removals.condemned.union(rewritten))
                try await repository.requirePresent(use.relied)
            } catch {
                throw .store(error)
            }
            followed = needed
            let isNew = try await look()
            try view.requireReadable()
            _ = try accepted()
            if !isNew { return Survey(loaded: loaded, needed: needed, use: use) }
        }
        throw .store(.failed("other devices write to it all the time, so no pack was removed"))
    }

    private func follow(_ snapshot: Snapshot, _ needed: inout NeededChunks) async throws(PruneError) {
        do throws(ReadError) { try await needed.add(snapshot) } catch {
            if case .store(let failure) = error { throw .store(failure) }
            throw .damagedBackup(error)
        }
    }

    // MARK: Snapshots

    private mutating func removeSnapshots(keeping: ([Snapshot]) -> Set<SnapshotName>) async throws(PruneError) {
        let all = staying
        let kept = keeping(all)
        let leaving = all.filter { !kept.contains($0.name) }
        report.kept = all.map(\.name).filter { kept.contains($0) }
        report.removed = leaving.map(\.name)
        going = Set(report.removed)
        guard !options.isTrial else { return }
        try await recordGivenUp()
        try await remove(leaving)
    }

    /// So that nobody misses them again. Of one that is known by the snapshot after it alone, the number is that one's less one.
    private mutating func recordGivenUp() async throws(PruneError) {
        let lost = report.givenUp.compactMap { missing -> RemovedSnapshot? in
            guard let hash = missing.hash else { return nil }
            if case .successor(let next) = missing.witness {
                return RemovedSnapshot(number: max(next, 2) - 1, hash: hash)
            }
            return RemovedSnapshot(number: missing.number ?? 1, hash: hash)
        }
        do { try await record(lost) } catch .store(.full) { unrecorded = lost }
    }

    /// When the packs have made room. If there is none, they are missed again next time.
    private mutating func recordUnrecorded() async throws(PruneError) {
        do { try await record(unrecorded) } catch .store(.full) {}
    }

    /// The record that they were removed comes first, so that nobody takes a cut run for an attack. On a full disk there
    /// is no room for it: then it follows as soon as the snapshots have made some.
    private mutating func remove(_ snapshots: [Snapshot]) async throws(PruneError) {
        guard !snapshots.isEmpty else { return }
        let removed = snapshots.compactMap { snapshot in
            (try? snapshot.hash()).map { RemovedSnapshot(number: snapshot.number, hash: $0) }
        }
        var isRecorded = true
        do {
            try await record(removed)
        } catch .store(.full) {
            isRecorded = false
        }
        view.noteDeleted(snapshots.map(\.name))
        for snapshot in snapshots { try await delete(.snapshot(snapshot.name)) }
        if !isRecorded { try await record(removed) }
    }

    private mutating func record(_ removed: [RemovedSnapshot]) async throws(PruneError) {
        for part in Removal.parts(of: removed) {
            try await repository.write(Removal(snapshots: part), using: &generator)
        }
    }

    // MARK: Packs

    private mutating func removeGarbage() async throws(PruneError) {
        var survey = try await survey()
        let waste = survey.use.wasteful(percentMax: options.wastePercentMax, leavingOut: removals.condemned)
        if !waste.isEmpty, !options.isTrial {
            report.repackedBytes = try await repack(waste, survey.needed.chunks, survey.loaded.index)
            survey = try await self.survey(leaving: waste, survey.needed)
        }
        let swept = try await sweep(survey)
        try await nameUnneeded(survey.use)
        let revision = try await reviseNames(survey, without: swept.gone)
        // Stale after a run that was cut: what it removed is still listed.
        let isSpent = removals.items.contains { $0.removal.isSpent(without: swept.gone) }
        if !options.isTrial, !swept.removed.isEmpty || isSpent || survey.loaded.isStale {
            try await tidy(survey.loaded.indexes, without: swept.gone)
        }
        try await forgetNames(revision, without: swept.gone)
        try await removeAbandoned()
    }

    func delete(_ name: ObjectName) async throws(PruneError) {
        do { try await repository.store.delete(name) } catch { throw .store(error) }
    }

    // MARK: Tidying up

    /// After everything else: with no grace it may be what this very run has just written.
    private mutating func removeAbandoned() async throws(PruneError) {
        let before = now - min(now, options.graceSeconds)
        do {
            report.freedBytes += try await repository.store.abandoned(before: before, removing: !options.isTrial)
        } catch {
            throw .store(error)
        }
    }

    /// New indexes of the packs that are there take the place of those that could be read.
    private mutating func tidy(
        _ indexes: Set<ObjectName>, without gone: Set<ObjectID>
    ) async throws(PruneError) {
        let present: PresentListings
        do { present = try await repository.presentListings(indexes, without: gone) } catch { throw .store(error) }
        do { try await repository.writeIndexes(of: present.listings, using: &generator) } catch {
            throw .backup(error)
        }
        for name in present.indexes { try await delete(name) }
    }
}
