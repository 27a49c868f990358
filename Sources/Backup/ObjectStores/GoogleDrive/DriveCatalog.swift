import BackupFormat
import Primitives
import Synchronization

/// Which files in Drive stand under which names. Names are labels there: none, one or several files may have one, and lists lag
/// behind. What this device wrote and deleted itself it knows better than they do.
final class DriveCatalog: Sendable {
    private struct State {
        /// The files under a name, as the last list or search had them.
        var known: [String: [DriveFile]] = [:]
        /// Whether everything was listed once.
        var isComplete = false
        var journal: DriveJournal
        /// Files that are not there, whatever lists say.
        var gone: Set<String> = []
        /// Files of this run that are on their way.
        var underWay: Set<String> = []
        var spareIDs: [String] = []
        /// When deletions were last written down.
        var deletionsWritten: UInt64?

        mutating func forget(_ id: String, _ path: String) {
            gone.insert(id)
            let rest = known[path]?.filter { $0.id != id } ?? []
            known[path] = rest.isEmpty ? nil : rest
        }
    }

    private static let listingsMax = 3
    private static let spareIDs = 10
    /// Drive's own limit for a folder is 500,000 files.
    private static let filesMax = 500_000
    private static let pagesMax = 2_000
    /// A thousand files take 600 kB.
    private static let pageBytesMax = 4 << 20
    private static let listBytesMax = 512 << 20
    /// How many files are asked for one by one that a list lacks.
    private static let askedMax = 200

    private let client: DriveClient
    private let uploads: DriveUploads
    private let space: String
    private let filesPerList: Int
    private let notes: any DriveNotes
    private let now: @Sendable () -> UInt64
    private let backoff: Backoff
    private let state: Mutex<State>

    init(
        _ client: DriveClient, space: String, filesPerList: Int, notes: any DriveNotes, backoff: Backoff,
        now: @escaping @Sendable () -> UInt64
    ) {
        self.client = client
        uploads = DriveUploads(client: client)
        self.space = space
        self.filesPerList = filesPerList
        self.notes = notes
        self.backoff = backoff
        self.now = now
        state = Mutex(State(journal: DriveJournal(reading: notes.read())))
    }

    // MARK: Names

    /// Files that stood under the name when Drive was last asked, the object first.
    func known(_ path: String) -> [DriveFile] { state.withLock { $0.known[path] ?? [] } }

    /// All that has the name, so that nothing of it is left when these are deleted.
    func allFiles(named path: String, in folder: String) async throws(StoreFailure) -> [DriveFile] {
        let known = state.withLock { $0.isComplete ? $0.known[path] : nil }
        if let known { return known }
        return try await search(for: path, in: folder)
    }

    /// The files under the name, as Drive says now, the object first.
    func search(for path: String, in folder: String) async throws(StoreFailure) -> [DriveFile] {
        let listed = try await list(DriveQuery.files(named: path, in: folder))
        let own = try await missed(in: listed, ofName: path)
        return state.withLock { state in
            let files = (listed + own).filter { $0.name == path && !state.gone.contains($0.id) }
            state.known[path] = files.isEmpty ? nil : files.sorted(by: DriveFile.isEarlier)
            return state.known[path] ?? []
        }
    }

    /// The same, once more, in the trash as well.
    func searchEverywhere(for path: String, in folder: String) async throws(StoreFailure) -> [DriveFile] {
        let listed = try await list(DriveQuery.filesAndTrash(named: path, in: folder))
        let own = try await missed(in: listed, ofName: path)
        return state.withLock { state in
            let files = (listed + own).filter { $0.name == path && !state.gone.contains($0.id) }
                .sorted(by: DriveFile.isEarlier)
            let live = files.filter { $0.trashed != true }
            state.known[path] = live.isEmpty ? nil : live
            return files
        }
    }

    /// Whether any folder, of which nothing else is known, has a file of that name.
    func isListed(_ path: String, in folder: String) async throws(StoreFailure) -> Bool {
        try await !list(DriveQuery.files(named: path, in: folder)).isEmpty
    }

    /// The names of all files in the folder.
    func names(in folder: String) async throws(StoreFailure) -> [String] {
        var listed = try await list(DriveQuery.files(in: folder))
        if !lacking(in: listed).isEmpty {
            await backoff.wait(afterFailures: 1, asked: nil)
            let ids = Set(listed.map(\.id))
            listed += try await list(DriveQuery.files(in: folder)).filter { !ids.contains($0.id) }
        }
        listed += try await stillThere(lacking(in: listed))
        let own = try await missed(in: listed, ofName: nil)
        return state.withLock { state in
            state.known = Dictionary(
                grouping: (listed + own).filter { !state.gone.contains($0.id) }, by: { $0.name ?? "" }
            ).mapValues { $0.sorted(by: DriveFile.isEarlier) }
            state.isComplete = true
            return Array(state.known.keys)
        }
    }

