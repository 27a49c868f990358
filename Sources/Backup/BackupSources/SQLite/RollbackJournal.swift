import BackupEngine
import Foundation

/// The original pages in a journal that a crash left behind: with them in place, the database is as before the
/// transaction that was cut (SQLite file format, section 3).
struct RollbackJournal {
    static let magic: [UInt8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]
    private static let headerBytes = 28
    private static let untilEnd: UInt32 = 0xffff_ffff
    /// A header fills a sector; of what size, SQLite takes from the file system before it has read the first one.
    private static let firstSectorBytes = 512

    /// The page size before the transaction; a VACUUM that was cut may have changed it.
    let pageBytes: Int
    /// The database's size before the transaction, in pages.
    let pageCount: UInt32
    /// Where the original of each page begins in the journal.
    private(set) var offsets: [UInt32: UInt64] = [:]

    /// nil if the journal rolls nothing back: it is empty, its header was zeroed by a commit, or the transaction spanned
    /// several databases and was committed when its super-journal went.
    init?(_ file: FileHandleOwner) throws(SourceError) {
        guard let first = try Header(file, at: 0, sectorBytes: Self.firstSectorBytes), try !Self.wasCommitted(file)
        else { return nil }
        pageBytes = first.pageBytes
        pageCount = first.pageCount
        var offset: UInt64 = 0
        var sectorBytes = Self.firstSectorBytes
        while let header = try Header(file, at: offset, sectorBytes: sectorBytes), header.pageBytes == pageBytes {
            sectorBytes = header.sectorBytes
            let sector = UInt64(sectorBytes)
            offset += sector
            guard try records(of: header, file, &offset) else { break }
            // The next segment begins at the next sector.
            offset = (offset + sector - 1) / sector * sector
        }
    }

    private struct Header {
        let recordCount: UInt32
        let nonce: UInt32
        let pageCount: UInt32
        let sectorBytes: Int
        let pageBytes: Int

        /// Nil also if the file ends before its sector does: it was not written whole, and nothing rests on it.
        init?(_ file: FileHandleOwner, at offset: UInt64, sectorBytes: Int) throws(SourceError) {
            guard let status = FileStatus.of(file.file), offset + UInt64(sectorBytes) <= status.bytes else {
                return nil
            }
            let header = try file.bytes(at: offset, count: RollbackJournal.headerBytes)
            guard header.count == RollbackJournal.headerBytes, header.starts(with: RollbackJournal.magic)
            else { return nil }
            recordCount = header.bigEndian(at: 8)
            nonce = header.bigEndian(at: 12)
            pageCount = header.bigEndian(at: 16)
            self.sectorBytes = Int(header.bigEndian(at: 20))
            pageBytes = Int(header.bigEndian(at: 24))
            guard (32...65_536).contains(self.sectorBytes), self.sectorBytes & (self.sectorBytes - 1) == 0,
                (512...65_536).contains(pageBytes), pageBytes & (pageBytes - 1) == 0
            else { return nil }
        }
    }

    /// - Returns: whether all records were whole; the first that is not was never synced, and nothing after it counts.
    private mutating func records(
        of header: Header, _ file: FileHandleOwner, _ offset: inout UInt64
    ) throws(SourceError) -> Bool {
        var left = header.recordCount
        while left > 0 {
            let record = try file.bytes(at: offset, count: pageBytes + 8)
            guard record.count == pageBytes + 8 else { return header.recordCount == Self.untilEnd }
            let page = record.bigEndian(at: 0)
            let sum = stride(from: pageBytes - 200, to: 0, by: -200).reduce(header.nonce) { sum, place in
                sum &+ UInt32(record[4 + place])
            }
            guard page > 0, record.bigEndian(at: 4 + pageBytes) == sum else { return false }
            // The first original of a page is the one from before the transaction.
            if offsets[page] == nil { offsets[page] = offset + 4 }
            offset += UInt64(record.count)
            left -= 1
        }
        return true
    }

    /// Whether the journal ends with the name of a super-journal that is gone.
    private static func wasCommitted(_ file: FileHandleOwner) throws(SourceError) -> Bool {
        guard let status = FileStatus.of(file.file), status.bytes > 16 else { return false }
        let tail = try file.bytes(at: status.bytes - 16, count: 16)
        guard tail.count == 16, tail[8...].elementsEqual(magic) else { return false }
        let count = UInt64(tail.bigEndian(at: 0))
        guard (1...UInt64(PATH_MAX)).contains(count), count + 16 <= status.bytes else { return false }
        let name = try file.bytes(at: status.bytes - 16 - count, count: Int(count))
        let sum = name.reduce(UInt32(0)) { $0 &+ UInt32(bitPattern: Int32(Int8(bitPattern: $1))) }
        guard name.count == Int(count), sum == tail.bigEndian(at: 4) else { return false }
        return FileStatus.ofLink(systemPath(name)) == nil
    }
}
