package import BackupFormat
import ByteCoding

extension Repository {
    /// What of a snapshot is of these categories: by names where they tell, else by the first bytes of the content.
    package func choice(
        of categories: Set<Category>, paths: [[UInt8]], in snapshot: Snapshot, _ index: ChunkIndex
    ) async throws(ObjectStoreError) -> RestoreChoice {
        let onlyPaths = RestoreChoice(paths: paths)
        let told = try await toldByContent(of: categories, in: snapshot, index, onlyPaths)
        return RestoreChoice(paths: paths) { path, entry in
            guard case .file(let content) = entry.kind else { return false }
            return Category.known(of: path, form: content.form).map { categories.contains($0) } ?? told.contains(path)
        }
    }

    /// The paths of files whose names do not tell, and which are of these categories.
    private func toldByContent(
        of categories: Set<Category>, in snapshot: Snapshot, _ index: ChunkIndex, _ choice: RestoreChoice
    ) async throws(ObjectStoreError) -> Set<[UInt8]> {
        var reader = ChunkReader(self, index)
        var told: Set<[UInt8]> = []
        var folders: [(path: [UInt8], listings: ChunkList)] = []
        if case .directory(let listings) = snapshot.root.kind { folders = [([], listings)] }
        while let folder = folders.popLast() {
            let entries: [Entry]
            do { entries = try await reader.entries(of: folder.listings) } catch {
                if let failure = error.storeFailure { throw failure }
                // The restore names it.
                continue
            }
            for entry in entries {
                let path = entry.path(in: folder.path)
                guard choice.leads(to: path) else { continue }
                switch entry.kind {
                case .directory(let listings): folders.append((path, listings))
                case .file(let content) where Category.known(of: path, form: content.form) == nil:
                    let category = try await reader.category(byContent: content)
                    if categories.contains(category) { told.insert(path) }
                case .file, .symbolicLink: break
                }
            }
        }
        return told
    }
}

extension ChunkReader {
    fileprivate mutating func category(byContent content: FileContent) async throws(ObjectStoreError) -> Category {
        do throws(ReadError) {
            guard let first = try await ids(of: content.blocks).first, first != .zeros else { return .other }
            return Category(beginning: Array(try await read(first).prefix(Category.beginningBytes))) ?? .other
        } catch {
            if let failure = error.storeFailure { throw failure }
            return .other
        }
    }
}
