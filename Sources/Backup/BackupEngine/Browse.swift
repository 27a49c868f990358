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
        var entry = snapshot.root
        for name in path.split(separator: UInt8(ascii: "/")) where name != Array(".".utf8)[...] {
            guard case .directory(let listings) = entry.kind else { throw .noSuchPath }
            let children: [Entry]
            do { children = try await reader.entries(of: listings) } catch { throw .read(error) }
            guard let next = children.first(where: { $0.name == Array(name) }) else { throw .noSuchPath }
            entry = next
        }
        guard case .directory(let listings) = entry.kind else { return (entry, []) }
        do { return (entry, try await reader.entries(of: listings)) } catch { throw .read(error) }
    }
}
