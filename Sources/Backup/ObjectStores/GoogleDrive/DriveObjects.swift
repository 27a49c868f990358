import BackupFormat

/// Which file is the object of a name. That one is not there is believed on Drive's own word alone, said more than once while its
/// folder answers: whoever takes a file for lost may delete what depends on it.
struct DriveObjects: Sendable {
    private static let looksMax = 3

    let catalog: DriveCatalog
    let uploads: DriveUploads
    let folder: DriveFolder
    let backoff: Backoff

    /// Uses the first file of that name that is really there; nil if there is none.
    func first<Result>(
        _ path: String, in folder: String, _ use: (DriveFile) async throws(StoreFailure) -> Result
    ) async throws(StoreFailure) -> Result? {
        if let result = try await first(catalog.known(path), path, use) { return result }
        // What is known may be outdated.
        if let result = try await first(catalog.search(for: path, in: folder), path, use) { return result }
        return try await first(forgotten(path, in: folder), path, use)
    }

    /// The object of that name by a list of this moment, as Drive describes it now; nil if there is none.
    func current(_ path: String, in folder: String) async throws(StoreFailure) -> DriveFile? {
        if let file = try await first(catalog.search(for: path, in: folder), path, described) { return file }
        return try await first(forgotten(path, in: folder), path, described)
    }

    /// Whether a name is taken.
    ///
    /// - Parameter isRandom: whether nobody else can have chosen it: then what this device does not know is not there.
    func isTaken(_ path: String, isRandom: Bool, in folder: String) async throws(StoreFailure) -> Bool {
        if try await first(catalog.known(path), path, described) != nil { return true }
        // Lists may still have what is deleted.
        if try await first(catalog.search(for: path, in: folder), path, described) != nil { return true }
        guard !isRandom else { return false }
        return try await first(forgotten(path, in: folder), path, described) != nil
    }

    /// What Drive says of a file; one in the trash is none.
    func described(_ file: DriveFile) async throws(StoreFailure) -> DriveFile {
        let described = try await uploads.file(file.id)
        guard described.trashed != true else { throw StoreFailure(.missing, "") }
        return described
    }

    /// A search may lack what is there: the second one, a little later, looks into the trash as well.
    private func forgotten(_ path: String, in folder: String) async throws(StoreFailure) -> [DriveFile] {
        await backoff.wait(afterFailures: 1, asked: nil)
        let files = try await catalog.searchEverywhere(for: path, in: folder)
        let live = files.filter { $0.trashed != true }
        guard live.isEmpty, !files.isEmpty else { return live }
        throw StoreFailure(.permanent, "it lies in Google Drive's trash: restore it there")
    }

    private func first<Result>(
        _ files: [DriveFile], _ path: String, _ use: (DriveFile) async throws(StoreFailure) -> Result
    ) async throws(StoreFailure) -> Result? {
        for file in files { if let result = try await using(file, path, use) { return result } }
        return nil
    }

    /// Nil if it is not there; otherwise it is used, or that is an error.
    func using<Result>(
        _ file: DriveFile, _ path: String, _ use: (DriveFile) async throws(StoreFailure) -> Result
    ) async throws(StoreFailure) -> Result? {
        for look in 1...Self.looksMax {
            do { return try await use(file) } catch  where error.kind == .missing {}
            guard try await isThere(file, afterFailures: look) else {
                catalog.isMissing(file.id, path)
                return nil
            }
        }
        throw StoreFailure(.permanent, "Drive says that it is there, and that it is not")
    }

    func delete(_ id: String, _ path: String) async throws(StoreFailure) {
        let file = DriveFile(id: id)
        _ = try await using(file, path) { (file) throws(StoreFailure) in try await self.uploads.delete(file.id) }
        catalog.isGone(id, path)
    }

    /// Asked once more, after a pause.
    private func isThere(_ file: DriveFile, afterFailures failures: Int) async throws(StoreFailure) -> Bool {
        await backoff.wait(afterFailures: failures, asked: nil)
        do {
            _ = try await described(file)
            return true
        } catch  where error.kind == .missing {
            try await folder.requireThere()
            return false
        }
    }
}
