package import BackupFormat
import ByteCoding

/// What a verification looked at and found.
package struct VerifyReport: Sendable, Equatable {
    /// One thing that is wrong, and what it means for the backups.
    package enum Finding: Sendable, Equatable {
        /// One of two copies is damaged; the other is whole.
        case copyDamaged(String)
        /// An index is damaged; the packs' own footers take its place.
        case indexDamaged(String)
        /// A pack is damaged: the chunks in it are lost unless they lie elsewhere.
        case packDamaged(String)
        /// A snapshot cannot be read.
        case snapshotDamaged(String)
        /// A snapshot names another predecessor than the one that is there: something was removed or put back.
        case chainBroken(String)
        /// The record of a removal is damaged: what was removed by it looks lost.
        case removalDamaged(String)
        /// A file or folder of the verified snapshot is not whole.
        case entryDamaged(path: [UInt8], ReadError)
    }

    package var snapshots = 0
    package var files = 0
    package var chunks = 0
    package var bytesRead: UInt64 = 0
    package var findings: [Finding] = []
    /// Databases whose parts were all read and are whole, but which could not be decoded, for want of room on this device.
    package var notDecoded: [[UInt8]] = []
}

extension VerifyReport.Finding {
    fileprivate init(damaged name: String) {
        switch name.split(separator: "/").first {
        case "index": self = .indexDamaged(name)
        case "removals": self = .removalDamaged(name)
        default: self = .packDamaged(name)
        }
    }
}

