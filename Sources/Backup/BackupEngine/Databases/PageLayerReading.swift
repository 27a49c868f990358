import BackupFormat
import ByteCoding

extension ChunkReader {
    /// The groups of a layer, as many as its pages ask for.
    mutating func groupIDs(of layer: PageLayer) async throws(ReadError) -> [ChunkID] {
        let ids = try await ids(of: layer.groups)
        guard ids.count == PageGroup.count(pages: layer.pageCount) else { throw .damagedLayer }
        return ids
    }

    /// What a layer says about one group of its pages, checked.
    mutating func pageGroup(_ id: ChunkID, at place: PageGroup.Place) async throws(ReadError) -> PageGroup {
        let content: [UInt8]? = id == .zeros ? nil : try await content(of: id)
        do {
            let group = try content.map { try PageGroup(decoding: $0) } ?? PageGroup(batches: [])
            try group.check(at: place)
            return group
        } catch {
            throw .damagedLayer
        }
    }

    /// The content of a chunk of full pages, which holds every page that the batch names; lent until the next call.
    mutating func fullPages(
        _ chunk: ChunkID, of batch: PageBatch, pageBytes: Int
    ) async throws(ReadError) -> UnsafeRawBufferPointer {
        let pages = try await read(chunk)
        guard pages.count <= PageBatch.fullBytesMax, pages.count.isMultiple(of: pageBytes),
            batch.runs.allSatisfy({ $0.place + $0.count <= pages.count / pageBytes })
        else { throw .damagedLayer }
        return pages
    }
}

extension ReadError {
    static let damagedLayer = ReadError.damaged("a database's list of pages")
    /// What a store that cannot be reached says; it says nothing about what is in it.
    var storeFailure: ObjectStoreError? {
        if case .store(let failure) = self { return failure }
        return nil
    }

    static let damagedDelta = ReadError.damaged("a database's changed pages")
}

extension FileContent {
    /// Where a group stands in a layer of this database.
    func place(ofGroup group: Int, inLayer layer: Int) -> PageGroup.Place {
        PageGroup.Place(
            index: group, pageBytes: Int(blockBytes), layer: layers[layer], below: layer > 0 ? layers[layer - 1] : nil)
    }
}
