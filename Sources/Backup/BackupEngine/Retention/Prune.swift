package import BackupFormat
import ByteCoding

/// Why pruning stopped. Every backup that was to stay can be restored in each case, and the next run goes on.
package enum PruneError: Error, Equatable, Sendable {
    /// A snapshot that cannot be read: what it needs is not known, so nothing was removed.
    case damagedSnapshot(String)
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
    /// Bytes of packs that are gone, and of objects that writers which were killed never finished.
    package var freedBytes: UInt64 = 0
    /// Bytes of packs that go when their grace is over, and when that is.
    package var waitingBytes: UInt64 = 0
    package var waitingUntilSeconds: UInt64?
    /// Bytes that were written anew, out of packs that were mostly waste.
    package var repackedBytes: UInt64 = 0
}

/// Removes snapshots, and then what no snapshot needs, in two phases (spec: backup format, section 11).
///
/// First a pack is *named*: from then on writers take what lies in it for absent, and a backup that was under way when
/// it was named fails and is begun again. When the grace is over, and still no snapshot needs it, it goes. So no lock
/// is needed, whatever other devices do. Killed anywhere, it leaves a store from which every snapshot restores.
package struct Prune {
    package struct Options: Sendable {
        /// Between naming a pack and removing it. Zero if no other device writes to the store.
        package var graceSeconds: UInt64
        /// How much of the packs' bytes may be waste before packs are written anew, in percent.
        package var wastePercentMax: Int
        /// Only say what would be done.
        package var isTrial: Bool

        package init(graceSeconds: UInt64 = 24 * 3600, wastePercentMax: Int = 20, isTrial: Bool = false) {
            self.graceSeconds = graceSeconds
            self.wastePercentMax = wastePercentMax
            self.isTrial = isTrial
        }
    }

    private let repository: Repository
    private let options: Options
    private let now: UInt64
    private var generator: any RandomNumberGenerator & Sendable
    private var removals: Removals
    /// Removals whose packs are all gone.
    private var spent: [Removals.Item] = []
    private var report = PruneReport()

    /// - Parameter keeping: which of the store's snapshots stay.
    package static func run(
        _ repository: Repository, keeping: ([Snapshot]) -> Set<SnapshotName>, options: Options, now: UInt64,
        generator: any RandomNumberGenerator & Sendable
    ) async throws(PruneError) -> PruneReport {
        let removals: Removals
        do { removals = try await repository.removals() } catch { throw .store(error) }
        var prune = Prune(
            repository: repository, options: options, now: now, generator: generator, removals: removals)
        let snapshots = try await prune.snapshots()
        let kept = keeping(snapshots)
        let staying = snapshots.filter { kept.contains($0.name) }
        let going = snapshots.filter { !kept.contains($0.name) }
        prune.report.kept = staying.map(\.name)
        prune.report.removed = going.map(\.name)
        if !options.isTrial { try await prune.remove(going) }
        try await prune.removeGarbage(needing: staying)
        return prune.report
    }

    private func snapshots() async throws(PruneError) -> [Snapshot] {
        let names: [SnapshotName]
        do { names = try await repository.snapshotNames() } catch { throw .store(error) }
        var snapshots: [Snapshot] = []
        for name in names {
            do {
                snapshots.append(try await repository.snapshot(name))
            } catch {
                if case .store(let failure) = error { throw .store(failure) }
                throw .damagedSnapshot(ObjectName.snapshot(name).path)
            }
        }
        return snapshots
    }

    // MARK: Snapshots

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
        for snapshot in snapshots { try await delete(.snapshot(snapshot.name)) }
        if !isRecorded { try await record(removed) }
    }

    private mutating func record(_ removed: [RemovedSnapshot]) async throws(PruneError) {
        for start in stride(from: 0, to: removed.count, by: Removal.namesMax) {
            let part = Array(removed[start..<min(start + Removal.namesMax, removed.count)])
            try await repository.write(Removal(snapshots: part), using: &generator)
        }
    }

    // MARK: Packs

    private mutating func removeGarbage(needing snapshots: [Snapshot]) async throws(PruneError) {
        let loaded: LoadedIndex
        do { loaded = try await repository.loadIndex(removals, leavingOut: []) } catch { throw .store(error) }
        // One answer "there is no such folder" to the list of snapshots would make every pack garbage.
        guard !snapshots.isEmpty || loaded.index.packs.isEmpty else {
            throw .store(.failed("it shows no snapshot, but packs that some may need, so none was removed"))
        }
        var needed = NeededChunks(ChunkReader(repository, loaded.index))
        for snapshot in snapshots { try await add(snapshot, to: &needed) }
        var use: PackUse
        do {
            use = try PackUse(loaded.index, needing: needed.chunks, condemned: removals.condemned)
        } catch {
            throw .store(error)
        }
        let isSwept = try await sweep(use, loaded.index)
        let waste = use.wasteful(percentMax: options.wastePercentMax, leavingOut: removals.condemned)
        if !waste.isEmpty, !options.isTrial {
            report.repackedBytes = try await repack(waste, needed.chunks, loaded.index)
            use.release(waste)
        }
        let isNamed = try await nameUnneeded(use)
        // Stale after a run that was cut: what it removed is still listed.
        if isSwept || isNamed || (loaded.isStale && !options.isTrial) { try await tidy() }
        try await removeAbandoned()
    }

    private func add(_ snapshot: Snapshot, to needed: inout NeededChunks) async throws(PruneError) {
        do throws(ReadError) { try await needed.add(snapshot) } catch {
            if case .store(let failure) = error { throw .store(failure) }
            throw .damagedBackup(error)
        }
    }

    private var duePacks: Set<ObjectID> { Set(removals.due(atSeconds: now).flatMap(\.removal.packs)) }

    /// Removes what was named long enough ago and is needed by nobody. True if anything went.
    ///
    /// What is named and needed stays named, so that no backup builds upon it: a repair has found it damaged, and what needs it are
    /// backups from before.
    private mutating func sweep(_ use: PackUse, _ index: ChunkIndex) async throws(PruneError) -> Bool {
        let due = duePacks
        let unneeded = use.unneeded.filter { due.contains($0.id) }
        for pack in unneeded { try await remove(pack) }
        // Nobody can find anything in a pack that no index and no footer lists. Most of these are gone already.
        let unlisted = due.filter { !index.knows(pack: $0) }
        if !options.isTrial {
            for pack in unlisted { try await delete(.pack(pack)) }
        }
        let gone = unlisted.union(unneeded.map(\.id))
        spent = removals.due(atSeconds: now).filter { gone.isSuperset(of: $0.removal.packs) }
        return (!unneeded.isEmpty || !spent.isEmpty) && !options.isTrial
    }

    private mutating func remove(_ pack: ChunkIndex.Pack) async throws(PruneError) {
        if !options.isTrial { try await delete(.pack(pack.id)) }
        report.freedBytes += UInt64(ObjectCipher.objectBytes(plaintextBytes: pack.plaintextBytes))
    }

    /// Names packs that nobody needs; without a grace they go at once. True if anything went.
    private mutating func nameUnneeded(_ use: PackUse) async throws(PruneError) -> Bool {
        let condemned = removals.condemned
        let fresh = use.unneeded.filter { !condemned.contains($0.id) }
        if options.graceSeconds == 0 {
            // Whatever waits goes too: there is nobody to wait for. Nothing is written, so a full disk is no obstacle.
            let swept = duePacks
            for pack in use.unneeded where !swept.contains(pack.id) { try await remove(pack) }
            return !use.unneeded.isEmpty && !options.isTrial
        }
        let until = now.addingReportingOverflow(options.graceSeconds)
        let goSeconds = until.overflow ? .max : until.partialValue
        if !options.isTrial {
            for start in stride(from: 0, to: fresh.count, by: Removal.namesMax) {
                let part = fresh[start..<min(start + Removal.namesMax, fresh.count)].map(\.id)
                try await repository.write(Removal(packs: part, packsGoSeconds: goSeconds), using: &generator)
            }
        }
        noteWaiting(use, fresh.isEmpty ? nil : goSeconds)
        return false
    }

    private mutating func noteWaiting(_ use: PackUse, _ freshGoSeconds: UInt64?) {
        let waiting = removals.items.map(\.removal).filter { !$0.packs.isEmpty && $0.packsGoSeconds > now }
        let swept = duePacks
        report.waitingBytes = use.unneeded.filter { !swept.contains($0.id) }.reduce(0) { sum, pack in
            sum + UInt64(ObjectCipher.objectBytes(plaintextBytes: pack.plaintextBytes))
        }
        guard report.waitingBytes > 0 else { return }
        report.waitingUntilSeconds = (waiting.map(\.packsGoSeconds) + (freshGoSeconds.map { [$0] } ?? [])).max()
    }

    /// Writes what is needed of some packs into new ones.
    ///
    /// - Returns: the bytes written.
    private mutating func repack(
        _ packs: Set<ObjectID>, _ needed: Set<ChunkID>, _ index: ChunkIndex
    ) async throws(PruneError) -> UInt64 {
        let others: LoadedIndex
        do { others = try await repository.loadIndex(removals, leavingOut: packs.union(removals.condemned)) } catch {
            throw .store(error)
        }
        var reader = ChunkReader(repository, index)
        var writer = ChunkWriter(repository, others, generator: generator, packBytes: packBytesMax)
        do throws(PruneError) {
            for chunk in try chunks(needed, of: index, missingIn: others.index) {
                let content: [UInt8]
                do { content = try await reader.content(of: chunk) } catch {
                    if case .store(let failure) = error { throw .store(failure) }
                    throw .damagedBackup(error)
                }
                do { _ = try await writer.add(content) } catch { throw .backup(error) }
            }
            do { try await writer.finish() } catch { throw .backup(error) }
        } catch {
            await writer.abandon()
            throw error
        }
        generator = writer.generator
        return writer.storedBytes
    }

    private func chunks(
        _ needed: Set<ChunkID>, of index: ChunkIndex, missingIn others: ChunkIndex
    ) throws(PruneError) -> [ChunkID] {
        do throws(ObjectStoreError) {
            var missing: [ChunkID] = []
            for chunk in try index.inOrder(needed) where try !others.contains(chunk) { missing.append(chunk) }
            return missing
        } catch {
            throw .store(error)
        }
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

    /// New indexes of the packs that are there take the place of all; then what was said of packs that are gone goes.
    private mutating func tidy() async throws(PruneError) {
        let old: [ObjectName]
        let listings: [PackListing]
        do throws(ObjectStoreError) {
            old = try await repository.store.list(.index)
            listings = try await repository.presentListings(in: old)
        } catch { throw .store(error) }
        do { try await repository.writeIndexes(of: listings, using: &generator) } catch { throw .backup(error) }
        for name in old { try await delete(name) }
        for item in spent { try await delete(.removal(item.id)) }
    }

    private func delete(_ name: ObjectName) async throws(PruneError) {
        do { try await repository.store.delete(name) } catch { throw .store(error) }
    }
}
