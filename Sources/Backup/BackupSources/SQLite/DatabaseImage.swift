import BackupEngine
import BackupFormat
import Foundation

/// An SQLite database as of one moment, read while the app goes on writing, without a copy and without changing it.
///
/// Pages come from the database file, or from its write-ahead log or rollback journal where these hold the committed
/// version (SQLite file format, sections 1, 3 and 4). What keeps the pages still is, in this order of preference, a
/// read transaction, or, where SQLite cannot give one without writing to the source (a crashed app's database), proof
/// that nothing was written meanwhile.
///
/// **Under a read transaction** the file of a database in rollback mode does not change. In log mode a checkpoint copies
/// no page that is newer than the transaction, so everything it copies meanwhile is in the log that was read, at places
/// that stay as they are, since a log is not begun anew under a reader. There is one exception: if all of the log was in
/// the file already, a reader holds no place in it, and a writer may begin it anew or cut it to nothing. But then the
/// file is complete, and no checkpoint may touch it as long as that reader is there; so when the log's header is found
/// changed, the file alone is the image (`read`). A writer writes the new header before the first new frame.
///
/// **Without one** the file must be unchanged from before to after, and its log too, but for frames at the end.
final class DatabaseImage: DatabaseFile {
    private static let magic = Array("SQLite format 3\u{0}".utf8)
    private static let attemptsWithoutLock = 2

    private let path: [CChar]
    private let file: Int32
    private let before: DatabaseFiles
    private let header: DatabaseHeader
    // The lock must be let go before `file` is closed: closing any descriptor of a file drops the process's locks on it.
    private var lock: ReadTransaction?
    private var overlay: PageOverlay
    private var offset: UInt64 = 0

    let contentBytes: UInt64

    /// Whether a file begins as an SQLite database does.
    static func isDatabase(_ path: [CChar]) -> Bool {
        guard let file = FileHandleOwner(path), let status = FileStatus.of(file.file), status.type == S_IFREG,
            let header = try? file.bytes(at: 0, count: DatabaseHeader.byteCount)
        else { return false }
        return header.starts(with: magic) && DatabaseHeader(header) != nil
    }

    init(path: [CChar], attempt: Int) throws(SourceError) {
        let file = Foundation.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw errno == ENOENT ? .vanished : .unreadable(systemMessage()) }
        do {
            var files = try DatabaseFiles(path: path, file: file).settled(path: path, file: file)
            let wantsLock =
                files.wantsLock(try DatabaseHeader(file: file), mayDelayWriters: attempt >= Self.attemptsWithoutLock)
            let lock = wantsLock ? ReadTransaction(path: path) : nil
            // What a lock protects is what is there once it is held.
            if lock != nil { files = try DatabaseFiles(path: path, file: file) }
            guard files.isAtPath else { throw SourceError.changed }
            let header = try DatabaseHeader(file: file)
            let overlay = try PageOverlay(path: path, files, header, isLocked: lock != nil)
            self.path = path
            self.file = file
            self.header = header
            self.lock = lock
            self.overlay = overlay
            before = files
            contentBytes = overlay.pageCount.map { UInt64($0) * UInt64(overlay.pageBytes) } ?? files.main.bytes
        } catch let error as SourceError {
            close(file)
            throw error
        } catch {
            close(file)
            throw .unreadable("\(error)")
        }
    }

    deinit {
        lock = nil
        close(file)
    }

    var form: FileForm { .sqliteImage }

    var pageBytes: Int { overlay.pageBytes }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(SourceError) {
        try read(into: buffer, at: offset)
        offset += UInt64(buffer.count)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SourceError) {
        try readMain(into: buffer, at: offset)
        if lock == nil {
            try overlay.apply(to: buffer, at: offset)
        } else {
            var failure: SourceError?
            do { try overlay.apply(to: buffer, at: offset) } catch { failure = error }
            if try !overlay.isStillThere() {
                overlay = PageOverlay(nothingWithPageBytes: overlay.pageBytes)
                try readMain(into: buffer, at: offset)
            } else if let failure {
                throw failure
            }
        }
    }

    /// As SQLite does: what lies behind the file's end and is nowhere else is zeros.
    private func readMain(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(SourceError) {
        let count = try readAvailable(file, into: buffer, at: off_t(offset))
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).initializeMemory(as: UInt8.self, repeating: 0)
    }

    func finish() throws(SourceError) {
        guard lock == nil else { return }
        let after = try DatabaseFiles(path: path, file: file)
        guard after.provesStillness(since: before, inLogMode: overlay.isLog), try overlay.isStillThere(),
            try DatabaseHeader(file: file) == header
        else { throw .changed }
    }
}

/// The fields of a database's header that a reader of pages needs (SQLite file format, section 1.3).
struct DatabaseHeader: Equatable {
    static let byteCount = 100

    let pageBytes: Int
    /// Whether commits go to a write-ahead log.
    let usesLog: Bool
    /// Every commit in rollback mode writes a new change counter here.
    private let bytes: [UInt8]

    init?(_ header: [UInt8]) {
        guard header.count == Self.byteCount else { return nil }
        let size = Int(header[16]) << 8 | Int(header[17])
        pageBytes = size == 1 ? 65_536 : size
        guard (512...65_536).contains(pageBytes), pageBytes & (pageBytes - 1) == 0 else { return nil }
        usesLog = header[18] == 2 && header[19] == 2
        bytes = header
    }

    init(file: Int32) throws(SourceError) {
        var header = [UInt8](repeating: 0, count: Self.byteCount)
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
