import Synchronization

/// The one folder that holds a store's files. It is found by its name, or by its id from an earlier run, once for each run.
final class DriveFolder: Sendable {
    private let address: DriveAddress
    private let catalog: DriveCatalog
    private let uploads: DriveUploads
    private let locks: NameLocks
    private let found = Mutex<String?>(nil)

    init(_ address: DriveAddress, _ catalog: DriveCatalog, _ uploads: DriveUploads, _ locks: NameLocks) {
        self.address = address
        self.catalog = catalog
        self.uploads = uploads
        self.locks = locks
    }

    /// Nil if it is not there.
    func id() async throws(StoreFailure) -> String? {
        if let id = found.withLock({ $0 }) { return id }
        // No object's path begins in this way.
        return try await locks.holding("/folder") { () throws(StoreFailure) in
            if let id = self.found.withLock({ $0 }) { return id }
            let id = try await self.search()
            self.found.withLock { $0 = id }
            return id
        }
    }

    /// - Returns: the folder's id; it is made if it is not there.
    func idMaking() async throws(StoreFailure) -> String {
        if let id = try await id() { return id }
        return try await locks.holding("/folder") { () throws(StoreFailure) in
            if let id = self.found.withLock({ $0 }) { return id }
            let id = try await self.make()
            self.found.withLock { $0 = id }
            return id
        }
    }

    private func search() async throws(StoreFailure) -> String? {
        if let known = catalog.knownFolder {
            do throws(StoreFailure) {
                let folder = try await uploads.file(known)
                guard folder.trashed != true else { throw inTrash }
                return folder.id
            } catch  where error.kind == .missing {
                catalog.isFolder(nil)
            }
        }
        let folders = try await catalog.folders(named: address.folder)
        let live = folders.filter { $0.trashed != true }
        guard let first = live.first else {
            guard folders.isEmpty else { throw inTrash }
            return nil
        }
        return live.count == 1 ? first.id : try await theOneInUse(live)
    }

    /// Several folders may have one name; backups may be in one of them.
    private func theOneInUse(_ folders: [DriveFile]) async throws(StoreFailure) -> String? {
        var used: [String] = []
        for folder in folders where try await catalog.isListed("coffer.json", in: folder.id) { used.append(folder.id) }
        guard used.count <= 1 else {
            throw StoreFailure(
                .noPlace,
                "\(used.count) folders in Google Drive have the name \(address.folder), and backups in them: rename all but one "
                    + "there, and name the one that you mean")
        }
        return used.first ?? folders.first?.id
    }

    private var inTrash: StoreFailure {
        StoreFailure(
            .noPlace,
            "the folder \(address.folder) lies in Google Drive's trash: restore it there, or delete it there for good")
    }

    private func make() async throws(StoreFailure) -> String {
        let id = try await catalog.folderID()
        // Before it is asked for: after a cut the next run finds it, whatever lists say.
        catalog.isFolder(id)
        let file = DriveNewFile(
            id: id, name: address.folder, mimeType: DriveFile.folderType,
            parents: address.space == .drive ? nil : ["appDataFolder"])
        return try await uploads.makeFolder(file).id
    }
}
