import BackupEngine
import Foundation

/// Pages that a log or journal holds in the version that counts, and where.
struct PageOverlay {
    let pageBytes: Int
    /// The database's size in pages, or nil where the file itself says it.
    let pageCount: UInt32?
    private let companion: FileHandleOwner?
    private let offsets: [UInt32: UInt64]
    private let salts: [UInt8]

    /// Nothing: the database file is the whole truth.
    init(nothingWithPageBytes pageBytes: Int) {
        self.init(pageBytes: pageBytes, pageCount: nil, companion: nil, offsets: [:], salts: [])
    }

    private init(
        pageBytes: Int, pageCount: UInt32?, companion: FileHandleOwner?, offsets: [UInt32: UInt64], salts: [UInt8]
    ) {
        self.pageBytes = pageBytes
        self.pageCount = pageCount
        self.companion = companion
        self.offsets = offsets
        self.salts = salts
    }

    /// The committed pages of a write-ahead log (SQLite file format, section 4).
    init(log path: [CChar], pageBytes: Int) throws(SourceError) {
        guard let companion = FileHandleOwner(path), let log = try WriteAheadLog(companion, pageBytes: pageBytes)
        else {
            self.init(nothingWithPageBytes: pageBytes)
            return
        }
        self.init(
            pageBytes: pageBytes, pageCount: log.pageCount, companion: companion, offsets: log.offsets,
            salts: log.header)
    }

    /// The original pages of a journal that was left by a crash (SQLite file format, section 3).
    init(journal path: [CChar], pageBytes: Int) throws(SourceError) {
        guard let companion = FileHandleOwner(path),
            let journal = try RollbackJournal(companion, pageBytes: pageBytes)
        else {
            self.init(nothingWithPageBytes: pageBytes)
            return
        }
        self.init(
            pageBytes: pageBytes, pageCount: journal.pageCount, companion: companion, offsets: journal.offsets,
            salts: [])
    }

    /// Puts the pages that count in their places in a part of the image that begins at `offset`.
    ///
    /// - Parameter fileEnd: up to where the database file itself filled the buffer; behind it every page must be here.
    func apply(to buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, fileEnd: UInt64) throws(SourceError) {
        guard let companion, pageBytes > 0 else { return }
        let page = UInt64(pageBytes)
        let end = offset + UInt64(buffer.count)
        for number in stride(from: offset / page, through: (end - 1) / page, by: 1) {
            let start = number * page
            guard let place = offsets[UInt32(number) + 1] else {
                if start + page > fileEnd, start + page <= end { throw .changed }
                continue
            }
            // A block may begin or end inside a page.
            let from = max(start, offset)
            let to = min(start + page, end)
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[Int(from - offset)..<Int(to - offset)])
            try readFully(companion.file, into: part, at: off_t(place + from - start))
        }
    }

    /// Whether the log is still the one that was read: a restart gives it new salts.
    func isStill(log path: [CChar]) throws(SourceError) -> Bool {
        guard !salts.isEmpty else { return true }
        guard let companion else { return true }
        return try companion.bytes(at: 0, count: WriteAheadLog.headerBytes) == salts
    }
}

/// An open file that closes itself.
final class FileHandleOwner {
    let file: Int32

    init?(_ path: [CChar]) {
        file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return nil }
    }

    deinit { close(file) }

    /// As many of the bytes as there are.
    func bytes(at offset: UInt64, count: Int) throws(SourceError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        var failure: SourceError?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(SourceError) {
                got = try readAvailable(file, into: buffer, at: off_t(offset))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return Array(bytes[..<got])
    }
}
