import BackupEngine
import Foundation

/// The files of one database, as the file system saw them at one time.
struct DatabaseFiles {
    /// Two writes within one tick of the file system's clock leave the same time behind; ticks are at most 10 ms.
    private static let tickNanoseconds: Int64 = 50_000_000
    private static let settlingsMax = 4

    let main: FileStatus
    let log: FileStatus?
    let journal: FileStatus?
    let hasSharedMemory: Bool
    /// Whether the open file still has its name: an app may have replaced it.
    let isAtPath: Bool

    init(path: [CChar], file: Int32) throws(SourceError) {
        guard let main = FileStatus.of(file) else { throw .unreadable(systemMessage()) }
        self.main = main
        log = FileStatus.ofLink(companionPath(path, "-wal"))
        journal = FileStatus.ofLink(companionPath(path, "-journal"))
        hasSharedMemory = FileStatus.ofLink(companionPath(path, "-shm")) != nil
        let named = FileStatus.ofLink(path)
        isAtPath = named?.device == main.device && named?.inode == main.inode
    }

    /// Waits until the clock has left the tick of the last change, so that any later one can be told from it.
    func settled(path: [CChar], file: Int32) throws(SourceError) -> DatabaseFiles {
        var files = self
        for _ in 0..<Self.settlingsMax where files.changedInThisTick {
            usleep(useconds_t(Self.tickNanoseconds / 1_000))
            files = try DatabaseFiles(path: path, file: file)
        }
        return files
    }

    private var changedInThisTick: Bool {
        var now = timespec()
        guard clock_gettime(CLOCK_REALTIME, &now) == 0 else { return false }
        return [main, log, journal].contains { status in
            guard let modified = status?.modified, abs(Int64(now.tv_sec) - modified.seconds) < 2 else { return false }
            let age = (Int64(now.tv_sec) - modified.seconds) * 1_000_000_000 + Int64(now.tv_nsec)
            return abs(age - Int64(modified.nanoseconds)) < Self.tickNanoseconds
        }
    }

    /// A read transaction leaves nothing behind only where the app's own log and shared memory are there already, or in
    /// rollback mode; and there it costs a live app its next commit, so that it is asked for only when a journal shows
    /// one, or after reading without it has failed.
    func wantsLock(_ header: DatabaseHeader, mayDelayWriters: Bool) -> Bool {
        if header.usesLog || log != nil { return hasSharedMemory && log != nil }
        return (journal?.bytes ?? 0) > 0 || mayDelayWriters
    }

    /// Whether nothing that an image was read from has changed.
    ///
    /// In log mode frames may have come at the end: they are no part of the image. The caller looks at the log's header.
    func provesStillness(since before: DatabaseFiles, inLogMode: Bool) -> Bool {
        guard isAtPath, main.hasSameContent(as: before.main), same(journal, before.journal) else { return false }
        guard inLogMode, let log, let logBefore = before.log else { return same(log, before.log) }
        return log.inode == logBefore.inode && log.device == logBefore.device && log.bytes >= logBefore.bytes
    }

    private func same(_ left: FileStatus?, _ right: FileStatus?) -> Bool {
        switch (left, right) {
        case (nil, nil): true
        case (let left?, let right?): left.hasSameContent(as: right)
        default: false
        }
    }
}

/// The path of a database's companion file.
func companionPath(_ path: [CChar], _ suffix: String) -> [CChar] {
    path.dropLast() + suffix.utf8.map { CChar(bitPattern: $0) } + [0]
}

/// What lies beside a database and is folded into its image.
enum DatabaseCompanion: String, CaseIterable {
    case log = "-wal"
    case sharedMemory = "-shm"
    case journal = "-journal"

    private static let sharedMemoryRegionBytes: UInt64 = 32_768
    private static let sharedMemoryStubBytes: UInt64 = 3

    /// Whether a file is what its name says; anything else of that name is somebody's own file.
    func isGenuine(_ path: [CChar]) -> Bool {
        guard let status = FileStatus.ofLink(path), status.type == S_IFREG else { return false }
        if status.bytes == 0 { return true }
        switch self {
        case .sharedMemory:
            return status.bytes.isMultiple(of: Self.sharedMemoryRegionBytes)
                || status.bytes == Self.sharedMemoryStubBytes
        case .log:
            return begins(path, count: 4) { WriteAheadLog.isMagic($0.bigEndian(at: 0)) }
        case .journal:
            // A journal that is kept for the next transaction begins with zeros.
            return begins(path, count: RollbackJournal.magic.count) { beginning in
                beginning == RollbackJournal.magic || beginning.allSatisfy { $0 == 0 }
            }
        }
    }

    private func begins(_ path: [CChar], count: Int, _ check: ([UInt8]) -> Bool) -> Bool {
        guard let file = FileHandleOwner(path), let bytes = try? file.bytes(at: 0, count: count), bytes.count == count
        else { return false }
        return check(bytes)
    }
}