    /// What an earlier list of this run had, and this one has not.
    private func lacking(in listed: [DriveFile]) -> [DriveFile] {
        let ids = Set(listed.map(\.id))
        let now = now()
        return state.withLock { state in
            guard state.isComplete else { return [] }
            // Those are asked for in any case.
            let own = Set(state.journal.recent(atSeconds: now).map(\.id))
            return state.known.values.joined().filter {
                !ids.contains($0.id) && !own.contains($0.id) && !state.gone.contains($0.id)
            }
        }
    }

    /// Lists may forget, too: a file goes for gone if Drive says so of its id. Of very many that are not asked for none is taken for gone.
    private func stillThere(_ files: [DriveFile]) async throws(StoreFailure) -> [DriveFile] {
        guard files.count <= Self.askedMax else { return files }
        var there: [DriveFile] = []
        for file in files {
            do {
                let file = try await uploads.file(file.id)
                if file.trashed != true { there.append(file) }
            } catch  where error.kind == .missing {}
        }
        return there
    }

    /// Files beside an object that are older than a time, and that object: copies of it which lost answers and other programs left, and
    /// whatever has the name of a header or a keyring, of which no two copies are the same.
    func spareCopies(before seconds: UInt64, in folder: String) async throws(StoreFailure) -> [(
        path: String, file: DriveFile, first: DriveFile
    )] {
        _ = try await names(in: folder)
        let limit = HTTPTime(seconds: seconds).internetTime
        return state.withLock { $0.known }.flatMap { path, files in
            guard let first = files.first else { return [(path: String, file: DriveFile, first: DriveFile)]() }
            let isAnyOther = ObjectName(path: path)?.isRandom == false
            return files.dropFirst().filter { file in
                let isSame =
                    file.sha256Checksum != nil && file.sha256Checksum == first.sha256Checksum
                    && file.byteCount == first.byteCount
                return (isSame || isAnyOther) && (file.createdTime ?? "~") < limit
            }.map { (path, $0, first) }
        }
    }

    // MARK: What this device did

    /// An id for a file that is to be made, which this device remembers before anything is sent.
    func begin(_ path: String) async throws(StoreFailure) -> String {
        let id = try await spareID()
        note { state, now in
            state.underWay.insert(id)
            state.journal.note(.begun, path, id: id, atSeconds: now)
        }
        return id
    }

    func isThere(_ file: DriveFile, _ path: String) {
        note { state, now in
            state.underWay.remove(file.id)
            state.known[path] = ((state.known[path] ?? []).filter { $0.id != file.id } + [file])
                .sorted(by: DriveFile.isEarlier)
            state.journal.note(.there, path, id: file.id, atSeconds: now)
            if path == ObjectName.header.path { state.journal.header = state.known[path]?.first?.id }
        }
    }

    /// It may have come to be; the next search asks for it by its id.
    func isUncertain(_ id: String) { state.withLock { _ = $0.underWay.remove(id) } }

    func isGone(_ id: String, _ path: String) {
        let now = now()
        let isWritten = state.withLock { state in
            state.forget(id, path)
            state.underWay.remove(id)
            if state.journal.header == id { state.journal.header = nil }
            state.journal.note(.gone, path, id: id, atSeconds: now)
            defer { state.deletionsWritten = now }
            return state.deletionsWritten == now && path != ObjectName.header.path
        }
        // Each would write down all of the last minutes; of those within one second the others follow with whatever is next.
        if !isWritten { note { _, _ in } }
    }

    /// Somebody else deleted it.
    func isMissing(_ id: String, _ path: String) { state.withLock { $0.forget(id, path) } }

    /// Which file the header is: this device goes on knowing it, whatever lists say.
    func isObject(_ file: DriveFile, _ name: ObjectName) {
        guard name == .header, state.withLock({ $0.journal.header != file.id }) else { return }
        note { state, _ in state.journal.header = file.id }
    }

    /// Whether this device knew a file of that name in an earlier run.
    func knows(_ name: ObjectName) -> Bool { name == .header && state.withLock { $0.journal.header != nil } }

    private func note(_ change: (inout State, _ now: UInt64) -> Void) {
        let now = now()
        state.withLock { change(&$0, now) }
        notes.change { kept in
            state.withLock { state in
                // Another program may have written since; what this one knows now is in it, too.
                state.journal.merge(DriveJournal(reading: kept), atSeconds: now)
                return state.journal.text()
            }
        }
    }

