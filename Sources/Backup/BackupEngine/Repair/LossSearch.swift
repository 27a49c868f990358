import BackupFormat
import ByteCoding

/// Finds what the snapshots of a store need and nobody can read any more.
///
/// Folders that did not change from one snapshot to the next are looked into once, if nothing in them is lost.
struct LossSearch {
    private static let namedMax = 1_000

    private let index: ChunkIndex
    /// Packs in which something is damaged, by number: what lies in them alone is tried.
    private let damaged: Set<Int>
    private var reader: ChunkReader
    /// Of chunks that lie in damaged packs alone.
    private var isReadable: [ChunkID: Bool] = [:]
    private var cleanListings: Set<ChunkID> = []
    private var snapshot: UInt32 = 0
    private var places: [[UInt8]: Int] = [:]
    private(set) var lost: [RepairReport.Lost] = []
    /// Of lost paths beyond those that are named: in the snapshot that is searched, and in the one that has most. A path may
    /// be lost in many snapshots, and is not remembered.
    private var unnamed = 0
    private var unnamedMax = 0
    /// At least so many paths are lost; exactly so many as long as all are named.
    var lostCount: Int { lost.count + unnamedMax }

    init(_ repository: Repository, _ index: ChunkIndex, damaged: Set<Int>) {
        self.index = index
        self.damaged = damaged
        reader = ChunkReader(repository, index)
    }

    mutating func search(_ snapshot: Snapshot) async throws(ObjectStoreError) {
        guard case .directory(let listings) = snapshot.root.kind else { return }
        self.snapshot = snapshot.number
        unnamed = 0
        _ = try await searchFolder(listings, [])
    }

    /// - Returns: whether nothing below is lost.
    private mutating func searchFolder(
        _ listings: ChunkList, _ path: [UInt8]
    ) async throws(ObjectStoreError) -> Bool {
        let ids: [ChunkID]
        do { ids = try await reader.ids(of: listings) } catch { return try note(path, error) }
        var (isClean, isNoted) = (true, false)
        for id in ids where !cleanListings.contains(id) {
            let entries: [Entry]
            do {
                var run = ListingRun()
                entries = try run.entries(in: try await reader.read(id))
            } catch {
                // Once for the folder, however many of its listings are lost.
                if let failure = error.storeFailure { throw failure }
                if !isNoted { isClean = try note(path, error) }
                isNoted = true
                continue
            }
            var isListingClean = true
            for entry in entries {
                let path = entry.path(in: path)
                if try await !search(entry, path) { isListingClean = false }
            }
            if isListingClean { cleanListings.insert(id) } else { isClean = false }
        }
        return isClean
    }

    private mutating func search(_ entry: Entry, _ path: [UInt8]) async throws(ObjectStoreError) -> Bool {
        switch entry.kind {
        case .symbolicLink: return true
        case .directory(let listings): return try await searchFolder(listings, path)
        case .file(let content):
            do throws(ReadError) {
                for id in try await reader.ids(of: content.blocks) { try await require(id) }
                for layer in content.layers.indices { try await requireLayer(layer, of: content) }
                return true
            } catch {
                return try note(path, error)
            }
        }
    }

    private mutating func requireLayer(_ layer: Int, of content: FileContent) async throws(ReadError) {
        for (number, id) in try await reader.groupIDs(of: content.layers[layer]).enumerated() {
            let group = try await reader.pageGroup(id, at: content.place(ofGroup: number, inLayer: layer))
            for chunk in group.batches.compactMap(\.chunk) { try await require(chunk) }
        }
    }

    private mutating func require(_ chunk: ChunkID) async throws(ReadError) {
        if chunk == .zeros { return }
        do throws(ObjectStoreError) {
            if try index.location(of: chunk, avoiding: damaged) != nil { return }
        } catch {
            throw .store(error)
        }
        if isReadable[chunk] == nil {
            do {
                _ = try await reader.read(chunk)
                isReadable[chunk] = true
            } catch .store(let failure) {
                throw .store(failure)
            } catch {
                isReadable[chunk] = false
            }
        }
        if isReadable[chunk] == false { throw .missingChunk }
    }

    /// - Returns: false.
    private mutating func note(_ path: [UInt8], _ error: ReadError) throws(ObjectStoreError) -> Bool {
        if let failure = error.storeFailure { throw failure }
        if let place = places[path] {
            if lost[place].snapshots.last != snapshot { lost[place].snapshots.append(snapshot) }
            return false
        }
        guard lost.count < Self.namedMax else {
            unnamed += 1
            unnamedMax = max(unnamedMax, unnamed)
            return false
        }
        places[path] = lost.count
        lost.append(RepairReport.Lost(path: path, snapshots: [snapshot]))
        return false
    }
}
