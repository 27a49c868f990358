import BackupEngine
import BackupFormat
import BackupSources
import ByteCoding
import Foundation

/// A store whose key is at hand: everything that can be done with the backups in it.
public struct OpenedBackup: Sendable {
    /// Where the store is.
    public let place: String
    private(set) var repository: Repository
    /// Where what is too large for the memory lies meanwhile: `$TMPDIR` or `/var/tmp`, unless a device says otherwise.
    var temporaryFolder: String {
        didSet { repository.temporaryFiles = TemporaryFiles(in: temporaryFolder) }
    }
    let key: BackupKey
    /// What a backup does not save.
    var leftOut = LeftOut.nothing
    /// Nil where nothing is known of what the store should show.
    var heads: HeadSource?
    /// Nil where nobody remembers what the store has shown.
    var seenSnapshots: SeenSnapshots?
    /// What this device backs up, as it stands in snapshots; nil where it is another one's store.
    var ownSource: String?
    /// What is deleted from the store stays as an old version, as far as this device knows.
    var keepsDeleted = false

    init(store: any ObjectStore, key: BackupKey) async throws(CofferError) {
        let repository: Repository
        do { repository = try await Repository.open(store, key: key) } catch {
            throw CofferError(error, place: store.place)
        }
        self.init(repository, key: key)
    }

    init(_ repository: Repository, key: BackupKey) {
        self.repository = repository
        self.key = key
        place = repository.store.place
        temporaryFolder = BackupSources.temporaryFolder()
        self.repository.temporaryFiles = TemporaryFiles(in: temporaryFolder)
    }

    /// Which snapshot is meant.
    public enum Selection: Sendable, Equatable {
        /// Of this device's own source; elsewhere of any folder, and only where there is none an import.
        case newest
        case number(Int)
        /// The newest of these that was complete at this time, in seconds since 1970.
        case at(UInt64)
    }

    /// Makes a snapshot of a source.
    ///
    /// - Parameters:
    ///   - copies: a folder in which encrypted copies of databases are kept, so that the next backup of a database is
    ///     smaller; nil for none.
    ///   - knownFiles: a file in which the device remembers, encrypted, which files it has backed up, so that those that look
    ///     as they did are not read again; nil for none.
    ///   - ignoringRoom: begin even if it surely does not fit into the store.
    ///   - above: the new snapshot's number is higher than this one.
    /// - Returns: also the first files with messages that a pattern left out.
    func makeSnapshot(
        of source: any BackupSource, copies: String?, knownFiles: String?, above: UInt32 = 0,
        ignoringRoom: Bool = false,
        progress: @escaping ProgressHandler
    ) async throws(CofferError) -> (report: BackupReport, messagesLeftOut: [String]) {
        let selection = try leftOut.selection()
        let source = SelectedSource(source, selection)
        func run() async throws(BackupError) -> BackupReport {
            try await Backup.run(
                source, into: repository, generator: SystemRandomNumberGenerator(), now: secondsSince1970,
                copies: copies.map { CopyFolder(path: $0) },
                knownFiles: knownFiles.map { KnownFilesFile(path: $0) }, above: above, ignoringRoom: ignoringRoom,
                report: { progress(ProgressUpdate($0)) })
        }
        do {
            let report: BackupReport
            do { report = try await run() } catch .removedMeanwhile { report = try await run() }
            return (report, source.messagesLeftOut.map { String(decoding: $0, as: UTF8.self) })
        } catch {
            throw CofferError(error, place: place)
        }
    }

    /// All readable snapshots, oldest first, and the names of those that cannot be read.
    public func snapshots() async throws(CofferError) -> (readable: [SnapshotSummary], damaged: [String]) {
        var readable: [Snapshot] = []
        var damaged: [String] = []
        for name in try await names() {
            do {
                readable.append(try await repository.snapshot(name))
            } catch {
                if case .store(let error) = error { throw CofferError(error, place: place) }
                damaged.append(ObjectName.snapshot(name).path)
            }
        }
        seenSnapshots?.note(readable)
        return (readable.map { SnapshotSummary($0) }, damaged)
    }

    /// Whether a snapshot could be restored into a folder, as far as the folder is concerned; changes nothing.
    public static func requireTarget(_ folder: String, intoExisting: Bool) throws(CofferError) {
        guard !folder.isEmpty else {
            throw CofferError(.targetFailed, "The folder to restore to has no name.", advice: "Name it.")
        }
        guard intoExisting || FolderTarget.isReady(folder) else {
            throw CofferError(FolderTargetError.notEmpty, path: folder)
        }
    }

