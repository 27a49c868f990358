import BackupFormat
import Foundation

/// The pages of a database as they are stored: those of one moment, without what is free.
struct DatabasePages {
    private let file: any DatabaseFile
    private let free: FreePages
    let pageBytes: Int
    let pageCount: Int

    /// nil if the file is not a whole number of pages, or not understood.
    init?(_ file: any DatabaseFile) throws(SourceError) {
        let pageBytes = file.pageBytes
        guard databasePageBytes.contains(pageBytes), pageBytes & (pageBytes - 1) == 0,
            file.contentBytes > 0, file.contentBytes.isMultiple(of: UInt64(pageBytes)),
            let pageCount = UInt32(exactly: file.contentBytes / UInt64(pageBytes))
        else { return nil }
        self.file = file
        self.pageBytes = pageBytes
        self.pageCount = Int(pageCount)
        guard !file.keepsFreePages else {
            free = FreePages(nonePageBytes: pageBytes, pageCount: self.pageCount)
            return
        }
        let free = try FreePages(pageBytes: pageBytes, pageCount: self.pageCount) { page throws(SourceError) in
            try file.bytes(at: UInt64(page) * UInt64(pageBytes), count: pageBytes)
        }
        guard let free else { return nil }
        self.free = free
    }

    /// Fills the front of the buffer with pages that follow each other.
    func read(_ pages: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws(SourceError) {
        let front = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(pages.count * pageBytes)])
        try file.read(into: front, at: UInt64(pages.lowerBound) * UInt64(pageBytes))
        for (place, page) in pages.enumerated() {
            free.clear(
                page, UnsafeMutableRawBufferPointer(rebasing: front[place * pageBytes..<(place + 1) * pageBytes]))
        }
    }

    /// The pages of a range of bytes; behind the end there are zeros.
    func read(bytes range: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws(SourceError) {
        let pages = range.lowerBound / pageBytes..<min(range.upperBound / pageBytes, pageCount)
        try read(pages, into: buffer)
        let end = pages.count * pageBytes
        UnsafeMutableRawBufferPointer(rebasing: buffer[end..<range.count])
            .initializeMemory(as: UInt8.self, repeating: 0)
    }
}

extension DatabaseFile {
    func bytes(at offset: UInt64, count: Int) throws(SourceError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: SourceError?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(SourceError) { try read(into: buffer, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }
}

/// Whether a buffer holds nothing but zeros: memcmp of the buffer with itself, shifted by one.
func isZero(_ buffer: UnsafeRawBufferPointer) -> Bool {
    guard let first = buffer.first else { return true }
    guard first == 0, let base = buffer.baseAddress else { return false }
    return memcmp(base, base + 1, buffer.count - 1) == 0
}

/// Whether two buffers of one length are equal.
func isEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard let leftBase = left.baseAddress, let rightBase = right.baseAddress else { return true }
    return memcmp(leftBase, rightBase, left.count) == 0
}
