package import BackupEngine
package import BackupFormat
import Primitives

/// A store in one folder of Google Drive. An object's name is its file's name, a label that is not unique there; its id, chosen
/// before it is sent, makes sure that a request whose answer was lost makes no second file.
///
/// `create` looks whether the name is taken. Two devices that create one name at the same moment may both believe they did, and then
/// the earlier file is the object on every device; names that both may choose are looked for again afterwards (`Docs/Stores.md`).
package final class DriveStore: ObjectStore {
    private static let objectBytesMax = 1 << 30

    private let address: DriveAddress
    private let client: DriveClient
    private let catalog: DriveCatalog
    private let uploads: DriveUploads
    private let folder: DriveFolder
    private let locks = NameLocks()

    /// - Parameters:
    ///   - notes: keeps what this device knows better than Drive's lists.
    ///   - backoff: between lists that are not complete.
    ///   - now: seconds since 1970.
    ///   - filesPerList: how many files are asked for at a time; Drive gives no more than 1,000.
    package init(
        _ address: DriveAddress, _ client: DriveClient, notes: any DriveNotes, backoff: Backoff = Backoff(),
        filesPerList: Int = 1_000, now: @escaping @Sendable () -> UInt64
    ) {
        self.address = address
        self.client = client
        catalog = DriveCatalog(
            client, space: address.spaceName, filesPerList: filesPerList, notes: notes, backoff: backoff, now: now)
        uploads = DriveUploads(client: client)
        folder = DriveFolder(address, catalog, uploads, locks)
    }

    package var place: String { address.text }
    /// Each lies in a file meanwhile; Drive takes about three a second.
    package let uploadsAtOnce = 6

    // MARK: Writing

    package func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await create(name, .bytes(bytes))
    }

    package func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        try SpooledUpload { (spooled) async throws(ObjectStoreError) in try await self.create(name, .spooled(spooled)) }
    }

    private func create(_ name: ObjectName, _ content: DriveContent) async throws(ObjectStoreError) {
        try await locks.holding(name.path) { () throws(ObjectStoreError) in
            try await self.words(name.path) { () throws(StoreFailure) in
                let folder = try await self.folder.idMaking()
                guard try await !self.isTaken(name.path, in: folder) else { throw StoreFailure(.exists, "") }
                let made = try await self.upload(name.path, content, to: folder)
                if !name.isRandom { try await self.requireFirst(made, name.path, in: folder) }
            }
        }
    }

    private func isTaken(_ path: String, in folder: String) async throws(StoreFailure) -> Bool {
        for file in catalog.known(path) where try await current(file, path) != nil { return true }
        // Lists may still have what is deleted.
        for file in try await catalog.search(for: path, in: folder) where try await current(file, path) != nil {
            return true
        }
        return false
    }

    /// What Drive says of it now; nil if it is not there any more.
    private func current(_ file: DriveFile, _ path: String) async throws(StoreFailure) -> DriveFile? {
        do {
            let current = try await uploads.file(file.id)
            if current.trashed != true { return current }
        } catch  where error.kind == .missing {}
        catalog.isMissing(file.id, path)
        return nil
    }

    private func upload(
        _ path: String, _ content: DriveContent, to folder: String
    ) async throws(StoreFailure) -> DriveFile {
        let id = try await catalog.begin(path)
        let file = DriveNewFile(id: id, name: path, mimeType: "application/octet-stream", parents: [folder])
        do {
            let made = try await uploads.create(file, content)
            catalog.isThere(made, path)
            return made
        } catch {
            catalog.isUncertain(id)
            guard error.kind != .missing else {
                throw StoreFailure(.noPlace, "its folder in Google Drive is not there any more")
            }
            throw error
        }
    }

    /// Whoever comes second gives way.
    private func requireFirst(_ made: DriveFile, _ path: String, in folder: String) async throws(StoreFailure) {
        let files = try await catalog.search(for: path, in: folder)
        guard let first = files.first, first.id != made.id else { return }
        try await uploads.delete(made.id)
        catalog.isGone(made.id, path)
        throw StoreFailure(.exists, "")
    }

    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await locks.holding(name.path) { () throws(ObjectStoreError) in
            try await self.words(name.path) { () throws(StoreFailure) in
                let folder = try await self.folder.idMaking()
                let isReplaced: Bool? = try await self.first(name.path, in: folder) { (file) throws(StoreFailure) in
                    try await self.uploads.replace(file.id, .bytes(bytes))
                    return true
                }
                if isReplaced == nil { _ = try await self.upload(name.path, .bytes(bytes), to: folder) }
            }
        }
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        try await words(name.path) { () throws(StoreFailure) in
            guard let folder = try await self.folder.id() else { return }
            for file in try await self.catalog.allFiles(named: name.path, in: folder) {
                try await self.uploads.delete(file.id)
                self.catalog.isGone(file.id, name.path)
            }
        }
    }

    package func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        try await words("") { () throws(StoreFailure) in
            guard let folder = try await self.folder.id() else { return 0 }
            var bytes: UInt64 = 0
            for (path, file) in try await self.catalog.spareCopies(before: seconds, in: folder) {
                bytes += UInt64(file.byteCount ?? 0)
                guard removing else { continue }
                try await self.uploads.delete(file.id)
                self.catalog.isGone(file.id, path)
            }
            return bytes
        }
    }

    // MARK: Reading

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        try await answer(name, range: nil, answerBytesMax: Self.objectBytesMax).body
    }

    package func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        guard !range.isEmpty else {
            guard try await size(of: name) >= range.upperBound else { throw .truncated(name.path) }
            return []
        }
        let answer = try await answer(
            name, range: range, answerBytesMax: max(range.count, StoreAnswer.slicedBytesMax))
        return try answer.part(range, of: name.path)
    }

    private func answer(
        _ name: ObjectName, range: Range<Int>?, answerBytesMax: Int
    ) async throws(ObjectStoreError) -> StoreAnswer {
        try await found(name) { (file) throws(StoreFailure) in
            var call = DriveClient.Call(
                url: "/drive/v3/files/\(PercentEncoding.encoded(file.id))", query: [("alt", "media")],
                answerBytesMax: answerBytesMax)
            if let range { call.headers = [ContentRange.asking(for: range)] }
            return try await self.client.send(call)
        }
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        try await found(name) { (file) throws(StoreFailure) in
            guard let current = try await self.current(file, name.path) else { throw StoreFailure(.missing, "") }
            guard let size = current.byteCount else { throw StoreFailure(.permanent, "its size is not said") }
            return size
        }
    }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        try await words("") { () throws(StoreFailure) in
            guard let id = try await self.folder.id() else { return [] }
            let prefix = "\(folder.rawValue)/"
            return try await self.catalog.names(in: id).filter { $0.hasPrefix(prefix) }
                .compactMap { ObjectName(path: $0) }
        }
    }

    package func freeBytes() async -> UInt64? { try? await about().freeBytes }

    /// Whose Drive it is, and its room.
    package func about() async throws(ObjectStoreError) -> DriveAbout {
        try await words("") { () throws(StoreFailure) in
            try DriveJSON.read(
                try await self.client.send(.init(url: "/drive/v3/about", query: [("fields", DriveAbout.fields)])))
        }
    }

    // MARK: Names

    private func found<Result: Sendable>(
        _ name: ObjectName, _ use: (DriveFile) async throws(StoreFailure) -> Result
    ) async throws(ObjectStoreError) -> Result {
        let result: Result? = try await words(name.path) { () throws(StoreFailure) in
            guard let folder = try await self.folder.id() else { return nil }
            return try await self.first(name.path, in: folder, use)
        }
        guard let result else { throw .notFound(name.path) }
        return result
    }

    /// Uses the first file of that name that is really there; nil if there is none.
    private func first<Result>(
        _ path: String, in folder: String, _ use: (DriveFile) async throws(StoreFailure) -> Result
    ) async throws(StoreFailure) -> Result? {
        if let result = try await first(catalog.known(path), path, use) { return result }
        // What is known may be outdated.
        return try await first(catalog.search(for: path, in: folder), path, use)
    }

    private func first<Result>(
        _ files: [DriveFile], _ path: String, _ use: (DriveFile) async throws(StoreFailure) -> Result
    ) async throws(StoreFailure) -> Result? {
        for file in files {
            do { return try await use(file) } catch  where error.kind == .missing { catalog.isMissing(file.id, path) }
        }
        return nil
    }

    private func words<Result>(
        _ path: String, _ body: () async throws(StoreFailure) -> Result
    ) async throws(ObjectStoreError) -> Result {
        do { return try await body() } catch { throw error.storeError(path, in: "the folder \(address.folder)") }
    }
}

extension ObjectName {
    /// Whether nobody else can have chosen it.
    fileprivate var isRandom: Bool {
        switch self {
        case .header, .keyring: false
        case .pack, .index, .snapshot, .removal: true
        }
    }
}
