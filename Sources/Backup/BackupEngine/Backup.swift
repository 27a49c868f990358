package import BackupFormat
import ByteCoding
import Foundation

/// What a backup did.
package struct BackupReport: Sendable, Equatable {
    package var snapshot: Snapshot
    /// Bytes written to the store: packs, index, snapshot.
    package var storedBytes: UInt64
}

/// Makes a snapshot of a source: reads it once, stores what the store does not have, and writes the snapshot last.
package struct Backup: ~Copyable {
    private static let retriesMax = 3
    private static let listingBytes = 256 << 10
    private static let skippedListedMax = 200

    private let repository: Repository
    private let source: any BackupSource
    private let report: ProgressReport
    private var writer: ChunkWriter
    private var databases: DatabaseHistory
    private var progress = Progress(phase: .scanning)
    private var totals = Snapshot.Totals()
    private var skipped: [Skipped] = []
    private var skippedBytes = 0
    /// Whether anything is there that could not be read.
    private var skippedUnread = false
    private let buffer = ScratchBuffer(byteCount: FileContent.singleBlockBytesMax)
    private let known: KnownFiles
    /// How many packs were full when `known` was written last.
    private var packsAtCheckpoint = 0

    private init(
        _ source: any BackupSource, into repository: Repository, _ loaded: consuming LoadedIndex,
        generator: any RandomNumberGenerator & Sendable, copies: (any PreviousCopies)?,
        knownFiles: (any KnownFilesStorage)?, packBytes: Int, began: UInt64, report: @escaping ProgressReport
    ) {
        self.repository = repository
        self.source = source
        self.report = report
        writer = ChunkWriter(repository, loaded, generator: generator, packBytes: packBytes)
        databases = DatabaseHistory(repository, source: source.label, copies: copies)
        known = KnownFiles(knownFiles, of: repository, began: began, using: &writer.generator)
    }

    /// - Parameters:
    ///   - now: seconds since 1970, asked twice.
    ///   - copies: where this device keeps copies of databases, if it does.
    ///   - packBytes: the plaintext of a full pack; a store may ask for less than the format allows.
    ///   - above: the new snapshot's number is higher than this one.
    ///   - ignoringRoom: whether to begin even if it surely does not fit into the store.
    ///   - knownFiles: what this device remembers, so that files that look as they did are not read again.
    package static func run(
        _ source: any BackupSource, into repository: Repository,
        generator: any RandomNumberGenerator & Sendable, now: @Sendable () -> UInt64,
        copies: (any PreviousCopies)? = nil, knownFiles: (any KnownFilesStorage)? = nil,
        packBytes: Int = packBytesMax, above: UInt32 = 0, ignoringRoom: Bool = false,
        report: @escaping ProgressReport
    ) async throws(BackupError) -> BackupReport {
        let began = now()
        let loaded: LoadedIndex
        do { loaded = try await repository.indexForWriting() } catch { throw .store(error) }
        let removals = loaded.removals
        let link = try await ChainLink.next(in: repository, above: above)
        if !ignoringRoom {
            let last = link.source == source.label ? link.totals : nil
            try await StoreRoom.require(
                for: source, in: repository.store, storedBytes: loaded.index.storedBytes, last: last)
        }
        // Consumed, or else the first chunk that is added would make a copy of the index.
        var backup = Backup(
            source, into: repository, consume loaded, generator: generator, copies: copies, knownFiles: knownFiles,
            packBytes: packBytes, began: began, report: report)
        do throws(BackupError) {
            try backup.expect(link.totals, of: link.source)
            let root = try await backup.store()
            try await repository.requireNothingNamed(since: removals)
            guard !Task.isCancelled else { throw .store(.cancelled) }
            let snapshot = Snapshot(
                number: link.number, id: .random(using: &backup.writer.generator), beganSeconds: began,
                endedSeconds: max(began, now()), previous: link.previous, source: source.label,
                leftOut: source.leftOut, totals: backup.totals, skipped: backup.skipped, root: root)
            let stored = try await repository.write(snapshot, using: &backup.writer.generator)
            backup.databases.publishCopies(sawAll: !backup.skippedUnread)
            backup.known.finish()
            return BackupReport(snapshot: snapshot, storedBytes: backup.writer.storedBytes + stored)
        } catch {
            await backup.writer.abandon()
            // Whatever it was that a store or a source could not do for a task that was to stop.
            if Task.isCancelled { throw .store(.cancelled) }
            throw error
        }
    }

    /// What there is to do: about as much as last time, or else it is counted.
    private mutating func expect(_ totals: Snapshot.Totals?, of label: String?) throws(BackupError) {
        guard let totals, label == source.label else { return try scan() }
        progress.filesTotal = Int(clamping: totals.files)
        progress.bytesTotal = totals.contentBytes
        progress.phase = .backingUp
        report(progress)
    }

    /// Counts what there is to do.
    private mutating func scan() throws(BackupError) {
        var pending: [SourceNode]
        do { pending = [try source.root()] } catch { throw .source(error) }
        while let folder = pending.popLast() {
            // Unreadable folders are reported when they are stored.
            guard let children = try? source.children(of: folder) else { continue }
            for node in children {
                switch node.kind {
                case .directory: pending.append(node)
                case .file(let bytes, _):
                    progress.filesTotal += 1
                    progress.bytesTotal += bytes
                    if progress.filesTotal.isMultiple(of: 1_000) { report(progress) }
                case .symbolicLink, .other, .unreadable: break
                }
            }
        }
        progress.phase = .backingUp
        report(progress)
    }

    private mutating func store() async throws(BackupError) -> Entry {
        let root: SourceNode
        do { root = try source.root() } catch { throw .source(error) }
        let listings = try await storeDirectory(root)
        // A disk that went away looks like a folder whose files all vanished: that is no backup of it.
        do { _ = try source.root() } catch { throw .source(error) }
        try await writer.finish()
        return Entry(name: Entry.rootName, metadata: metadata(of: root), kind: .directory(listings ?? .empty))
    }

    // MARK: Folders

    /// Stores what a folder holds; nil if it cannot be read.
    private mutating func storeDirectory(_ node: SourceNode) async throws(BackupError) -> ChunkList? {
        let children: AnySequence<SourceNode>
        do {
            children = try source.children(of: node)
        } catch {
            // Without its root there is nothing to back up; anything below is noted and the rest goes on.
            guard !node.path.isEmpty else { throw .source(error) }
            note(node, error == .vanished ? .vanished : .unreadable)
            return nil
        }
        totals.directories += node.path.isEmpty ? 0 : 1
        var listings: [ChunkID] = []
        var run = ByteWriter()
        for child in children {
            guard let entry = try await entry(for: child) else { continue }
            do { try entry.encode(into: &run) } catch { throw .unrepresentable }
            if run.bytes.count >= Self.listingBytes { listings.append(try await storeListing(&run)) }
        }
        if !run.bytes.isEmpty { listings.append(try await storeListing(&run)) }
        return try await writer.addList(of: listings)
    }

    /// - Parameter run: the encoded entries, emptied.
    private mutating func storeListing(_ run: inout ByteWriter) async throws(BackupError) -> ChunkID {
        var listing = ByteWriter(capacity: run.bytes.count + 3)
        do { try listing.vector(run.bytes, 0...0xff_ffff) } catch { throw .unrepresentable }
        run = ByteWriter()
        guard listing.bytes.count <= chunkBytesMax else { throw .unrepresentable }
        return try await writer.add(listing.bytes)
    }

    private mutating func entry(for node: SourceNode) async throws(BackupError) -> Entry? {
        switch node.kind {
        case .directory:
            guard let listings = try await storeDirectory(node) else { return nil }
            return Entry(name: node.name, metadata: metadata(of: node), kind: .directory(listings))
        case .symbolicLink(let target):
            totals.symbolicLinks += 1
            return Entry(name: node.name, metadata: metadata(of: node), kind: .symbolicLink(target: target))
        case .file(let bytes, let linkGroup):
            guard !Task.isCancelled else { throw .store(.cancelled) }
            let content = try await storeFile(node, linkGroup: linkGroup)
            progress.files += 1
            progress.filesTotal = max(progress.filesTotal, progress.files)
            progress.bytesTotal = max(progress.bytesTotal, progress.bytes)
            report(progress)
            guard let content else {
                progress.bytesTotal -= min(bytes, progress.bytesTotal)
                return nil
            }
            totals.files += 1
            totals.contentBytes += content.contentBytes
            return Entry(name: node.name, metadata: metadata(of: node), kind: .file(content))
        case .other:
            note(node, .notAFile)
            return nil
        case .unreadable:
            note(node, .unreadable)
            return nil
        }
    }

    private func metadata(of node: SourceNode) -> Metadata {
        var metadata = node.metadata
        metadata.attributes = source.attributes(of: node)
        return metadata
    }

    private mutating func note(_ node: SourceNode, _ reason: SkipReason) {
        totals.skipped += 1
        skippedUnread = skippedUnread || reason == .unreadable
        // The first ones, as far as the snapshot's field takes them; the total counts them all.
        let item = Skipped(path: node.path, reason: reason)
        // What a person would miss is named before what is no loss.
        while reason.isLoss, !hasRoom(for: item), let place = skipped.lastIndex(where: { !$0.reason.isLoss }) {
            skippedBytes -= skipped.remove(at: place).listedBytes
        }
        guard hasRoom(for: item) else { return }
        skippedBytes += item.listedBytes
        skipped.append(item)
    }

    private func hasRoom(for item: Skipped) -> Bool {
        skipped.count < Self.skippedListedMax && skippedBytes + item.listedBytes <= Skipped.listBytesMax
    }

    // MARK: Files

    /// Reads and stores a file, again if it changes meanwhile; nil if it cannot be read.
    private mutating func storeFile(_ node: SourceNode, linkGroup: UInt64) async throws(BackupError) -> FileContent? {
        let known = known.files(at: node.path)
        if let content = try await knownContent(of: node, known, linkGroup: linkGroup) { return content }
        let bytesBefore = progress.bytes
        for attempt in 0..<Self.retriesMax {
            progress.bytes = bytesBefore
            let last = attempt == Self.retriesMax - 1
            do throws(BackupError) {
                let (content, intact) = try await storeContent(
                    of: node, attempt == 0 ? known : [], attempt: attempt, linkGroup: linkGroup)
                if !intact, !last { continue }
                if !intact { note(node, .changedWhileRead) }
                return content
            } catch {
                guard case .source(let failure) = error else { throw error }
                if failure == .changed, !last { continue }
                note(node, failure == .vanished ? .vanished : .unreadable)
                return nil
            }
        }
        return nil
    }

    /// The content of a file that looks as it did when it was read, if all of it is in the store.
    private mutating func knownContent(
        of node: SourceNode, _ known: [KnownFile], linkGroup: UInt64
    ) async throws(BackupError) -> FileContent? {
        guard node.version != nil else { return nil }
        for file in known {
            guard var content = file.content, let version = source.version(of: node, form: content.form),
                version.bytes == file.version, try await isStored(file, content)
            else { continue }
            self.known.remember(file, changedSeconds: version.changedSeconds)
            progress.bytes += content.contentBytes
            content.linkGroup = linkGroup
            return content
        }
        return nil
    }

    /// Whether every chunk of the file is in the store, or on its way into it.
    private mutating func isStored(_ file: KnownFile, _ content: FileContent) async throws(BackupError) -> Bool {
        guard content.form == .sqlitePages else {
            return try count(ofStored: file.chunks) == file.chunks.count
        }
        do throws(ObjectStoreError) {
            return try await databases.holds(content, at: file.path, &writer.reader)
        } catch {
            throw .store(error)
        }
    }

    private func remember(_ node: SourceNode, _ version: FileVersion, _ content: FileContent, _ blocks: [ChunkID]) {
        var content = content
        content.linkGroup = 0
        let file = KnownFile(
            path: node.path, version: version.bytes, content: content,
            leaves: content.blocks.depth == 0 ? [] : blocks)
        known.remember(file, changedSeconds: version.changedSeconds)
    }

    /// - Parameter known: of which a large file's first blocks need not be read again.
    /// - Returns: also whether what was read is the file of one moment.
    private mutating func storeContent(
        of node: SourceNode, _ known: [KnownFile], attempt: Int, linkGroup: UInt64
    ) async throws(BackupError) -> (content: FileContent, intact: Bool) {
        let file: any SourceFile
        do { file = try source.open(node, attempt: attempt) } catch { throw .source(error) }
        // A database's files may have changed since it was opened; but then the change is too young to be remembered.
        let version = source.version(of: node, form: file.form)
        if let database = file as? any DatabaseFile,
            let stored = try await storeDatabase(database, node, linkGroup: linkGroup)
        {
            if stored.intact, let version { remember(node, version, stored.content, []) }
            return stored
        }
        let total = file.contentBytes
        let blockBytes =
            total <= UInt64(FileContent.singleBlockBytesMax) ? Int(total) : FileContent.largeFileBlockBytes
        let blocks = try await storeBlocks(of: file, node, version, known, blockBytes: blockBytes)
        let intact = try finish(file)
        let content = FileContent(
            form: file.form, linkGroup: linkGroup, contentBytes: total, blockBytes: UInt32(blockBytes),
            blocks: try await writer.addList(of: blocks))
        if intact, let version { remember(node, version, content, blocks) }
        return (content, intact)
    }

    private mutating func storeBlocks(
        of file: any SourceFile, _ node: SourceNode, _ version: FileVersion?, _ known: [KnownFile], blockBytes: Int
    ) async throws(BackupError) -> [ChunkID] {
        let whole = blockBytes == 0 ? 0 : Int(clamping: file.contentBytes / UInt64(blockBytes))
        var blocks = Array(try firstBlocks(of: known, version).prefix(whole))
        if !blocks.isEmpty, !file.skip(blocks.count * blockBytes) { blocks = [] }
        progress.bytes += UInt64(blocks.count * blockBytes)
        var remembered = 0
        var left = file.contentBytes - UInt64(blocks.count * blockBytes)
        while left > 0 {
            let count = Int(min(left, UInt64(blockBytes)))
            blocks.append(try await storeBlock(of: file, count))
            left -= UInt64(count)
            progress.bytes += UInt64(count)
            progress.storedBytes = writer.storedBytes
            report(progress)
            if let version, left > 0, (blocks.count - remembered) * blockBytes >= packBytesMax {
                let part = KnownFile(
                    path: node.path, version: version.bytes, content: nil, leaves: Array(blocks[remembered...]))
                self.known.remember(part, changedSeconds: version.changedSeconds)
                remembered = blocks.count
            }
        }
        return blocks
    }

    /// The blocks that a backup which was cut had stored of a large file that looks as it did.
    private func firstBlocks(
        of known: [KnownFile], _ version: FileVersion?
    ) throws(BackupError) -> [ChunkID] {
        guard let cut = known.first(where: { $0.content == nil && $0.version == version?.bytes }) else { return [] }
        return Array(cut.leaves.prefix(try count(ofStored: cut.leaves)))
    }

    /// How many chunks, from the first one on, are in the store or on their way into it.
    private func count(ofStored chunks: [ChunkID]) throws(BackupError) -> Int {
        for (number, chunk) in chunks.enumerated() where chunk != .zeros {
            guard try writer.has(chunk) else { return number }
        }
        return chunks.count
    }

    /// A block of zeros is not stored (section 7): holes cost nothing.
    private mutating func storeBlock(of file: any SourceFile, _ count: Int) async throws(BackupError) -> ChunkID {
        if file.skipHole(count) { return .zeros }
        let block = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count])
        do { try file.read(into: block) } catch { throw .source(error) }
        let id = isZero(UnsafeRawBufferPointer(block)) ? .zeros : try await writer.add(UnsafeRawBufferPointer(block))
        if writer.packCount != packsAtCheckpoint {
            known.checkpoint()
            packsAtCheckpoint = writer.packCount
        }
        return id
    }

    /// Stores a database by pages; nil if it is not understood and is stored as a file is.
    private mutating func storeDatabase(
        _ database: any DatabaseFile, _ node: SourceNode, linkGroup: UInt64
    ) async throws(BackupError) -> (content: FileContent, intact: Bool)? {
        // Names of one file have one content (section 7), whatever chain each of them would go on from.
        if let known = databases.stored[linkGroup] {
            self.progress.bytes += known.contentBytes
            return (known, true)
        }
        var progress = progress
        let report = report
        let stored = try await DatabaseBackup.run(
            database, path: node.path, linkGroup: linkGroup, &databases, &writer
        ) { count in
            progress.bytes += UInt64(count)
            report(progress)
        }
        writer.reader.releaseFrames()
        guard let stored else { return nil }
        self.progress.bytes += stored.content.contentBytes
        self.progress.storedBytes = writer.storedBytes
        let intact = try finish(database)
        if intact, let list = stored.copyList { databases.stage(node.path, list: list, isBase: stored.isBase) }
        if intact, linkGroup != 0 { databases.stored[linkGroup] = stored.content }
        return (stored.content, intact)
    }

    /// Whether what was read is the file of one moment.
    private func finish(_ file: any SourceFile) throws(BackupError) -> Bool {
        do throws(SourceError) {
            try file.finish()
            return true
        } catch {
            guard error == .changed else { throw .source(error) }
            return false
        }
    }
}

extension Repository {
    /// - Returns: the object's size in bytes.
    fileprivate func write(
        _ snapshot: Snapshot, using generator: inout some RandomNumberGenerator
    ) async throws(BackupError) -> UInt64 {
        let object: [UInt8]
        do {
            object = try snapshot.sealed(epoch: keyring.current, store: header.store, using: &generator)
        } catch {
            throw .unrepresentable
        }
        let name = SnapshotName(number: snapshot.number, id: snapshot.id)
        do { try await store.create(.snapshot(name), object) } catch { throw .store(error) }
        return UInt64(object.count)
    }
}

extension Skipped {
    fileprivate var listedBytes: Int { path.count + Self.fixedBytes }
}
