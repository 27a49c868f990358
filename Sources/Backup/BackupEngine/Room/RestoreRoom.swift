package import BackupFormat
import ByteCoding

extension Repository {
    /// What the chosen files of a snapshot take on a disk: without holes, and each file of several names once. What cannot be read is not
    /// counted; the restore names it.
    package func bytesToRestore(
        _ choice: RestoreChoice, of snapshot: Snapshot, _ index: ChunkIndex
    ) async throws(ObjectStoreError) -> UInt64 {
        var sum = RestoreSum(reader: ChunkReader(self, index), choice: choice)
        if case .directory(let listings) = snapshot.root.kind { try await sum.add(listings, path: []) }
        return sum.bytes
    }
}

private struct RestoreSum {
    var reader: ChunkReader
    let choice: RestoreChoice
    var bytes: UInt64 = 0
    private var linkGroups: Set<UInt64> = []

    init(reader: ChunkReader, choice: RestoreChoice) {
        self.reader = reader
        self.choice = choice
    }

    mutating func add(_ listings: ChunkList, path: [UInt8]) async throws(ObjectStoreError) {
        var run = ListingRun()
        do throws(ReadError) {
            for id in try await reader.ids(of: listings) {
                for entry in try run.entries(in: try await reader.read(id)) { try await add(entry, in: path) }
            }
        } catch {
            if let failure = error.storeFailure { throw failure }
        }
    }

    private mutating func add(_ entry: Entry, in folder: [UInt8]) async throws(ReadError) {
        let path = entry.path(in: folder)
        guard choice.leads(to: path) else { return }
        switch entry.kind {
        case .symbolicLink: break
        case .directory(let listings):
            do { try await add(listings, path: path) } catch { throw .store(error) }
        case .file(let content):
            guard choice.covers(path), choice.wants?(path, entry) ?? true,
                content.linkGroup == 0 || linkGroups.insert(content.linkGroup).inserted
            else { return }
            bytes = bytes.saturatingAdd(try await reader.writtenBytes(of: content))
        }
    }
}

extension ChunkReader {
    /// Without holes, which take no room.
    mutating func writtenBytes(of content: FileContent) async throws(ReadError) -> UInt64 {
        guard content.form != .sqlitePages, content.contentBytes > UInt64(content.blockBytes) else {
            return content.contentBytes
        }
        do {
            let blocks = try await ids(of: content.blocks).count { $0 != .zeros }
            return min(content.contentBytes, UInt64(blocks) * UInt64(content.blockBytes))
        } catch {
            if error.storeFailure != nil { throw error }
            // The restore will name it.
            return content.contentBytes
        }
    }
}
