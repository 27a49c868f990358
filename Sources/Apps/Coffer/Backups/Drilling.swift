import BackupEngine
import BackupFormat
import BackupSources
import Foundation

/// What a drill restored, and what it found.
public struct DrillSummary: Sendable, Equatable, Codable {
    public let snapshot: SnapshotSummary
    /// Files that came back, of all that the snapshot has.
    public let files: Int
    public let filesTotal: Int
    public let contentBytes: UInt64
    /// Databases that SQLite opened and checked.
    public let databases: Int
    /// Files that were also compared with those on this device.
    public let comparedWithSource: Int
    /// What was not looked at, a sentence each: no damage.
    public let notes: [String]
    /// What is wrong, a sentence each; empty if everything came back as it was.
    public let findings: [String]

    init(_ report: DrillReport, of snapshot: Snapshot) {
        self.snapshot = SnapshotSummary(snapshot)
        files = report.files
        filesTotal = report.filesTotal
        contentBytes = report.bytes
        databases = report.databases
        comparedWithSource = report.comparedWithSource
        notes =
            report.databasesLeftOut.map { "\(Self.text($0)): left out for its size; --sample 100% restores it too." }
            + report.unchecked.map {
                "\(Self.text($0.path)): came back as it was saved, but SQLite cannot check it here: \($0.reason)."
            }
        findings = report.findings.map(Self.words)
    }

    private static func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }

    private static func words(_ finding: DrillReport.Finding) -> String {
        switch finding {
        case .folderDamaged(let path, let error):
            "\(path.isEmpty ? "The whole backup" : text(path)): this folder cannot be read (\(error.words))."
        case .notRestored(let path, let reason): "\(text(path)): was not restored: \(reason.words)."
        case .otherContent(let path): "\(text(path)): came back with other content than was saved."
        case .otherAttributes(let path, let what): "\(text(path)): came back without \(what)."
        case .unsoundDatabase(let path, let words):
            "\(text(path)): came back as it was saved, but SQLite finds this database damaged, so it was damaged when "
                + "it was saved: \(words.first ?? "")"
        case .notAsSource(let path):
            "\(text(path)): the backup and the file on this device differ, though it has not changed since."
        }
    }
}

extension ReadError {
    var words: String {
        switch self {
        case .damaged(let name): "damaged in the store: \(name)"
        case .missingChunk, .store: "missing in the store"
        }
    }
}

extension RestoreReport.Reason {
    var words: String {
        switch self {
        case .damaged(let error): error.words
        case .exists: "something else has that name"
        case .refused(let detail): detail
        }
    }
}

extension Device {
    static let scratchFileName = "drill-scratch"

    /// Restores a random part of a snapshot to a scratch folder, looks at what came back, and removes it.
    ///
    /// - Parameters:
    ///   - backup: this device's, or another one.
    ///   - percent: the chance of each file; databases come first.
    ///   - scratch: the folder in which the scratch folder is made; nil for this device's state folder.
    ///   - isOwn: whether the files on this device are what it was made of.
    public func drill(
        _ backup: OpenedBackup, _ selection: OpenedBackup.Selection = .newest, percent: Double, scratch: String? = nil,
        isOwn: Bool, progress: @escaping ProgressHandler
    ) async throws(CofferError) -> DrillSummary {
        removeDrillRemains()
        let snapshot = try await backup.snapshot(selection)
        let index = try await backup.index()
        let folder = try scratchFolder(scratch)
        defer {
            folder.remove()
            if scratch != nil { self.folder.delete(Self.scratchFileName) }
        }
        do {
            let report = try await Drill.run(
                snapshot, from: backup.repository, index, into: folder, source: isOwn ? source(of: snapshot) : nil,
                options: Drill.Options(percent: percent), generator: SystemRandomNumberGenerator()
            ) { progress(ProgressUpdate($0)) }
            return DrillSummary(report, of: snapshot)
        } catch {
            throw CofferError(error, place: backup.place, scratch: scratch ?? self.folder.path)
        }
    }

    /// Removes what a drill that was killed left on this device.
    ///
    /// - Parameter evenInUse: also what this process itself uses: for a program that ends in the middle of a drill.
    public func removeDrillRemains(evenInUse: Bool = false) {
        ScratchFolder.removeRemains(in: folder.path, evenInUse: evenInUse)
        guard let other = notedScratch else { return }
        ScratchFolder.removeRemains(in: other, evenInUse: evenInUse)
    }

    private var notedScratch: String? {
        (try? folder.read(Self.scratchFileName)).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) }
    }

    private func source(of snapshot: Snapshot) -> (any BackupSource)? {
        guard let settings = try? enabledSettings(), settings.source == snapshot.source else { return nil }
        return try? SourceLocation(settings.source).open(without: folder)
    }

    /// Where it is elsewhere is noted, so that the next run finds it if this one is killed.
    private func scratchFolder(_ parent: String?) throws(CofferError) -> ScratchFolder {
        guard let parent else {
            try? FileManager.default.createDirectory(atPath: folder.path, withIntermediateDirectories: true)
            chmod(folder.path, 0o700)
            return try scratchFolder(in: folder.path)
        }
        let place = try StoreLocation.absolute(parent, in: FileManager.default.currentDirectoryPath)
        let scratch = try scratchFolder(in: place)
        // There is one note, and the other drill needs it as long as it is under way.
        if let other = notedScratch, other != place, ScratchFolder.isInUse(in: other) {
            throw CofferError(ScratchFolderError.inUse, path: other)
        }
        try folder.write(Self.scratchFileName, Array(place.utf8))
        return scratch
    }

    private func scratchFolder(in place: String) throws(CofferError) -> ScratchFolder {
        do { return try ScratchFolder(in: place) } catch { throw CofferError(error, path: place) }
    }
}

extension CofferError {
    fileprivate init(_ error: ScratchFolderError, path: String) {
        switch error {
        case .inUse:
            self.init(
                .targetFailed, "Another drill is under way in \(path).",
                advice: "Wait for its end.")
        case .cannotUse(let detail):
            self.init(
                .targetFailed, "A drill cannot restore to \(path): \(detail). The backup is untouched.",
                advice: "Name another folder with --scratch.")
        }
    }

    fileprivate init(_ error: DrillError, place: String, scratch: String) {
        switch error {
        case .store(let error): self.init(error, place: place)
        case .scratch(let error):
            self.init(
                .targetFailed,
                "The scratch folder in \(scratch) cannot be used: \(error.words). The backup is untouched.",
                advice: "Name another folder with --scratch.")
        case .noRoom(let needed, let free):
            self.init(
                .targetFailed,
                "The drill would restore \(needed / 1_000_000) MB, and \(scratch) has room for \(free / 1_000_000) MB. "
                    + "Nothing was restored.",
                advice: "Name another folder with --scratch, or a smaller --sample.")
        }
    }
}
