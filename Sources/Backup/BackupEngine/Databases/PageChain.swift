import BackupFormat
import ByteCoding

/// The chain of layers in the store that the next image of a database goes on from.
struct PageChain {
    let content: FileContent
    private let groupIDs: [[ChunkID]]

    /// nil if a part of it is damaged: then it is no ground to build on.
    init?(_ content: FileContent, _ reader: inout ChunkReader) async throws(ObjectStoreError) {
        guard content.form == .sqlitePages else { return nil }
        self.content = content
        var groupIDs: [[ChunkID]] = []
        do throws(ReadError) {
            for layer in content.layers { groupIDs.append(try await reader.groupIDs(of: layer)) }
        } catch {
            if let failure = error.storeFailure { throw failure }
            return nil
        }
        self.groupIDs = groupIDs
    }

    var pageCount: Int { content.layers[content.layers.count - 1].pageCount }

    /// Of the longest layer: a restore reads every group of every layer, also what a later image has cut off.
    var groupCount: Int { groupIDs.map(\.count).max() ?? 0 }

    /// Where the pages of one group of the last image come from; nil if a part of it is damaged or gone from the store.
    func group(_ number: Int, _ reader: inout ChunkReader) async throws(ObjectStoreError) -> ResolvedGroup? {
        var resolved = ResolvedGroup()
        for layer in content.layers.indices {
            guard number < groupIDs[layer].count else {
                resolved.cut(to: 0)
                continue
            }
            let place = content.place(ofGroup: number, inLayer: layer)
            let group: PageGroup
            do {
                group = try await reader.pageGroup(groupIDs[layer][number], at: place)
            } catch {
                if let failure = error.storeFailure { throw failure }
                return nil
            }
            for batch in group.batches {
                if let chunk = batch.chunk, try !reader.index.contains(chunk) { return nil }
                resolved.add(batch)
            }
            resolved.cut(to: place.pages)
        }
        return resolved
    }
}

/// Where each page of one group of the last image comes from.
struct ResolvedGroup {
    private var batches: [PageBatch] = []
    /// Of each page the batch, or -1 for none, and the place in it.
    private var sources = [Int](repeating: -1, count: PageGroup.pagesMax)
    private var places = [Int](repeating: 0, count: PageGroup.pagesMax)
    private var hashes = [UInt8](repeating: 0, count: PageGroup.pagesMax * PageHash.byteCount)

    mutating func add(_ batch: PageBatch) {
        var number = 0
        for run in batch.runs {
            for page in run.first..<run.end {
                sources[page] = batches.count
                places[page] = run.place + page - run.first
                for byte in 0..<PageHash.byteCount where !batch.hashes.isEmpty {
                    hashes[page * PageHash.byteCount + byte] = batch.hashes[number * PageHash.byteCount + byte]
                }
                number += 1
            }
        }
        var kept = batch
        kept.hashes = []
        batches.append(kept)
    }

    /// What a layer that is shorter does not have is gone, even if a later one is longer again.
    mutating func cut(to pages: Int) {
        for page in pages..<PageGroup.pagesMax { sources[page] = -1 }
    }

    func hash(of page: Int) -> ArraySlice<UInt8> {
        hashes[page * PageHash.byteCount..<(page + 1) * PageHash.byteCount]
    }

    /// Whether a page has this content, by its hash.
    func holds(_ page: Int, _ bytes: UnsafeRawBufferPointer, _ keyring: Keyring) -> Bool {
        guard sources[page] >= 0 else { return false }
        if case .zeros = batches[sources[page]].content { return isZero(bytes) }
        return keyring.pageHash(of: bytes).bytes[...] == hash(of: page)
    }

    /// The number of the batch from which a page can be taken as it is, and its place; nil if it is a delta or not there.
    func fullSource(of page: Int) -> (batch: Int, place: Int)? {
        guard sources[page] >= 0, case .full = batches[sources[page]].content else { return nil }
        return (sources[page], places[page])
    }

    func content(ofBatch number: Int) -> PageBatch.Content { batches[number].content }
}

extension PageBatch {
    var chunk: ChunkID? {
        switch content {
        case .zeros: nil
        case .full(let chunk), .delta(let chunk, _): chunk
        }
    }
}
