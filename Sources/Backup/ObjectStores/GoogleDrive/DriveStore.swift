package import BackupEngine
package import BackupFormat
import Primitives

/// A store in one folder of Google Drive. An object's name is its file's name, a label that is not unique there; its id, chosen
/// before it is sent, makes sure that a request whose answer was lost makes no second file.
///
/// `create` looks whether the name is taken. Two devices that create one name at the same moment may both believe they did, and then
/// the earlier file is the object on every device; names that both may choose are looked for again afterwards (`Docs/Stores.md`).
package final class DriveStore: PartialStore {
    private static let replacementsMax = 3
    private static let looksAfterStop = 3

    private let address: DriveAddress
    private let client: DriveClient
    private let catalog: DriveCatalog
    private let uploads: DriveUploads
    private let folder: DriveFolder
    private let objects: DriveObjects
    private let backoff: Backoff
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
        folder = DriveFolder(address, catalog, uploads, locks, backoff)
        objects = DriveObjects(catalog: catalog, uploads: uploads, folder: folder, backoff: backoff)
        self.backoff = backoff
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
                guard try await !self.objects.isTaken(name.path, isRandom: name.isRandom, in: folder) else {
                    throw StoreFailure(.exists, "")
                }
                try await self.make(name, content, in: folder)
            }
        }
    }

    private func make(
        _ name: ObjectName, _ content: DriveContent, in folder: String
    ) async throws(StoreFailure) {
        let made = try await upload(name.path, content, to: folder)
        if !name.isRandom { try await requireFirst(made, name.path, in: folder) }
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
            if Task.isCancelled { await takeBack(id, path) } else { catalog.isUncertain(id) }
            guard error.kind != .missing else {
                throw StoreFailure(.noPlace, "its folder in Google Drive is not there any more")
            }
            throw error
        }
    }

    /// Of an upload that was stopped all may have arrived, and become a file after that. Nobody else has its id: by that it is hidden
    /// here for as long as lists lag, and deleted as soon as it is seen.
    private func takeBack(_ id: String, _ path: String) async {
        catalog.isGone(id, path)
        let (uploads, backoff) = (uploads, backoff)
        await AfterStop.run {
            for look in 1...Self.looksAfterStop {
                guard await !uploads.deleteOnce(id), look < Self.looksAfterStop else { return }
                await backoff.wait(afterFailures: look, asked: nil)
            }
        }
    }

    /// Whoever comes second gives way.
    private func requireFirst(_ made: DriveFile, _ path: String, in folder: String) async throws(StoreFailure) {
        let files = try await catalog.search(for: path, in: folder)
        guard let first = files.first, first.id != made.id else { return }
        try await objects.delete(made.id, path)
        throw StoreFailure(.exists, "")
    }

    /// Writes into the file that is the object, until it is that one still. A file that was there a moment ago is not made again:
    /// then there were two, and the old one the object on every other device.
    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await locks.holding(name.path) { () throws(ObjectStoreError) in
            try await self.words(name.path) { () throws(StoreFailure) in
                let folder = try await self.folder.idMaking()
                var isKnown = !self.catalog.known(name.path).isEmpty || self.catalog.knows(name)
                var written: String?
                for _ in 0..<Self.replacementsMax {
                    let object = try await self.objects.current(name.path, in: folder)
                    if let object, object.id == written { return }
                    guard let object else {
                        guard !isKnown else { throw Self.lost }
                        return try await self.make(name, .bytes(bytes), in: folder)
                    }
                    isKnown = true
                    try await self.write(bytes, into: object, name)
                    written = object.id
                }
                throw StoreFailure(.permanent, "other devices write it at the same moment")
            }
        }
    }

    private static let lost = StoreFailure(
        .permanent, "Drive does not find it any more, though it was there a moment ago; nothing was written")

    private func write(_ bytes: [UInt8], into object: DriveFile, _ name: ObjectName) async throws(StoreFailure) {
        let isWritten: Bool? = try await objects.using(object, name.path) { (file) throws(StoreFailure) in
            try await self.uploads.replace(file.id, .bytes(bytes))
            return true
        }
        guard isWritten != nil else { throw Self.lost }
        catalog.isObject(object, name)
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        try await words(name.path) { () throws(StoreFailure) in
            guard let folder = try await self.folder.id() else { return }
            for file in try await self.catalog.allFiles(named: name.path, in: folder) {
                try await self.objects.delete(file.id, name.path)
            }
        }
    }

    package func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        try await words("") { () throws(StoreFailure) in
            guard let folder = try await self.folder.id() else { return 0 }
            var bytes: UInt64 = 0
            for (path, file, first) in try await self.catalog.spareCopies(before: seconds, in: folder) {
                // What lists say of the first alone deletes nothing.
                guard (try await self.objects.using(first, path, self.objects.described)) != nil else { continue }
                bytes += UInt64(file.byteCount ?? 0)
                if removing { try await self.objects.delete(file.id, path) }
            }
            return bytes
        }
    }

    // MARK: Reading

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        try await answer(name, range: nil, answerBytesMax: name.bytesMax).body
    }

    package func part(
        _ range: Range<Int>, of name: ObjectName, into lent: LentMemory?, answerBytesMax: Int
    ) async throws(ObjectStoreError) -> StoreAnswer {
        try await answer(name, range: range, answerBytesMax: answerBytesMax, lent: lent)
    }

    private func answer(
        _ name: ObjectName, range: Range<Int>?, answerBytesMax: Int, lent: LentMemory? = nil
    ) async throws(ObjectStoreError) -> StoreAnswer {
        try await found(name) { (file) throws(StoreFailure) in
            try await self.client.send(
                DriveClient.Call(
                    url: "/drive/v3/files/\(PercentEncoding.encoded(file.id))", query: [("alt", "media")],
                    answerBytesMax: answerBytesMax, range: range, lent: lent))
        }
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        try await found(name) { (file) throws(StoreFailure) in
            guard let size = try await self.objects.described(file).byteCount else {
                throw StoreFailure(.permanent, "its size is not said")
            }
            return size
        }
    }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        try await words("") { () throws(StoreFailure) in
            guard let id = try await self.folder.id() else { return [] }
            let names = try await self.catalog.names(in: id)
            if names.isEmpty { try await self.folder.requireThere() }
            let prefix = "\(folder.rawValue)/"
            return names.filter { $0.hasPrefix(prefix) }.compactMap { ObjectName(path: $0) }
        }
    }

    package func freeBytes() async -> UInt64? { try? await about().freeBytes }

    /// Whether whoever is signed in sees the folder in which this device had a backup earlier; true if it knows none.
    package func seesKnownFolder() async throws(ObjectStoreError) -> Bool {
        try await words("") { () throws(StoreFailure) in try await self.folder.isKnownSeen() }
    }

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
            return try await self.objects.first(name.path, in: folder) { (file) throws(StoreFailure) in
                let result = try await use(file)
                self.catalog.isObject(file, name)
                return result
            }
        }
        guard let result else { throw .notFound(name.path) }
        return result
    }

    private func words<Result>(
        _ path: String, _ body: () async throws(StoreFailure) -> Result
    ) async throws(ObjectStoreError) -> Result {
        do { return try await body() } catch { throw error.storeError(path, in: "the folder \(address.folder)") }
    }
}
