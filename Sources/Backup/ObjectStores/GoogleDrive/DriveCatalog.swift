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

        mutating func forget(_ id: String, _ path: String) {
            gone.insert(id)
            let rest = known[path]?.filter { $0.id != id } ?? []
            known[path] = rest.isEmpty ? nil : rest
        }
    }

    private static let listingsMax = 3
    private static let spareIDs = 10

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

    /// Whether any folder, of which nothing else is known, has a file of that name.
    func isListed(_ path: String, in folder: String) async throws(StoreFailure) -> Bool {
        try await !list(DriveQuery.files(named: path, in: folder)).isEmpty
    }

    /// The names of all files in the folder.
    func names(in folder: String) async throws(StoreFailure) -> [String] {
        let listed = try await list(DriveQuery.files(in: folder))
        let own = try await missed(in: listed, ofName: nil)
        return state.withLock { state in
            state.known = Dictionary(
                grouping: (listed + own).filter { !state.gone.contains($0.id) }, by: { $0.name ?? "" }
            ).mapValues { $0.sorted(by: DriveFile.isEarlier) }
            state.isComplete = true
            return Array(state.known.keys)
        }
    }

    /// Copies of one content under one name that are older than a time: what lost answers and other programs left.
    func spareCopies(before seconds: UInt64, in folder: String) async throws(StoreFailure) -> [(
        path: String, file: DriveFile
    )] {
        _ = try await names(in: folder)
        let limit = HTTPTime(seconds: seconds).internetTime
        return state.withLock { $0.known }.flatMap { path, files in
            files.dropFirst().filter { file in
                file.sha256Checksum != nil && file.sha256Checksum == files.first?.sha256Checksum
                    && file.byteCount == files.first?.byteCount && (file.createdTime ?? "~") < limit
            }.map { (path, $0) }
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
        }
    }

    /// It may have come to be; the next search asks for it by its id.
    func isUncertain(_ id: String) { state.withLock { _ = $0.underWay.remove(id) } }

    func isGone(_ id: String, _ path: String) {
        note { state, now in
            state.forget(id, path)
            state.journal.note(.gone, path, id: id, atSeconds: now)
        }
    }

    /// Somebody else deleted it.
    func isMissing(_ id: String, _ path: String) { state.withLock { $0.forget(id, path) } }

    private func note(_ change: (inout State, _ now: UInt64) -> Void) {
        let now = now()
        state.withLock { state in
            change(&state, now)
            // In the order of the changes.
            notes.write(state.journal.text())
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
            (state.journal.recent(atSeconds: now), state.underWay.union(state.gone))
        }
        state.withLock { $0.gone.formUnion(own.filter { $0.state == .gone }.map(\.id)) }
        let present = Set(listed.map(\.id))
        var missed: [DriveFile] = []
        for write in own where write.state != .gone && !present.contains(write.id) && !gone.contains(write.id) {
            guard path == nil || write.name == path else { continue }
            do {
                let file = try await uploads.file(write.id)
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
        repeat {
            guard let page = try await page(query, after: token) else { return nil }
            for file in page.files { files[file.id] = file }
            token = page.nextPageToken
            // A list that does not move on would never end.
            if let token, !tokens.insert(token).inserted {
                throw StoreFailure(.permanent, "its list of files repeats itself")
            }
        } while token != nil
        return Array(files.values)
    }

    private func page(_ query: String, after token: String?) async throws(StoreFailure) -> DriveFileList? {
        var items = [
            ("q", query), ("spaces", space), ("pageSize", String(filesPerList)), ("fields", DriveFileList.fields),
        ]
        if let token { items.append(("pageToken", token)) }
        let answer: StoreAnswer
        do {
            answer = try await client.send(
                .init(url: "/drive/v3/files", query: items, answerBytesMax: 16 << 20))
        } catch  where token != nil && (error.kind == .permanent || error.kind == .missing) {
            return nil
        } catch  where error.kind == .missing {
            throw StoreFailure(.noPlace, "its folder in Google Drive is not there any more")
        }
        let page: DriveFileList = try DriveJSON.read(answer)
        return page.incompleteSearch == true ? nil : page
    }

    // MARK: Folder

    /// The folder's id from an earlier run.
    var knownFolder: String? { state.withLock { $0.journal.folder } }

    func isFolder(_ id: String?) { note { state, _ in state.journal.folder = id } }

    func folders(named name: String) async throws(StoreFailure) -> [DriveFile] {
        try await list(DriveQuery.folders(named: name)).sorted(by: DriveFile.isEarlier)
    }
}
