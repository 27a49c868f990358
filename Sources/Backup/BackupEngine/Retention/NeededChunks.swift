import BackupFormat
import ByteCoding

/// Every chunk that the snapshots of a store need, directly or through lists, folders and databases.
struct NeededChunks {
    private enum Content: Hashable {
        case listing
        case list(depth: UInt8)
        case pageGroup
    }

    private struct Opened: Hashable {
        let chunk: ChunkID
        let content: Content
    }

    private(set) var chunks: Set<ChunkID> = []
    /// What was looked into: folders that did not change from one snapshot to the next are read once.
    private var opened: Set<Opened> = []
    private var added: Set<SnapshotName> = []
    /// By the index that was loaded last.
    var reader: ChunkReader

    init(_ reader: ChunkReader) { self.reader = reader }

    /// Throws if anything cannot be read: what it leads to would be taken for garbage.
    mutating func add(_ snapshot: Snapshot) async throws(ReadError) {
        guard !added.contains(snapshot.name) else { return }
        try await add(snapshot.root)
        added.insert(snapshot.name)
    }

    private mutating func add(_ entry: Entry) async throws(ReadError) {
        switch entry.kind {
        case .symbolicLink: break
        case .directory(let listings):
            for chunk in try await add(listings) { try await addListing(chunk) }
        case .file(let content):
            _ = try await add(content.blocks)
            for layer in content.layers {
                for chunk in try await add(layer.groups) { try await addPageGroup(chunk) }
            }
        }
    }

    /// - Returns: the chunks of the list that were not looked into before.
    private mutating func add(_ list: ChunkList) async throws(ReadError) -> [ChunkID] {
        chunks.formUnion(list.ids)
        guard list.depth > 0 else { return list.ids }
        var ids: [ChunkID] = []
        for chunk in list.ids where opened.insert(Opened(chunk: chunk, content: .list(depth: list.depth))).inserted {
            let run = try await reader.content(of: chunk)
            guard let inner = try? ChunkList.ids(inChunk: run) else { throw .damaged("a list of chunks") }
            ids += try await add(ChunkList(depth: list.depth - 1, ids: inner))
        }
        return ids
    }

    private mutating func addListing(_ chunk: ChunkID) async throws(ReadError) {
        guard opened.insert(Opened(chunk: chunk, content: .listing)).inserted else { return }
        guard let listing = try? Listing(decoding: try await reader.content(of: chunk)) else {
            throw .damaged("a folder's listing")
        }
        for entry in listing.entries { try await add(entry) }
    }

    private mutating func addPageGroup(_ chunk: ChunkID) async throws(ReadError) {
        guard chunk != .zeros, opened.insert(Opened(chunk: chunk, content: .pageGroup)).inserted else { return }
        guard let group = try? PageGroup(decoding: try await reader.content(of: chunk)) else {
            throw .damaged("a database's list of pages")
        }
        for batch in group.batches {
            switch batch.content {
            case .zeros: break
            case .full(let chunk), .delta(let chunk, _): chunks.insert(chunk)
            }
        }
    }
}
