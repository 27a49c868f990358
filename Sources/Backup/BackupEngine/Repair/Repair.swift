package import BackupFormat
import ByteCoding

/// Mends what can be mended from what is still there, and says what is lost (spec: backup format, section 12).
///
/// Nothing that opens is changed or removed. Damaged packs are named in a removal: from then on no backup believes in them, so that the next
/// one stores again what is still on the device; they go when no snapshot needs a byte of them. Killed
/// anywhere, it leaves a store from which everything restores that did before.
package struct Repair {
    package struct Options: Sendable {
        /// How long damaged packs stay at least, for devices that are backing up meanwhile.
        package var graceSeconds: UInt64
        /// Only say what would be done.
        package var isTrial: Bool

        package init(graceSeconds: UInt64 = 24 * 3600, isTrial: Bool = false) {
            self.graceSeconds = graceSeconds
            self.isTrial = isTrial
        }
    }

    private let repository: Repository
    private let key: BackupKey
    private let options: Options
    private let now: UInt64
    private let loaded: LoadedIndex
    private let reportProgress: ProgressReport
    private var generator: any RandomNumberGenerator & Sendable
    private var report = RepairReport()
    private var damaged: [ObjectID] = []

    /// Reads every pack.
    ///
    /// - Parameter key: the one that the repository was opened with.
    package static func run(
        _ repository: Repository, key: BackupKey, options: Options, now: UInt64,
        generator: any RandomNumberGenerator & Sendable,
        report: @escaping ProgressReport
    ) async throws(RepairError) -> RepairReport {
        let loaded: LoadedIndex
        do { loaded = try await repository.loadIndexTwice() } catch { throw .store(error) }
        var repair = Repair(
            repository: repository, key: key, options: options, now: now, loaded: loaded, reportProgress: report,
            generator: generator)
        do throws(ObjectStoreError) {
            try await repair.look()
        } catch {
            throw .store(error)
        }
        if !options.isTrial { try await repair.mend() }
        return repair.report
    }

    // MARK: Looking

    private mutating func look() async throws(ObjectStoreError) {
        report.damagedKeyringCopies = repository.damagedKeyringCopies
        for name in loaded.damaged {
            switch ObjectName(path: name) {
            case .index?: report.damagedIndexes.append(name)
            case .removal?: report.damagedRemovals.append(name)
            case .pack(let id)?: try await noteUnlisted(id)
            default: break
            }
        }
        let numbers = try await provePacks()
        try await searchLosses(numbers)
        report.damagedPacks.sort()
    }

    /// A pack that is gone, or whose footer does not open.
    private mutating func noteUnlisted(_ id: ObjectID) async throws(ObjectStoreError) {
        guard !loaded.removals.condemned.contains(id) else { return }
        if try await isOfUnknownEpoch(.pack(id)) {
            report.leftAlone.append(ObjectName.pack(id).path)
        } else {
            note(id)
        }
    }

    private mutating func note(_ id: ObjectID) {
        damaged.append(id)
        report.damagedPacks.append(ObjectName.pack(id).path)
    }

    /// - Returns: the numbers of packs in which something is damaged.
    private mutating func provePacks() async throws(ObjectStoreError) -> Set<Int> {
        let packs = loaded.index.packs
        let prover = PackProver(repository)
        var progress = Progress(phase: .verifying)
        progress.filesTotal = packs.count
        progress.bytesTotal = packs.reduce(0) { $0 + UInt64($1.plaintextBytes) }
        var numbers: Set<Int> = []
        for (number, pack) in packs.enumerated() {
            // Nothing is condemned for one wrong answer.
            if try await !prover.isSound(pack), try await !prover.isSound(pack) {
                numbers.insert(number)
                // Named by an earlier repair, or going anyway.
                if !loaded.removals.condemned.contains(pack.id) { note(pack.id) }
            }
            progress.files += 1
            progress.bytes += UInt64(pack.plaintextBytes)
            reportProgress(progress)
        }
        report.packs = packs.count
        return numbers
    }

    private mutating func searchLosses(_ damaged: Set<Int>) async throws(ObjectStoreError) {
        var search = LossSearch(repository, loaded.index, damaged: damaged)
        for name in try await repository.snapshotNames() {
            let path = ObjectName.snapshot(name).path
            guard let (object, snapshot) = try await opened(name) else {
                if try await isOfUnknownEpoch(.snapshot(name)) {
                    report.leftAlone.append(path)
                } else {
                    report.lostSnapshots.append(path)
                }
                continue
            }
            if repository.hasDamagedCopy(object) { report.halfDamagedSnapshots.append(path) }
            try await search.search(snapshot)
        }
        report.lost = search.lost
        report.lostCount = search.lostCount
    }

    /// Read again if it does not open.
    private func opened(
        _ name: SnapshotName
    ) async throws(ObjectStoreError) -> (object: [UInt8], snapshot: Snapshot)? {
        for _ in 0..<2 {
            let object: [UInt8]
            do { object = try await repository.store.read(.snapshot(name)) } catch  where error.isLoss { continue }
            if let snapshot = try? repository.open(object, name) { return (object, snapshot) }
        }
        return nil
    }

    /// Whether an object says that it was sealed under an epoch that this keyring does not have: another device may have
    /// replaced the key meanwhile. Such an object is not known to be damaged.
    private func isOfUnknownEpoch(_ name: ObjectName) async throws(ObjectStoreError) -> Bool {
        let clear: [UInt8]
        do { clear = try await repository.store.read(name, 0..<Preamble.byteCount) } catch  where error.isLoss {
            return false
        }
        guard let preamble = try? Preamble(decoding: clear) else { return false }
        return repository.keyring.key(ofEpoch: preamble.epoch) == nil
    }

    // MARK: Mending

    private mutating func mend() async throws(RepairError) {
        try await writeIndex()
        try await nameDamagedPacks()
        try await writeKeyring()
        do throws(ObjectStoreError) {
            report.damagedIndexes = try await removeUnreadable(report.damagedIndexes)
            report.damagedRemovals = try await removeUnreadable(report.damagedRemovals)
        } catch {
            throw .store(error)
        }
    }

    /// New indexes of all packs that are there, out of the whole indexes and, for packs that none of these lists, their footers.
    private mutating func writeIndex() async throws(RepairError) {
        guard !report.damagedIndexes.isEmpty || !loaded.unlisted.isEmpty else { return }
        do {
            let listings = try await repository.presentListings(loaded.indexes).listings
            guard !listings.isEmpty else { return }
            try await repository.writeIndexes(of: listings, using: &generator)
            report.wroteIndex = true
        } catch let error as ObjectStoreError {
            throw .store(error)
        } catch BackupError.store(let error) {
            throw .store(error)
        } catch {
            throw .tooMuch
        }
    }

    private mutating func nameDamagedPacks() async throws(RepairError) {
        let until = now.saturatingAdd(options.graceSeconds)
        for part in Removal.parts(of: damaged) {
            let removal = Removal(packs: part, packsGoSeconds: until)
            do { try await repository.write(removal, using: &generator) } catch {
                if case .store(let failure) = error { throw .store(failure) }
                throw .tooMuch
            }
        }
    }

    /// A damaged copy cannot be written over, so both copies are written anew under the next number.
    ///
    /// Copies above the keyring that opens may be another device's, which is replacing the key just now.
    private mutating func writeKeyring() async throws(RepairError) {
        let keyring = repository.keyring
        let own = ObjectName.KeyringCopy.allCases.map { ObjectName.keyring(number: keyring.number, copy: $0).path }
        let foreign = report.damagedKeyringCopies.filter { !own.contains($0) }
        report.leftAlone += foreign
        report.damagedKeyringCopies.removeAll { foreign.contains($0) }
        guard !report.damagedKeyringCopies.isEmpty, foreign.isEmpty, keyring.number < Keyring.numberMax else { return }
        let next = keyring.renumbered(keyring.number + 1)
        for copy in ObjectName.KeyringCopy.allCases {
            do {
                let object = try next.sealed(under: key, store: repository.header.store, using: &generator)
                try await repository.store.create(.keyring(number: next.number, copy: copy), object)
            } catch let error as ObjectStoreError {
                throw .store(error)
            } catch {
                throw .tooMuch
            }
        }
        report.newKeyring = next.number
    }

    /// What still does not open when it is read again, and is known not to be another device's.
    ///
    /// - Returns: what was removed.
    private mutating func removeUnreadable(_ names: [String]) async throws(ObjectStoreError) -> [String] {
        var removed: [String] = []
        for name in names.compactMap({ ObjectName(path: $0) }) {
            if try await isOfUnknownEpoch(name) {
                report.leftAlone.append(name.path)
            } else if try await !repository.opens(name) {
                try await repository.store.delete(name)
                removed.append(name.path)
            }
        }
        return removed
    }
}

extension Repository {
    /// Where anything is damaged, all is read again: what was found whole once is not damaged.
    fileprivate func loadIndexTwice() async throws(ObjectStoreError) -> LoadedIndex {
        let first = try await loadIndex()
        if first.damaged.isEmpty { return first }
        let second = try await loadIndex()
        let damaged = Set(first.damaged).intersection(second.damaged)
        var better = first.damaged.count < second.damaged.count ? first : second
        better.damaged = better.damaged.filter { damaged.contains($0) }
        return better
    }

    /// Whether an index or a removal opens now.
    fileprivate func opens(_ name: ObjectName) async throws(ObjectStoreError) -> Bool {
        let object: [UInt8]
        do { object = try await store.read(name) } catch  where error.isLoss { return false }
        switch name {
        case .index(let id): return (try? openIndex(object, id: id)) != nil
        case .removal(let id): return (try? openRemoval(object, id: id)) != nil
        default: return true
        }
    }
}
