import BackupEngine

/// The original pages in a journal that a crash left behind: with them in place, the database is as before the
/// transaction that was cut (SQLite file format, section 3).
struct RollbackJournal {
    private static let magic: [UInt8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]
    private static let headerBytes = 28
    private static let untilEnd: UInt32 = 0xffff_ffff

    /// Where the original of each page begins in the journal.
    private(set) var offsets: [UInt32: UInt64] = [:]
    /// The database's size before the transaction, in pages.
    private(set) var pageCount: UInt32 = 0

    /// nil if the journal rolls nothing back: it is empty, or its header was zeroed by a commit.
    init?(_ file: FileHandleOwner, pageBytes: Int) throws(SourceError) {
        var offset: UInt64 = 0
        var segments = 0
        while let header = try Header(file, at: offset, pageBytes: pageBytes) {
            if segments == 0 { pageCount = header.pageCount }
            segments += 1
            offset += UInt64(header.sectorBytes)
            let whole = try records(of: header, file, &offset, pageBytes)
            guard whole else { break }
            // The next segment begins at the next sector.
            let sector = UInt64(header.sectorBytes)
            offset = (offset + sector - 1) / sector * sector
        }
        guard segments > 0 else { return nil }
    }

    private struct Header {
        let recordCount: UInt32
        let nonce: UInt32
        let pageCount: UInt32
        let sectorBytes: Int

        init?(_ file: FileHandleOwner, at offset: UInt64, pageBytes: Int) throws(SourceError) {
            let header = try file.bytes(at: offset, count: RollbackJournal.headerBytes)
            guard header.count == RollbackJournal.headerBytes, header.starts(with: RollbackJournal.magic)
            else { return nil }
            recordCount = header.bigEndian(at: 8)
            nonce = header.bigEndian(at: 12)
            pageCount = header.bigEndian(at: 16)
            sectorBytes = Int(header.bigEndian(at: 20))
            guard (512...65_536).contains(sectorBytes), header.bigEndian(at: 24) == UInt32(pageBytes)
            else { return nil }
        }
    }

    /// - Returns: whether all records were whole; the first that is not was never synced, and nothing after it counts.
    private mutating func records(
        of header: Header, _ file: FileHandleOwner, _ offset: inout UInt64, _ pageBytes: Int
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
}
