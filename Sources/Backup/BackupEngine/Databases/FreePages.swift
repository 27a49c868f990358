import BackupFormat
import ByteCoding

/// The free pages of an SQLite database: they can hold what was deleted, so their content is not kept (spec: backup format,
/// section 8; SQLite file format, sections 1.3 and 1.5).
struct FreePages {
    private static let magic = Array("SQLite format 3\u{0}".utf8)
    private static let headerBytes = 100
    private static let trunkHeaderBytes = 8

    private let pageBytes: Int
    /// Their whole content is free.
    private var leaves: PageSet
    /// Behind their list of leaves they are free.
    private var trunks: PageSet

    /// No page counts as free.
    init(nonePageBytes pageBytes: Int, pageCount: Int) {
        self.pageBytes = pageBytes
        leaves = PageSet(count: pageCount)
        trunks = PageSet(count: pageCount)
    }

    /// nil if the database is none that this code understands: then no byte of it is left out.
    ///
    /// - Parameter read: the bytes of a page, counted from 0.
    init?(
        pageBytes: Int, pageCount: Int, read: (Int) throws(SourceError) -> [UInt8]
    ) throws(SourceError) {
        self.pageBytes = pageBytes
        leaves = PageSet(count: pageCount)
        trunks = PageSet(count: pageCount)
        let header = try read(0)
        guard header.count >= Self.headerBytes, header.starts(with: Self.magic),
            Self.pageBytes(inHeader: header) == pageBytes
        else { return nil }
        // What is reserved may be a checksum of the page, which zeros would break.
        guard header[20] == 0 else { return }
        var next = Self.number(header, 32)
        var left = Self.number(header, 36)
        while next != 0 {
            guard left > 0, let trunk = Self.index(next, of: pageCount), !isFree(trunk) else { return nil }
            trunks.insert(trunk)
            let page = try read(trunk)
            let leafCount = Self.number(page, 4)
            guard leafCount < left, leafCount <= pageBytes / 4 - 2 else { return nil }
            for leaf in 0..<leafCount {
                guard let leaf = Self.index(Self.number(page, Self.trunkHeaderBytes + 4 * leaf), of: pageCount),
                    !isFree(leaf)
                else { return nil }
                leaves.insert(leaf)
            }
            left -= leafCount + 1
            next = Self.number(page, 0)
        }
        guard left == 0 else { return nil }
    }

    private func isFree(_ page: Int) -> Bool { leaves.contains(page) || trunks.contains(page) }

    /// Overwrites what is free in a page with zeros.
    func clear(_ page: Int, _ bytes: UnsafeMutableRawBufferPointer) {
        let kept: Int
        if leaves.contains(page) {
            kept = 0
        } else if trunks.contains(page) {
            let leafCount = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
            kept = min(pageBytes, Self.trunkHeaderBytes + 4 * leafCount)
        } else {
            return
        }
        UnsafeMutableRawBufferPointer(rebasing: bytes[kept...]).initializeMemory(as: UInt8.self, repeating: 0)
    }

    private static func pageBytes(inHeader header: [UInt8]) -> Int {
        let size = Int(header[16]) << 8 | Int(header[17])
        return size == 1 ? 65_536 : size
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> Int {
        bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
    }

    /// Pages count from 1 in a database; the first is never free.
    private static func index(_ number: Int, of pageCount: Int) -> Int? {
        (2...max(2, pageCount)).contains(number) && number <= pageCount ? number - 1 : nil
    }
}