    /// Restores a snapshot into a folder, which is made if it is not there: messages first, then recent media, then the rest.
    ///
    /// A restore that was cut goes on when it is begun again: what is there and is the same, byte for byte, is kept.
    ///
    /// - Parameters:
    ///   - intoExisting: allow a folder that holds something; what is there is kept.
    ///   - paths: the files and folders that alone are restored, each at its own path below the folder; none for everything.
    ///   - categories: what alone is restored there; none for everything.
    ///   - acceptingOlder: restore even if the store does not show the newest backup that the vaults or this device know of.
    ///     A snapshot that is asked for by its number is restored anyway.
    ///   - ignoringRoom: begin even if the files have more bytes than the folder has room for.
    ///   - saying: is told before anything is written which snapshot is taken, if the store holds more than that; the summary's notes
    ///     say it again.
    public func restore(
        _ selection: Selection = .newest, to folder: String, intoExisting: Bool = false, only paths: [String] = [],
        categories: Set<FileCategory> = [], acceptingOlder: Bool = false, ignoringRoom: Bool = false,
        saying: (String) -> Void = { _ in }, progress: @escaping ProgressHandler
    ) async throws(CofferError) -> RestoreSummary {
        var isNamed = false
        if case .number = selection { isNamed = true }
        let check = try await requireCurrent(unless: acceptingOlder || isNamed, .restore)
        var all = try await readSnapshots()
        let snapshot = try await snapshot(selection, among: &all)
        let note = try await choiceNote(selection, snapshot, among: &all)
        if let note { saying(note) }
        let index = try await index()
        let choice = try await choice(of: categories, paths, in: snapshot, index)
        // Before the folder is made.
        do { try await Restore.requirePaths(of: choice, in: snapshot, repository, index) } catch {
            throw CofferError(error, place: place)
        }
        if !ignoringRoom { try await requireRoom(for: choice, of: snapshot, index, in: folder) }
        let target: FolderTarget
        do {
            target = try FolderTarget(path: folder, intoExisting: intoExisting)
        } catch {
            throw CofferError(error, path: folder)
        }
        do {
            let report = try await Restore.run(
                snapshot, from: repository, index, choosing: choice, into: target
            ) {
                progress(ProgressUpdate($0))
            }
            return RestoreSummary(report, of: snapshot, notes: (note.map { [$0] } ?? []) + check.notes)
        } catch {
            throw CofferError(error, place: place)
        }
    }

    /// What is in the folder already, from a restore that was cut, need not be written again.
    private func requireRoom(
        for choice: RestoreChoice, of snapshot: Snapshot, _ index: ChunkIndex, in folder: String
    ) async throws(CofferError) {
        guard let free = freeBytes(near: folder), free < snapshot.totals.contentBytes else { return }
        let bytes: UInt64
        do { bytes = try await repository.bytesToRestore(choice, of: snapshot, index) } catch {
            throw CofferError(error, place: place)
        }
        let needed = bytes - min(bytes, takenBytes(below: folder))
        guard needed <= free else { throw CofferError(noRoomIn: folder, needed: needed, free: free) }
    }

    private func choice(
        of categories: Set<FileCategory>, _ paths: [String], in snapshot: Snapshot, _ index: ChunkIndex
    ) async throws(CofferError) -> RestoreChoice {
        let paths = paths.map { Array($0.utf8) }
        guard !categories.isEmpty else { return RestoreChoice(paths: paths) }
        do {
            return try await repository.choice(of: Set(categories.map(\.category)), paths: paths, in: snapshot, index)
        } catch {
            throw CofferError(error, place: place)
        }
    }

    /// Proves the newest snapshot restorable, and the newest import beside it: its structure, or every byte.
    ///
    /// - Parameters:
    ///   - deep: read every byte, and decode every database. For a database that has changed since it was stored whole, pages are kept on the disk
    ///     meanwhile, sealed.
    public func verify(deep: Bool, progress: @escaping ProgressHandler) async throws(CofferError) -> VerifySummary {
        let check = try await checkHeads()
        do {
            let report = try await Verify.run(repository, following: newestToVerify, deep: deep) {
                progress(ProgressUpdate($0))
            }
            return VerifySummary(report, deep: deep, check, in: place, scratch: temporaryFolder)
        } catch {
            throw CofferError(error, place: place)
        }
    }

    /// What a folder of a snapshot holds, or the file itself.
    public func list(
        _ path: String, of selection: Selection = .newest
    ) async throws(CofferError) -> [ListedEntry] {
        let snapshot = try await snapshot(selection)
        let index = try await index()
        do {
            let (entry, children) = try await repository.browse(snapshot, path: Array(path.utf8), index)
            if case .directory = entry.kind { return children.map(ListedEntry.init) }
            return [ListedEntry(entry)]
        } catch .read(let error) {
            throw CofferError(error, place: place)
        } catch {
            throw CofferError(
                .noSuchPath, "There is no \(path) in snapshot \(snapshot.number).",
                advice: "`coffer ls` shows what is there, from the top.")
        }
    }

    // MARK: Finding things

    func names() async throws(CofferError) -> [SnapshotName] {
        do { return try await repository.snapshotNames() } catch { throw CofferError(error, place: place) }
    }

    private func readSnapshots() async throws(CofferError) -> ReadSnapshots {
        do { return try await ReadSnapshots(repository) } catch { throw CofferError(error, place: place) }
    }

    func snapshot(_ selection: Selection) async throws(CofferError) -> Snapshot {
        var all = try await readSnapshots()
        return try await snapshot(selection, among: &all)
    }

    private func snapshot(
        _ selection: Selection, among all: inout ReadSnapshots
    ) async throws(CofferError) -> Snapshot {
        let names = all.names
        do throws(ReadError) {
            switch selection {
            case .newest:
                if let found = try await newest(among: &all) { return found }
            case .number(let number):
                let name = names.last { Int($0.number) == number }
                if let name { return try await all.snapshot(name) }
            case .at(let seconds):
                if let found = try await newest(among: &all, at: seconds) { return found }
            }
        } catch {
            throw CofferError(error, place: place)
        }
        if case .at = selection {
            throw CofferError(
                .noSnapshot, "There is no snapshot from before that time.",
                advice: "`coffer snapshots` shows which there are.")
        }
        throw CofferError(
            .noSnapshot, names.isEmpty ? "There is no backup in \(place) yet." : "There is no such snapshot.",
            advice: names.isEmpty ? "Run `coffer backup` first." : "`coffer snapshots` shows which there are.")
    }

    func index() async throws(CofferError) -> ChunkIndex {
        do { return try await repository.loadIndex().index } catch { throw CofferError(error, place: place) }
    }
}

/// The clock of this program.
@Sendable func secondsSince1970() -> UInt64 { UInt64(max(0, Date().timeIntervalSince1970)) }
