import BackupFormat
import ByteCoding
import Primitives

/// What a backup can build on when it stores databases: the last snapshot of the same source, and this device's copies.
struct DatabaseHistory {
    private static let snapshotsTriedMax = 16

    let repository: Repository
    let copies: (any PreviousCopies)?
    private let sourceLabel: String
    private let copyKey: SecretBytes
    /// nil before it is asked for.
    private var snapshot: Snapshot??
    /// Copies that turned out to be damaged.
    private var distrusted: Set<CopyName> = []
    private var staged: [String] = []
    /// Room that copies leave to whoever owns the device.
    private static let spareBytes: UInt64 = 256 << 20
    /// The copies of databases that are still there.
    private var inUse: Set<CopyName> = []
    /// What this backup has stored, by link group.
    var stored: [UInt64: FileContent] = [:]

    init(_ repository: Repository, source: String, copies: (any PreviousCopies)?) {
        self.repository = repository
        self.copies = copies
        sourceLabel = source
        copyKey = repository.keyring.copyKey(of: repository.header.store)
    }

    /// What the last snapshot says of a database; nil if it is not there, or not stored by pages.
    ///
    /// A store that cannot be reached ends the backup: it must not cost a whole database again.
    mutating func chain(
        at path: [UInt8], pageBytes: Int, _ reader: inout ChunkReader
    ) async throws(ObjectStoreError) -> PageChain? {
        inUse.insert(copyName(path))
        if snapshot == nil { snapshot = .some(try await lastSnapshot()) }
        guard case .some(.some(let snapshot)) = snapshot else { return nil }
        do {
            let entry = try await reader.entry(at: path, of: snapshot)
            guard case .file(let content) = entry.kind, Int(content.blockBytes) == pageBytes else { return nil }
            return try await PageChain(content, &reader)
        } catch let error as BrowseError {
            if case .read(let failure) = error, let failure = failure.storeFailure { throw failure }
            return nil
        } catch let error as ObjectStoreError {
            throw error
        } catch {
            return nil
        }
    }

    /// Whether the last snapshot has this very content there, and the store all of it.
    mutating func holds(
        _ content: FileContent, at path: [UInt8], _ reader: inout ChunkReader
    ) async throws(ObjectStoreError) -> Bool {
        guard let chain = try await chain(at: path, pageBytes: Int(content.blockBytes), &reader),
            chain.content.layers == content.layers
        else { return false }
        for group in 0..<chain.groupCount {
            guard try await chain.group(group, &reader) != nil else { return false }
        }
        return true
    }

    /// The newest of this source; if there is none, another one may hold the same database.
    private func lastSnapshot() async throws(ObjectStoreError) -> Snapshot? {
        var newest: Snapshot?
        for name in try await repository.snapshotNames().reversed().prefix(Self.snapshotsTriedMax) {
            let snapshot: Snapshot
            do {
                snapshot = try await repository.snapshot(name)
            } catch {
                if let failure = error.storeFailure, !failure.isLoss { throw failure }
                continue
            }
            if snapshot.source == sourceLabel { return snapshot }
            newest = newest ?? snapshot
        }
        return newest
    }

    // MARK: Copies

    /// A copy's name tells nothing of the database's.
    private func copyName(_ path: [UInt8]) -> CopyName {
        CopyName(slots: Hex.encode(hmacSHA256(Array(sourceLabel.utf8) + [0] + path, key: copyKey)[..<16]))
    }

    /// This device's copy of the last image of a chain.
    func copy(_ path: [UInt8], of content: FileContent) -> PreviousCopy? {
        // After a step that came to nothing new the base is the last image.
        copy(path, .last, of: [content]) ?? copy(path, .base, of: [content])
    }

    /// This device's copy of the image that the next step of a chain is stored against.
    func baseCopy(_ path: [UInt8], of content: FileContent) -> PreviousCopy? {
        copy(
            path, .base,
            of: content.layers.indices.map { last in
                FileContent(
                    linkGroup: 0, pageBytes: Int(content.blockBytes), layers: Array(content.layers[...last]))
            })
    }

    private func copy(_ path: [UInt8], _ kind: CopyName.Kind, of contents: [FileContent]) -> PreviousCopy? {
        let name = copyName(path)
        guard let copies, !distrusted.contains(name) else { return nil }
        return PreviousCopy(name, kind, of: contents, in: copies, key: copyKey)
    }

    /// - Parameter chain: the content in the last snapshot, of which the copies stay until the next snapshot stands.
    func nextCopy(
        _ path: [UInt8], frameBytes: Int, frameCount: Int, on previous: PreviousCopy?, after chain: FileContent?,
        using generator: inout some RandomNumberGenerator
    ) -> NextCopy? {
        guard let copies else { return nil }
        var kept = UsedSlots(frameBytes: frameBytes)
        if let last = chain.flatMap({ copy(path, of: $0) }) { kept.add(last) }
        if let base = chain.flatMap({ baseCopy(path, of: $0) }) { kept.add(base) }
        return NextCopy(
            copyName(path), frameBytes: frameBytes, frameCount: frameCount, on: previous, besides: kept, in: copies,
            key: copyKey, using: &generator)
    }

    /// Whether there is room for so much more of a copy. If not the database has none from now on, and what it had is removed.
    mutating func hasRoom(_ path: [UInt8], forBytes count: Int) -> Bool {
        guard let copies, let free = copies.freeBytes, free < UInt64(count) + Self.spareBytes else { return true }
        inUse.remove(copyName(path))
        return false
    }

    mutating func distrustCopy(_ path: [UInt8]) { distrusted.insert(copyName(path)) }

    /// - Parameter isBase: whether the image is what the next step is stored against.
    mutating func stage(_ path: [UInt8], list: [UInt8], isBase: Bool) {
        let name = copyName(path)
        for kind in CopyName.Kind.allCases where kind == .last || isBase {
            if copies?.stage(name.list(kind), list: list) == true { staged.append(name.list(kind)) }
        }
    }

    /// When the snapshot stands, the new copies are what the next backup builds on.
    ///
    /// - Parameter sawAll: whether the backup came to every database that is there; then the copies of others go.
    mutating func publishCopies(sawAll: Bool) {
        for name in staged { copies?.publish(name) }
        staged = []
        guard sawAll else { return }
        copies?.keepOnly(Set(inUse.flatMap { name in CopyName.Kind.allCases.map(name.list) }))
    }
}