    func folderID() async throws(StoreFailure) -> String { try await spareID() }

    private func spareID() async throws(StoreFailure) -> String {
        if let id = state.withLock({ $0.spareIDs.popLast() }) { return id }
        let answer = try await client.send(
            .init(
                url: "/drive/v3/files/generateIds",
                query: [("count", String(Self.spareIDs)), ("space", space), ("type", "files"), ("fields", "ids")]))
        var ids = (try DriveJSON.read(answer) as DriveIDs).ids
        guard let id = ids.popLast() else { throw StoreFailure(.permanent, "Drive gives no ids") }
        state.withLock { $0.spareIDs += ids }
        return id
    }

    /// What this device wrote lately and a list does not have: each is asked for by its id, which does not lag.
    private func missed(in listed: [DriveFile], ofName path: String?) async throws(StoreFailure) -> [DriveFile] {
        let now = now()
        let (own, gone) = state.withLock { state in
            let recent = state.journal.recent(atSeconds: now)
            state.gone.formUnion(recent.filter { $0.state == .gone }.map(\.id))
            var own = recent.filter { $0.state != .gone }.map { (id: $0.id, name: $0.name) }
            if let id = state.journal.header, !own.contains(where: { $0.id == id }) {
                own.append((id, ObjectName.header.path))
            }
            return (own, state.underWay.union(state.gone))
        }
        let present = Set(listed.map(\.id))
        var missed: [DriveFile] = []
        for (id, name) in own where !present.contains(id) && !gone.contains(id) {
            guard path == nil || name == path else { continue }
            do {
                let file = try await uploads.file(id)
                if file.trashed != true { missed.append(file) }
            } catch  where error.kind == .missing {}
        }
        return missed
    }

    // MARK: Lists

    /// Every file that a query finds, each once; whole, or an error.
    private func list(_ query: String) async throws(StoreFailure) -> [DriveFile] {
        for listing in 1...Self.listingsMax {
            if let files = try await listOnce(query) { return files }
            guard listing < Self.listingsMax, !Task.isCancelled else { break }
            await backoff.wait(afterFailures: listing, asked: nil)
        }
        throw StoreFailure(.transient, "its list of files is not complete")
    }

    /// Nil if not all was searched, or the place in the list is not known any more: then it begins from the first page again.
    private func listOnce(_ query: String) async throws(StoreFailure) -> [DriveFile]? {
        var files: [String: DriveFile] = [:]
        var tokens: Set<String> = []
        var token: String?
        var byteCount = 0
        repeat {
            guard let (page, pageBytes) = try await page(query, after: token) else { return nil }
            for file in page.files { files[file.id] = file }
            byteCount += pageBytes
            token = page.nextPageToken
            // A list that does not move on would never end.
            if let token, !tokens.insert(token).inserted {
                throw StoreFailure(.permanent, "its list of files repeats itself")
            }
            guard tokens.count < Self.pagesMax, files.count <= Self.filesMax, byteCount <= Self.listBytesMax else {
                throw StoreFailure(.permanent, "its list of files is longer than any should be")
            }
        } while token != nil
        return Array(files.values)
    }

    private func page(
        _ query: String, after token: String?
    ) async throws(StoreFailure) -> (list: DriveFileList, byteCount: Int)? {
        var items = [
            ("q", query), ("spaces", space), ("pageSize", String(filesPerList)), ("fields", DriveFileList.fields),
        ]
        if let token { items.append(("pageToken", token)) }
        let answer: StoreAnswer
        do {
            answer = try await client.send(
                .init(url: "/drive/v3/files", query: items, answerBytesMax: Self.pageBytesMax))
        } catch  where token != nil && (error.kind == .permanent || error.kind == .missing) {
            return nil
        } catch  where error.kind == .missing {
            throw StoreFailure(.noPlace, "its folder in Google Drive is not there any more")
        }
        let page: DriveFileList = try DriveJSON.read(answer)
        return page.incompleteSearch == true ? nil : (page, answer.body.count)
    }

    // MARK: Folder

    /// The folder's id from an earlier run.
    var knownFolder: String? { state.withLock { $0.journal.folder } }

    func isFolder(_ id: String) {
        guard knownFolder != id else { return }
        note { state, _ in state.journal.folder = id }
    }

    /// Drive finds names whatever their case is.
    func folders(named name: String) async throws(StoreFailure) -> [DriveFile] {
        try await list(DriveQuery.folders(named: name)).filter { $0.name == name }.sorted(by: DriveFile.isEarlier)
    }
}
