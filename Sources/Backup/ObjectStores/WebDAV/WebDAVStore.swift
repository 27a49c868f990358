package import BackupEngine
package import BackupFormat

/// A store in a folder of a WebDAV server: Nextcloud, ownCloud, Apache, a NAS.
///
/// An object is uploaded under a random name, its size is looked at, and it is moved to its name, which fails if the name is taken: so
/// it is there whole or not at all on every server that was tried. Servers look and then rename, so that of two who create one name at
/// the very same moment both may be told that they did, and the last one's stays (`Docs/Stores.md`). Names that Coffer creates are random.
package final class WebDAVStore: PartialStore {
    private static let looksMax = 5
    /// Thousands of packs in one of their 256 folders.
    private static let packFolderBytesMax = 4 << 20
    private static let foldersAtOnce = 8

    private let client: WebDAVClient
    private let absence: WebDAVAbsence
    private let writer: WebDAVWriter

    package init(_ client: WebDAVClient) {
        self.client = client
        absence = WebDAVAbsence(client)
        writer = WebDAVWriter(client: client, folders: WebDAVFolders(client, absence))
    }

    package var place: String { client.address.text }
    /// Each lies in a file meanwhile. Servers at home are small.
    package let uploadsAtOnce = 4

    package func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await write(name, WebDAVWriter.Content(bytes), isNew: true)
    }

    package func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        try SpooledUpload { [self] bytes throws(ObjectStoreError) in
            try await write(name, WebDAVWriter.Content(bytes), isNew: true)
        }
    }

    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await write(name, WebDAVWriter.Content(bytes), isNew: false)
    }

    private func write(
        _ name: ObjectName, _ content: WebDAVWriter.Content, isNew: Bool
    ) async throws(ObjectStoreError) {
        do { try await writer.write(name, content, isNew: isNew) } catch { throw storeError(error, name.path) }
    }

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        let request = WebDAVClient.Request(method: "GET", name: name.path, answerBytesMax: name.bytesMax)
        guard name == .header else { return try await get(request, name).body }
        // Apache and rclone may give so much of the new one as the old one had: then its size is another one.
        for failures in 1...Self.looksMax {
            let bytes = try await get(request, name).body
            let told: Int?
            do { told = try await client.entry(name.path)?.byteCount } catch { throw storeError(error, name.path) }
            guard let told, told != bytes.count else { return bytes }
            await client.pause(afterFailures: failures)
        }
        throw .failed("\(name.path): its size is told differently each time")
    }

    package func part(
        _ range: Range<Int>, of name: ObjectName, into lent: LentMemory?, answerBytesMax: Int
    ) async throws(ObjectStoreError) -> StoreAnswer {
        let request = WebDAVClient.Request(
            method: "GET", name: name.path, headers: [ContentRange.asking(for: range)], answerBytesMax: answerBytesMax,
            lent: lent)
        return try await get(request, name)
    }

    private func get(_ request: WebDAVClient.Request, _ name: ObjectName) async throws(ObjectStoreError) -> StoreAnswer
    {
        try await look(for: name) { () async throws(StoreFailure) in try await self.client.send(request) }
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        let entry = try await look(for: name) { () async throws(StoreFailure) in
            try await self.client.foundEntry(name.path)
        }
        guard !entry.isFolder else { throw .notFound(name.path) }
        guard let size = entry.byteCount else { throw .failed("\(name.path): its size is not said") }
        return size
    }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        let entries = try await entries("\(folder.rawValue)/")
        var names = Set(entries.compactMap { ObjectName(path: "\(folder.rawValue)/\($0.name)") })
        if folder == .packs {
            let packs = try await together(Self.packFolders(entries), atOnce: Self.foldersAtOnce) {
                folder throws(ObjectStoreError) in
                try await self.entries(folder, bytesMax: Self.packFolderBytesMax).compactMap {
                    ObjectName(path: folder + $0.name)
                }
            }
            names.formUnion(packs.joined())
        }
        return Array(names)
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        try await delete(name.path)
        if name == .header { absence.forget() }
    }

    private func delete(_ path: String) async throws(ObjectStoreError) {
        do {
            _ = try await absence.look(for: path) { () async throws(StoreFailure) in
                try await self.client.send(WebDAVClient.Request(method: "DELETE", name: path))
            }
        } catch {
            guard error.kind == .missing else { throw storeError(error, path) }
        }
    }

    /// A file in the staging folder that nobody has written to since, by the server's clock.
    package func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        let staging = WebDAVFolders.staging
        let (list, date): (MultiStatus, String?)
        do {
            (list, date) = try await absence.look(for: staging) { () async throws(StoreFailure) in
                try await self.client.properties(of: staging, depth: 1)
            }
        } catch {
            if error.kind == .missing { return 0 }
            throw storeError(error, staging)
        }
        let clockOffset = Self.clockOffset(date, now: client.now())
        var bytes: UInt64 = 0
        for entry in list.entries where !entry.isFolder && Self.isStagingName(entry.name) {
            let name = staging + entry.name
            let modified: UInt64?
            if let told = entry.modifiedSeconds { modified = told } else { modified = await lastModified(name) }
            // Of what has no date nobody knows whether it is on its way.
            guard modified.map({ $0.shifted(by: clockOffset) < seconds }) ?? (seconds == .max) else { continue }
            if removing { try await delete(name) }
            bytes += UInt64(clamping: entry.byteCount ?? 0)
        }
        return bytes
    }

    /// RFC 4331; of the closest folder that is there already.
    package func freeBytes() async -> UInt64? {
        for depth in (0...client.address.folders.count).reversed() {
            do {
                let entries = try await client.properties(
                    of: "", depth: 0, ["quota-available-bytes"], at: client.address.ancestorURL(depth)
                ).list.entries
                return entries.lazy.compactMap(\.availableBytes).first
            } catch {
                guard error.kind == .missing else { return nil }
            }
        }
        return nil
    }

    /// A deletion takes what lies in a folder with it: only what is seen to be empty is deleted.
    package func removeFolders() async {
        defer {
            writer.folders.forget()
            absence.forget()
        }
        guard let packs = try? await entries("packs/") else { return }
        _ = try? await together(Self.packFolders(packs), atOnce: Self.foldersAtOnce) {
            await self.removeIfEmpty($0, named: String($0.dropFirst("packs/".count).dropLast()))
        }
        for folder in ObjectName.Folder.allCases { await removeIfEmpty("\(folder.rawValue)/", named: folder.rawValue) }
        await removeIfEmpty(WebDAVFolders.staging, named: String(WebDAVFolders.staging.dropLast()))
        let folders = client.address.folders
        if let own = folders.last { await removeIfEmpty("", named: own) }
        // A mistyped address may have made some more.
        for depth in writer.folders.takeMadeAncestors() {
            await removeIfEmpty("", named: folders[depth - 1], at: client.address.ancestorURL(depth))
        }
    }

    /// - Parameter own: the folder's name, which tells it from one that lies in it alone.
    private func removeIfEmpty(_ folder: String, named own: String, at url: String? = nil) async {
        guard let list = try? await client.properties(of: folder, depth: 1, ["resourcetype"], at: url).list,
            list.entries.count == 1, list.entries[0].isFolder, list.names(in: own).isEmpty
        else { return }
        _ = try? await client.send(WebDAVClient.Request(method: "DELETE", name: folder, url: url))
    }

    private static func packFolders(_ entries: [MultiStatus.Entry]) -> [String] {
        Set(entries.filter { $0.isFolder && $0.name.utf8.count == 2 }.map { "packs/\($0.name)/" }).sorted()
    }

    // MARK: Requests

    private func storeError(_ failure: StoreFailure, _ path: String) -> ObjectStoreError {
        failure.storeError(path, in: "the folder")
    }

    private func look<Found>(
        for name: ObjectName, _ ask: () async throws(StoreFailure) -> Found
    ) async throws(ObjectStoreError) -> Found {
        do { return try await absence.look(for: name.path, isHeaderInUse: name == .header, ask) } catch {
            throw storeError(error, name.path)
        }
    }

    /// What a folder holds, and the folder itself; one that is not there holds nothing.
    private func entries(
        _ folder: String, bytesMax: Int = WebDAVClient.listBytesMax
    ) async throws(ObjectStoreError) -> [MultiStatus.Entry] {
        do {
            return try await absence.look(for: folder) { () async throws(StoreFailure) in
                try await self.client.properties(of: folder, depth: 1, ["resourcetype"], listBytesMax: bytesMax).list
                    .entries
            }
        } catch {
            if error.kind == .missing { return [] }
            throw storeError(error, folder)
        }
    }

    // MARK: Times

    private static func isStagingName(_ name: String) -> Bool {
        name.utf8.count == 32
            && name.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    /// lighttpd's lists have no dates.
    private func lastModified(_ name: String) async -> UInt64? {
        let head = try? await client.send(WebDAVClient.Request(method: "HEAD", name: name))
        return head?.header("last-modified").flatMap(HTTPTime.init(httpDate:))?.seconds
    }

    /// What is to be added to the server's times.
    private static func clockOffset(_ date: String?, now: UInt64) -> Int64 {
        guard let date = date.flatMap(HTTPTime.init(httpDate:))?.seconds else { return 0 }
        return Int64(clamping: now) - Int64(clamping: date)
    }
}

extension UInt64 {
    fileprivate func shifted(by offset: Int64) -> UInt64 {
        let sum = Int64(clamping: self).addingReportingOverflow(offset)
        return sum.overflow ? (offset > 0 ? .max : 0) : UInt64(clamping: sum.partialValue)
    }
}
