package import BackupFormat
import ByteCoding

/// Why a path in a snapshot could not be shown.
package enum BrowseError: Error, Equatable, Sendable {
    case noSuchPath
    case read(ReadError)
}

extension Repository {
    /// The entry at a path of a snapshot, and what it holds if it is a folder.
    package func browse(
        _ snapshot: Snapshot, path: [UInt8], _ index: ChunkIndex
    ) async throws(BrowseError) -> (entry: Entry, children: [Entry]) {
        var reader = ChunkReader(self, index)
        let entry = try await reader.entry(at: path, of: snapshot)
        guard case .directory(let listings) = entry.kind else { return (entry, []) }
        do { return (entry, try await reader.entries(of: listings)) } catch { throw .read(error) }
    }
}

extension ChunkReader {
    /// The entry at a path of a snapshot.
    mutating func entry(at path: [UInt8], of snapshot: Snapshot) async throws(BrowseError) -> Entry {
        var entry = snapshot.root
        for name in path.split(separator: UInt8(ascii: "/")) where name != Array(Entry.rootName)[...] {
            guard case .directory(let listings) = entry.kind, let next = try await child(Array(name), of: listings)
            else { throw .noSuchPath }
            entry = next
        }
        return entry
    }

    private mutating func child(_ name: [UInt8], of listings: ChunkList) async throws(BrowseError) -> Entry? {
        do throws(ReadError) {
            var run = ListingRun()
            for id in try await ids(of: listings) {
                if let found = try run.entries(in: try await read(id)).first(where: { $0.name == name }) {
                    return found
                }
            }
            return nil
        } catch {
            throw .read(error)
        }
    }
}
