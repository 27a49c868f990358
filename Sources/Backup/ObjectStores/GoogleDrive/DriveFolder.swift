import BackupFormat
import Synchronization

/// The one folder that holds a store's files. It is found by its name, or by its id from an earlier run, once for each run.
final class DriveFolder: Sendable {
    private let address: DriveAddress
    private let catalog: DriveCatalog
    private let uploads: DriveUploads
    private let locks: NameLocks
    private let backoff: Backoff
    private let found = Mutex<String?>(nil)

    init(
        _ address: DriveAddress, _ catalog: DriveCatalog, _ uploads: DriveUploads, _ locks: NameLocks,
        _ backoff: Backoff
    ) {
        self.address = address
        self.backoff = backoff
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

    func isKnownSeen() async throws(StoreFailure) -> Bool {
        // An id that was chosen, and of which nothing came, is none.
        guard let known = catalog.knownFolder, catalog.knows(.header) else { return true }
        return try await file(known) != nil
    }

    /// Throws if it is not there any more, or in the trash: then nothing can be said of what lies in it.
    func requireThere() async throws(StoreFailure) {
        guard let id = found.withLock({ $0 }) else { return }
        do throws(StoreFailure) {
            guard try await uploads.file(id).trashed != true else { throw inTrash }
        } catch  where error.kind == .missing {
            throw StoreFailure(.noPlace, "its folder in Google Drive is not there any more")
        }
    }

    private func search() async throws(StoreFailure) -> String? {
        if let known = catalog.knownFolder, let folder = try await file(known) {
            guard folder.trashed != true else { throw inTrash }
            return folder.id
        }
        var folders = try await catalog.folders(named: address.folder)
        if folders.isEmpty {
            // Lists lag, and may forget.
            await backoff.wait(afterFailures: 1, asked: nil)
            folders = try await catalog.folders(named: address.folder)
        }
        let live = folders.filter { $0.trashed != true }
        guard let first = live.first else {
            guard folders.isEmpty else { throw inTrash }
            return nil
        }
        let chosen = live.count == 1 ? first.id : try await theOneInUse(live)
        if let chosen { catalog.isFolder(chosen) }
        return chosen
    }

    /// Nil if Drive says twice that it is not there.
    private func file(_ id: String) async throws(StoreFailure) -> DriveFile? {
        do throws(StoreFailure) { return try await uploads.file(id) } catch  where error.kind == .missing {}
        await backoff.wait(afterFailures: 1, asked: nil)
        do throws(StoreFailure) { return try await uploads.file(id) } catch  where error.kind == .missing {}
        return nil
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
