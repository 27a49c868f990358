import BackupFormat
import ByteCoding

extension Prune {
    /// What a sweep has done.
    struct Sweep {
        /// Packs of which it is known that they are not there.
        var gone: Set<ObjectID> = []
        /// Of these those that were there before.
        var removed: Set<ObjectID> = []
    }

    /// Removes what was named long enough ago and is needed by nobody; without a grace all that nobody needs.
    ///
    /// What is named and needed stays: a repair has found it damaged, and what needs it are backups from before; or what needs it was
    /// not to be seen when it was named (`reviseNames`).
    mutating func sweep(_ survey: Survey) async throws(PruneError) -> Sweep {
        let due = Set(removals.goSeconds.filter { $0.value <= now }.keys)
        var sweep = Sweep()
        for pack in survey.use.unneeded where options.graceSeconds == 0 || due.contains(pack.id) {
            // Whatever waits goes too without a grace. Nothing is written, so a full disk is no obstacle.
            if !options.isTrial { try await delete(.pack(pack.id)) }
            report.freedBytes += UInt64(ObjectCipher.objectBytes(plaintextBytes: pack.plaintextBytes))
            sweep.removed.insert(pack.id)
        }
        let unlisted = due.filter { !survey.loaded.index.knows(pack: $0) }.sorted { $0.hex < $1.hex }
        sweep.gone = sweep.removed.union(try await removeUnlisted(unlisted, survey.use))
        return sweep
    }

    /// Named packs that no index and no footer lists. Most of these are gone already.
    ///
    /// If all that is needed was found elsewhere, nobody needs them. If not, it may lie there, in a pack whose index a list lacks.
    ///
    /// - Returns: those that are gone.
    private func removeUnlisted(_ packs: [ObjectID], _ use: PackUse) async throws(PruneError) -> Set<ObjectID> {
        guard !use.isComplete else {
            if !options.isTrial { for pack in packs { try await delete(.pack(pack)) } }
            return Set(packs)
        }
        do throws(ObjectStoreError) {
            let there = try await repository.store.sizes(of: packs.map { .pack($0) })
            return Set(packs.filter { there[.pack($0)] == nil })
        } catch {
            throw .store(error)
        }
    }

    /// When what is named now may go.
    var goSeconds: UInt64 { now.saturatingAdd(options.graceSeconds) }

    /// Names packs that nobody needs.
    mutating func nameUnneeded(_ use: PackUse) async throws(PruneError) {
        guard options.graceSeconds > 0 else { return }
        let named = removals.goSeconds
        let fresh = use.unneeded.map(\.id).filter { named[$0] == nil }
        if !options.isTrial { try await name(fresh, goSeconds: goSeconds) }
        for pack in use.unneeded {
            let until = min(named[pack.id] ?? goSeconds, goSeconds)
            guard until > now else { continue }
            report.waitingBytes += UInt64(ObjectCipher.objectBytes(plaintextBytes: pack.plaintextBytes))
            report.waitingUntilSeconds = max(until, report.waitingUntilSeconds ?? 0)
        }
    }

    mutating func name(_ packs: [ObjectID], goSeconds: UInt64) async throws(PruneError) {
        for part in Removal.parts(of: packs) {
            try await repository.write(Removal(packs: part, packsGoSeconds: goSeconds), using: &generator)
        }
    }

    /// Writes what is needed of some packs into new ones.
    ///
    /// - Returns: the bytes written.
    mutating func repack(
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
}
