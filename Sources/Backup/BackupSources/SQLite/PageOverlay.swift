import BackupEngine
import Foundation

/// Pages that a log or journal holds in the version that counts, and where.
struct PageOverlay {
    let pageBytes: Int
    /// The database's size in pages, or nil where the file itself says it.
    let pageCount: UInt32?
    private let companion: FileHandleOwner?
    private let offsets: [UInt32: UInt64]
    /// The log's header, or nothing.
    private let logHeader: [UInt8]

    /// Nothing: the database file is the whole truth.
    init(nothingWithPageBytes pageBytes: Int) {
        self.init(pageBytes: pageBytes, pageCount: nil, companion: nil, offsets: [:], logHeader: [])
    }

    private init(
        pageBytes: Int, pageCount: UInt32?, companion: FileHandleOwner?, offsets: [UInt32: UInt64], logHeader: [UInt8]
    ) {
        self.pageBytes = pageBytes
        self.pageCount = pageCount
        self.companion = companion
        self.offsets = offsets
        self.logHeader = logHeader
    }

    /// What lies beside the database file and counts.
    ///
    /// A journal that would be rolled back goes first, whatever the mode: the transaction that was cut may be the one
    /// that changed the mode. Under a lock there is none.
    init(path: [CChar], _ files: DatabaseFiles, _ header: DatabaseHeader, isLocked: Bool) throws(SourceError) {
        if !isLocked, files.journal != nil,
            let overlay = try PageOverlay(journal: companionPath(path, "-journal"))
        {
            self = overlay
        } else if files.log != nil {
            try self.init(log: companionPath(path, "-wal"), pageBytes: header.pageBytes)
        } else {
            self.init(nothingWithPageBytes: header.pageBytes)
        }
    }

    /// The committed pages of a write-ahead log (SQLite file format, section 4).
    private init(log path: [CChar], pageBytes: Int) throws(SourceError) {
        // Under a lock a log begins anew at most once; without one `finish` finds out.
        for _ in 0..<2 {
            guard let companion = FileHandleOwner(path), let log = try WriteAheadLog(companion, pageBytes: pageBytes)
            else { break }
            self.init(
                pageBytes: pageBytes, pageCount: log.pageCount, companion: companion, offsets: log.offsets,
                logHeader: log.header)
            if try isStillThere() { return }
        }
        self.init(nothingWithPageBytes: pageBytes)
    }

    /// The original pages of a journal that was left by a crash (SQLite file format, section 3).
    private init?(journal path: [CChar]) throws(SourceError) {
        guard let companion = FileHandleOwner(path), let journal = try RollbackJournal(companion)
        else { return nil }
        self.init(
            pageBytes: journal.pageBytes, pageCount: journal.pageCount, companion: companion,
            offsets: journal.offsets, logHeader: [])
    }

    /// Whether pages are taken from a write-ahead log.
    var isLog: Bool { !logHeader.isEmpty }

    /// Puts the pages that count in their places in a part of the image that begins at `offset`.
    func apply(to buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SourceError) {
        guard let companion, !offsets.isEmpty, !buffer.isEmpty else { return }
        let page = UInt64(pageBytes)
        let end = offset + UInt64(buffer.count)
        for index in stride(from: offset / page, through: (end - 1) / page, by: 1) {
            guard let number = UInt32(exactly: index + 1), let place = offsets[number] else { continue }
            // A block may begin or end inside a page.
            let start = index * page
            let from = max(start, offset)
            let to = min(start + page, end)
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[Int(from - offset)..<Int(to - offset)])
            try readFully(companion.file, into: part, at: off_t(place + from - start))
        }
    }

    /// Whether the log is still the one that was read: one that begins anew has other salts.
    func isStillThere() throws(SourceError) -> Bool {
        guard isLog, let companion else { return true }
        return try companion.bytes(at: 0, count: WriteAheadLog.headerBytes) == logHeader
    }
}
