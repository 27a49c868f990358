import BackupEngine
import BackupFormat
import ByteCoding

/// How far an operation is. Totals are estimates that become better; `bytes` falls back where a file is read again.
public struct ProgressUpdate: Sendable, Equatable {
    public enum Phase: String, Sendable {
        case scanning
        case backingUp
        case restoring
        case verifying
    }

    public let phase: Phase
    public let files: Int
    public let filesTotal: Int
    /// Bytes of the person's files, read or written so far.
    public let bytes: UInt64
    public let bytesTotal: UInt64
    /// Bytes written to the store so far.
    public let storedBytes: UInt64

    init(_ progress: Progress) {
        phase = Phase(rawValue: progress.phase.rawValue) ?? .scanning
        files = progress.files
        filesTotal = progress.filesTotal
        bytes = progress.bytes
        bytesTotal = progress.bytesTotal
        storedBytes = progress.storedBytes
    }
}

public typealias ProgressHandler = @Sendable (ProgressUpdate) -> Void

/// One backup at one time.
public struct SnapshotSummary: Sendable, Equatable, Codable {
    public let number: Int
    public let id: String
    /// Seconds since 1970.
    public let began: UInt64
    public let ended: UInt64
    public let source: String
    /// What the person chose not to save, categories and patterns; the snapshot is not all that was there.
    public let leftOut: [String]
    public let files: UInt64
    public let directories: UInt64
    public let symbolicLinks: UInt64
    public let contentBytes: UInt64
    public let skippedCount: UInt64
    /// The first of what is not in it, or not in one piece.
    public let skipped: [SkippedItem]

    init(_ snapshot: Snapshot) {
        number = Int(snapshot.number)
        id = snapshot.id.hex
        began = snapshot.beganSeconds
        ended = snapshot.endedSeconds
        source = snapshot.source
        leftOut = snapshot.leftOut.split(separator: "\n").map(String.init)
        files = snapshot.totals.files
        directories = snapshot.totals.directories
        symbolicLinks = snapshot.totals.symbolicLinks
        contentBytes = snapshot.totals.contentBytes
        skippedCount = snapshot.totals.skipped
        skipped = snapshot.skipped.map(SkippedItem.init)
    }
}

/// Something in the source that a backup left out or could not read in one piece.
public struct SkippedItem: Sendable, Equatable, Codable {
    public enum Reason: String, Sendable, Codable {
        case unreadable
        case vanished
        case changedWhileRead = "changed-while-read"
        case notAFile = "not-a-file"
    }

    public let path: String
    public let reason: Reason

    init(_ skipped: Skipped) {
        path = String(decoding: skipped.path, as: UTF8.self)
        reason =
            switch skipped.reason {
            case .unreadable: .unreadable
            case .vanished: .vanished
            case .changedWhileRead: .changedWhileRead
            case .notAFile: .notAFile
            }
    }

    /// Whether the backup lacks something that a person would miss; sockets and files that were deleted are none.
    public var isLoss: Bool { reason == .unreadable || reason == .changedWhileRead }
}

/// What a backup did.
public struct BackupSummary: Sendable, Equatable, Codable {
    public let snapshot: SnapshotSummary
    /// Bytes written to the store by this backup.
    public let storedBytes: UInt64
    /// The first files with messages that a pattern left out.
    public let messagesLeftOut: [String]
    /// How many vaults know of this backup; nil where no vaults hold the key, or they are not asked.
    public let vaults: HeadAcknowledgement?
    /// What else the person should know, a sentence each.
    public let notes: [String]

    init(
        _ report: BackupReport, messagesLeftOut: [String], vaults: HeadAcknowledgement? = nil, notes: [String] = []
    ) {
        snapshot = SnapshotSummary(report.snapshot)
        storedBytes = report.storedBytes
        self.messagesLeftOut = messagesLeftOut
        self.vaults = vaults
        self.notes = notes
    }
}

/// What a restore did.
public struct RestoreSummary: Sendable, Equatable, Codable {
    public struct Missing: Sendable, Equatable, Codable {
        public let path: String
        public let reason: String
    }