/// Proves that a store can be restored from: its structure, or every byte that a snapshot needs.
package struct Verify {
    private let repository: Repository
    private let loaded: LoadedIndex
    private let deep: Bool
    private let reportProgress: ProgressReport
    private var reader: ChunkReader
    private var report = VerifyReport()
    private var progress = Progress(phase: .verifying)
    /// Packs of a wrong size, by number.
    private var cutPacks: [Int: String] = [:]
    /// Chunks that lie in one piece and were found sound.
    private var sound: ChunkMarks
    /// What was found of the others, so that every file that needs a damaged one is named.
    private var seen: [ChunkID: Result<Int, ReadError>] = [:]
    /// Databases that were decoded, by their identity: names of one file are one image.
    private var decoded: Set<[UInt8]> = []

    /// - Parameters:
    ///   - name: the snapshot whose tree is followed; nil for none.
    ///   - deep: read every chunk of the snapshot and check it against its id, and decode the databases.
    package static func run(
        _ repository: Repository, snapshot name: SnapshotName?, deep: Bool, report: @escaping ProgressReport
    ) async throws(ObjectStoreError) -> VerifyReport {
        try await run(repository, following: { _ in name.map { [$0] } ?? [] }, deep: deep, report: report)
    }

    /// - Parameter following: chooses among all that can be read those whose trees are followed.
    package static func run(
        _ repository: Repository, following: ([SnapshotName: Snapshot]) -> [SnapshotName], deep: Bool,
        report: @escaping ProgressReport
    ) async throws(ObjectStoreError) -> VerifyReport {
        let loaded = try await repository.loadIndex()
        var verify = Verify(
            repository: repository, loaded: loaded, deep: deep, reportProgress: report,
            reader: ChunkReader(repository, loaded.index))
        let condemned = Set(loaded.removals.condemned.map { ObjectName.pack($0).path })
        verify.report.findings += loaded.damaged.filter { !condemned.contains($0) }
            .map(VerifyReport.Finding.init(damaged:))
        verify.report.findings += repository.damagedKeyringCopies.map { .copyDamaged($0) }
        try await verify.measurePacks()
        if deep { try await verify.readFooters() }
        let snapshots = try await verify.chain()
        for name in following(snapshots) {
            if let snapshot = snapshots[name] { try await verify.tree(of: snapshot) }
        }
        return verify.report
    }

    private init(
        repository: Repository, loaded: LoadedIndex, deep: Bool, reportProgress: @escaping ProgressReport,
        reader: ChunkReader
    ) {
        self.repository = repository
        self.loaded = loaded
        self.deep = deep
        self.reportProgress = reportProgress
        self.reader = reader
        sound = ChunkMarks(for: loaded.index.whole)
    }

    /// Packs that are cut or grown: what is most often wrong with a folder that another program keeps in step.
    private mutating func measurePacks() async throws(ObjectStoreError) {
        let names = loaded.index.packs.map { ObjectName.pack($0.id) }
        let asked = try await repository.store.sizes(of: names.filter { loaded.listedBytes[$0] == nil })
        for (number, pack) in loaded.index.packs.enumerated() {
            let name = names[number]
            guard
                (loaded.listedBytes[name] ?? asked[name])
                    != ObjectCipher.objectBytes(plaintextBytes: pack.plaintextBytes)
            else { continue }
            cutPacks[number] = name.path
            // One that a repair has named is missed only by the files that need it.
            if !isCondemned(pack) { report.findings.append(.packDamaged(name.path)) }
        }
    }

    private func isCondemned(_ pack: ChunkIndex.Pack) -> Bool { loaded.removals.condemned.contains(pack.id) }

    /// Indexes repeat the footers, so that nothing else would notice a damaged one until the indexes are lost too.
    private mutating func readFooters() async throws(ObjectStoreError) {
        for (number, pack) in loaded.index.packs.enumerated() where cutPacks[number] == nil && !isCondemned(pack) {
            var footer: PackListing?
            do { footer = try await repository.packFooter(pack.id) } catch  where error.isLoss {}
            if footer == nil {
                report.findings.append(.packDamaged(ObjectName.pack(pack.id).path))
            }
        }
    }

    /// Opens every snapshot and follows the chain of hashes.
    private mutating func chain() async throws(ObjectStoreError) -> [SnapshotName: Snapshot] {
        var snapshots: [SnapshotName: Snapshot] = [:]
        var hashes = loaded.removals.removedSnapshots.union([.none])
        for name in try await repository.snapshotNames() {
            let path = ObjectName.snapshot(name).path
            var object: [UInt8]?
            do { object = try await repository.store.read(.snapshot(name)) } catch  where error.isLoss {}
            guard let object, let snapshot = try? repository.open(object, name) else {
                report.findings.append(.snapshotDamaged(path))
                continue
            }
            report.snapshots += 1
            if !hashes.contains(snapshot.previous) { report.findings.append(.chainBroken(path)) }
            if let hash = try? snapshot.hash() { hashes.insert(hash) }
            if repository.hasDamagedCopy(object) { report.findings.append(.copyDamaged(path)) }
            snapshots[name] = snapshot
        }
        return snapshots
    }

    private mutating func tree(of snapshot: Snapshot) async throws(ObjectStoreError) {
        progress.filesTotal += Int(clamping: snapshot.totals.files)
        progress.bytesTotal += snapshot.totals.contentBytes
        guard case .directory(let listings) = snapshot.root.kind else { return }
        try await directory(listings, path: [])
    }

    private mutating func directory(_ listings: ChunkList, path: [UInt8]) async throws(ObjectStoreError) {
        var run = ListingRun()
        do {
            for id in try await reader.ids(of: listings) {
                for entry in try run.entries(in: try await reader.read(id)) {
                    try await self.entry(entry, in: path)
                }
            }
        } catch let error as ReadError {
            try note(path, error)
        } catch let error as ObjectStoreError {
            throw error
        } catch {
            try note(path, .damaged("a folder's listing"))
        }
    }

    private mutating func entry(_ entry: Entry, in folder: [UInt8]) async throws(ObjectStoreError) {
        let path = entry.path(in: folder)
        switch entry.kind {
        case .symbolicLink: break
        case .directory(let listings): try await directory(listings, path: path)
        case .file(let content):
            do { try await file(content, path) } catch { try note(path, error) }
            report.files += 1
            progress.files += 1
            progress.bytes += content.contentBytes
            reportProgress(progress)
        }
    }

    private mutating func file(_ content: FileContent, _ path: [UInt8]) async throws(ReadError) {
        if content.form == .sqlitePages {
            return deep ? try await decode(content, path) : try await database(content)
        }
        let ids = try await reader.ids(of: content.blocks)
        var left = content.contentBytes
        for id in ids {
            let count = min(left, UInt64(content.blockBytes))
            let held = id == .zeros ? count : UInt64(try await contentBytes(of: id))
            guard count > 0, held == count else { throw .damaged("a file's list of blocks") }
            left -= count
        }
        guard left == 0 else { throw .damaged("a file's list of blocks") }
    }

    /// Every image of the chain, as a restore would make it.
    private mutating func decode(_ content: FileContent, _ path: [UInt8]) async throws(ReadError) {
        let identity = content.identity
        guard !decoded.contains(identity) else { return }
        do throws(DatabaseProof.Failure) {
            let counts = try await DatabaseProof.run(content, from: &reader)
            report.chunks += counts.chunks
            report.bytesRead += counts.bytes
            decoded.insert(identity)
        } catch {
            if case .read(let failure) = error { throw failure }
            try await database(content)
            report.notDecoded.append(path)
        }
    }

    /// Every list of pages, and that what it names is there (spec: backup format, section 8).
    private mutating func database(_ content: FileContent) async throws(ReadError) {
        for layer in content.layers.indices {
            for (number, id) in try await reader.groupIDs(of: content.layers[layer]).enumerated() {
                let group = try await reader.pageGroup(id, at: content.place(ofGroup: number, inLayer: layer))
                for batch in group.batches { try await check(batch, pageBytes: Int(content.blockBytes)) }
            }
        }
    }

    private mutating func check(_ batch: PageBatch, pageBytes: Int) async throws(ReadError) {
        switch batch.content {
        case .zeros: break
        case .full(let chunk):
            let pages = try await contentBytes(of: chunk)
            guard pages <= PageBatch.fullBytesMax, pages.isMultiple(of: pageBytes),
                batch.runs.allSatisfy({ $0.place + $0.count <= pages / pageBytes })
            else { throw .damagedLayer }
        case .delta(let chunk, _): _ = try await contentBytes(of: chunk)
        }
    }

    /// How much a chunk holds, as its index says, or, if every byte is to be read, as it is.
    private mutating func contentBytes(of chunk: ChunkID) async throws(ReadError) -> Int {
        let found: (place: ChunkTable.Place, record: ChunkTable.Record)?
        do { found = try loaded.index.whole.find(chunk) } catch { throw .store(error) }
        if let found, sound.isMarked(found.place) { return found.record.contentBytes }
        if let known = seen[chunk] { return try known.get() }
        report.chunks += 1
        do {
            let count = deep ? try await reader.read(chunk).count : try present(chunk)
            if deep { report.bytesRead += UInt64(count) }
            if let found, found.record.contentBytes == count {
                sound.mark(found.place)
            } else {
                seen[chunk] = .success(count)
            }
            return count
        } catch {
            seen[chunk] = .failure(error)
            throw error
        }
    }

    /// The chunk is there whole in packs that have the size they should have.
    private func present(_ chunk: ChunkID) throws(ReadError) -> Int {
        if let (location, _) = try location(of: chunk, avoiding: Set(cutPacks.keys)) { return location.contentBytes }
        guard let (_, pieces) = try location(of: chunk),
            let cut = pieces.lazy.compactMap({ cutPacks[$0.pack] }).first
        else { throw .missingChunk }
        throw .damaged(cut)
    }

    private func location(
        of chunk: ChunkID, avoiding avoided: Set<Int> = []
    ) throws(ReadError) -> (ChunkIndex.Location, [ChunkIndex.Piece])? {
        do { return try loaded.index.location(of: chunk, avoiding: avoided) } catch { throw .store(error) }
    }

    private mutating func note(_ path: [UInt8], _ error: ReadError) throws(ObjectStoreError) {
        if case .store(let failure) = error { throw failure }
        report.findings.append(.entryDamaged(path: path, error))
    }
}

extension Repository {
    /// Whether one of the two copies inside a snapshot object does not open while the other does.
    func hasDamagedCopy(_ object: [UInt8]) -> Bool {
        let half = object.count / 2
        return [object[..<half], object[half...]].contains { copy in
            guard let preamble = try? readPreamble(of: copy, kind: .snapshot),
                let cipher = try? cipher(preamble)
            else { return true }
            return (try? cipher.open(Array(copy))) == nil
        }
    }
}
