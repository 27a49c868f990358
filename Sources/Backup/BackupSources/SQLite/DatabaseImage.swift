import BackupEngine
import BackupFormat
import Foundation

/// An SQLite database as of one moment, read while the app goes on writing, without a copy and without changing it.
///
/// Pages come from the database file, or from its write-ahead log or rollback journal where these hold the committed
/// version (SQLite file format, sections 1, 3 and 4). What keeps the pages still is, in this order of preference:
/// a read transaction (a checkpoint never passes a reader, and a log is never restarted under one), or, where SQLite
/// cannot give one without writing to the source (a crashed app's database), proof that nothing was written meanwhile.
final class DatabaseImage: SourceFile {
    private static let magic = Array("SQLite format 3\u{0}".utf8)
    private static let attemptsWithoutLock = 2

    private let path: [CChar]
    private let file: Int32
    private let overlay: PageOverlay
    private let before: Companions
    // The lock must be let go before `file` is closed: closing any descriptor of a file drops the process's locks on it.
    private var lock: ReadTransaction?
    private let holdsLog: Bool
    private var offset: UInt64 = 0

    /// Whether a file begins as an SQLite database does.
    static func isDatabase(_ path: [CChar]) -> Bool {
        let file = Foundation.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        var header = [UInt8](repeating: 0, count: 100)
        let count = header.withUnsafeMutableBytes { try? readAvailable(file, into: $0, at: 0) }
        return count == header.count && header.starts(with: magic) && DatabaseHeader(header) != nil
    }

    init(path: [CChar], attempt: Int) throws(SourceError) {
        self.path = path
        let file = Foundation.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw errno == ENOENT ? .vanished : .unreadable(systemMessage()) }
        do {
            let header = try DatabaseHeader(file: file)
            let companions = try Companions(path: path, file: file)
            let wantsLock = companions.wantsLock(header) || attempt >= Self.attemptsWithoutLock
            let lock = wantsLock ? ReadTransaction(path: path) : nil
            // What a lock protects is what is there once it is held.
            before = lock == nil ? companions : try Companions(path: path, file: file)
            overlay =
                if header.usesLog {
                    try PageOverlay(log: companionPath(path, "-wal"), pageBytes: header.pageBytes)
                } else if lock == nil {
                    try PageOverlay(journal: companionPath(path, "-journal"), pageBytes: header.pageBytes)
                } else {
                    PageOverlay(nothingWithPageBytes: header.pageBytes)
                }
            holdsLog = header.usesLog
            self.lock = lock
            self.file = file
        } catch {
            close(file)
            throw error
        }
    }

    deinit {
        lock = nil
        close(file)
    }

    var form: FileForm { .sqliteImage }

    var contentBytes: UInt64 {
        overlay.pageCount.map { UInt64($0) * UInt64(overlay.pageBytes) } ?? before.main.bytes
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(SourceError) {
        let count = try readAvailable(file, into: buffer, at: off_t(offset))
        // Pages beyond the file's end are in the log.
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).initializeMemory(as: UInt8.self, repeating: 0)
        try overlay.apply(to: buffer, at: offset, fileEnd: offset + UInt64(count))
        offset += UInt64(buffer.count)
    }

    func finish() throws(SourceError) {
        if lock != nil {
            // Under a read transaction only a restarted log can have moved pages, and then its salts are others.
            if holdsLog, try !overlay.isStill(log: companionPath(path, "-wal")) { throw .changed }
        } else {
            guard try Companions(path: path, file: file) == before else { throw .changed }
        }
    }
}

/// The fields of a database's header that a reader of pages needs (SQLite file format, section 1.3).
struct DatabaseHeader {
    let pageBytes: Int
    /// Whether commits go to a write-ahead log.
    let usesLog: Bool

    init?(_ header: [UInt8]) {
        let size = Int(header[16]) << 8 | Int(header[17])
        pageBytes = size == 1 ? 65_536 : size
        guard (512...65_536).contains(pageBytes), pageBytes & (pageBytes - 1) == 0 else { return nil }
        usesLog = header[18] == 2 && header[19] == 2
    }

    init(file: Int32) throws(SourceError) {
        var header = [UInt8](repeating: 0, count: 100)
        let failure = header.withUnsafeMutableBytes { buffer -> SourceError? in
            do throws(SourceError) {
                try readFully(file, into: buffer, at: 0)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        guard let parsed = DatabaseHeader(header) else { throw .changed }
        self = parsed
    }
}

/// The files of one database, as the file system saw them at one time.
private struct Companions: Equatable {
    let main: FileStatus
    let log: FileStatus?
    let journal: FileStatus?
    let hasSharedMemory: Bool

    init(path: [CChar], file: Int32) throws(SourceError) {
        guard let main = FileStatus.of(file) else { throw .unreadable(systemMessage()) }
        self.main = main
        log = FileStatus.ofLink(companionPath(path, "-wal"))
        journal = FileStatus.ofLink(companionPath(path, "-journal"))
        hasSharedMemory = FileStatus.ofLink(companionPath(path, "-shm")) != nil
    }

    /// A read transaction writes to nothing only where an app's own shared memory is there already, or where there is no
    /// log; and it costs a live app in rollback mode its next commit, so it is asked for only when a journal shows one.
    func wantsLock(_ header: DatabaseHeader) -> Bool {
        header.usesLog ? hasSharedMemory : (journal?.bytes ?? 0) > 0
    }

    static func == (left: Companions, right: Companions) -> Bool {
        left.main.hasSameContent(as: right.main) && same(left.log, right.log) && same(left.journal, right.journal)
    }

    private static func same(_ left: FileStatus?, _ right: FileStatus?) -> Bool {
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