    public let snapshot: SnapshotSummary
    public let files: Int
    /// Of the files those that were there already, byte for byte.
    public let filesKept: Int
    public let directories: Int
    public let symbolicLinks: Int
    public let contentBytes: UInt64
    /// What could not be restored; everything else is whole.
    public let missing: [Missing]
    /// What else the person should know, a sentence each.
    public let notes: [String]

    init(_ report: RestoreReport, of snapshot: Snapshot, notes: [String]) {
        self.notes = notes
        self.snapshot = SnapshotSummary(snapshot)
        files = report.files
        filesKept = report.filesKept
        directories = report.directories
        symbolicLinks = report.symbolicLinks
        contentBytes = report.bytes
        missing = report.missing.map { missing in
            let reason =
                switch missing.reason {
                case .damaged(.damaged(let name)): "damaged in the store (\(name))"
                case .damaged: "missing in the store"
                case .exists: "something else has that name; it was kept"
                case .refused(let detail): detail
                }
            return Missing(path: String(decoding: missing.path, as: UTF8.self), reason: reason)
        }
    }
}

/// What a verification found.
public struct VerifySummary: Sendable, Equatable, Codable {
    public let snapshots: Int
    public let files: Int
    public let chunks: Int
    public let contentBytesRead: UInt64
    public let deep: Bool
    /// What is wrong, a sentence each; empty when the backups are sound.
    public let findings: [String]
    /// Databases whose parts are all there and whole, but which this device had no room to put together.
    public let notDecoded: [String]
    /// What else the person should know, a sentence each.
    public let notes: [String]

    init(_ report: VerifyReport, deep: Bool, _ heads: OpenedBackup.HeadCheck, in place: String, scratch: String) {
        snapshots = report.snapshots
        files = report.files
        chunks = report.chunks
        contentBytesRead = report.bytesRead
        self.deep = deep
        // A damaged snapshot is among the findings already.
        var isNamed = false
        if case .damaged = heads.verdict { isNamed = true }
        let missing = isNamed ? nil : heads.verdict?.finding(in: place)
        findings = report.findings.map(Self.words) + [missing].compactMap { $0 }
        notDecoded = report.notDecoded.map { String(decoding: $0, as: UTF8.self) }
        notes =
            heads.notes
            + notDecoded.map { path in
                "\(path) was not decoded: its pages could not be kept in \(scratch), most likely for want of room. Every part of it was "
                    + "read and is whole. To have it decoded as well, make room there, or run coffer drill."
            }
    }

    private static func words(_ finding: VerifyReport.Finding) -> String {
        switch finding {
        case .copyDamaged(let name): "\(name): a copy is damaged; the other one is whole. Nothing is lost."
        case .indexDamaged(let name): "\(name): damaged; the packs' own lists replace it. Nothing is lost."
        case .packDamaged(let name): "\(name): damaged; files that need it are named below."
        case .snapshotDamaged(let name): "\(name): damaged; this snapshot cannot be restored."
        case .chainBroken(let name): "\(name): the snapshot before it is not the one it was made after."
        case .removalDamaged(let name): "\(name): damaged; backups that were removed by it look lost. Nothing else is."
        case .entryDamaged(let path, let error):
            switch error {
            case .damaged(let name): "\(String(decoding: path, as: UTF8.self)): damaged (\(name))."
            default: "\(String(decoding: path, as: UTF8.self)): a part of it is missing in the store."
            }
        }
    }
}

/// One name in a snapshot.
public struct ListedEntry: Sendable, Equatable, Codable {
    public enum Kind: String, Sendable, Codable {
        case file
        case database
        case directory
        case symbolicLink = "symbolic-link"
    }

    public let name: String
    public let kind: Kind
    public let contentBytes: UInt64
    /// Seconds since 1970.
    public let modified: Int64
    public let mode: UInt32

    init(_ entry: Entry) {
        name = String(decoding: entry.name, as: UTF8.self)
        modified = entry.metadata.modifiedSeconds
        mode = entry.metadata.mode
        switch entry.kind {
        case .file(let content):
            kind = content.form == .asIs ? .file : .database
            contentBytes = content.contentBytes
        case .directory:
            kind = .directory
            contentBytes = 0
        case .symbolicLink:
            kind = .symbolicLink
            contentBytes = 0
        }
    }
}
