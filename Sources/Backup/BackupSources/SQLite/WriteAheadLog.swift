import BackupEngine

/// The frames of a write-ahead log up to its last commit (SQLite file format, section 4).
struct WriteAheadLog {
    static let headerBytes = 32
    private static let frameHeaderBytes = 24
    private static let version: UInt32 = 3_007_000
    private static let magicLittleEndianSums: UInt32 = 0x377f_0682
    private static let magicBigEndianSums: UInt32 = 0x377f_0683

    static func isMagic(_ number: UInt32) -> Bool { number == magicLittleEndianSums || number == magicBigEndianSums }

    /// Where the newest committed version of each page begins in the log.
    private(set) var offsets: [UInt32: UInt64] = [:]
    /// The database's size after the last commit, in pages.
    private(set) var pageCount: UInt32?
    /// The log's header; its salts are new whenever the log begins anew.
    let header: [UInt8]

    /// nil if there is no valid log: then the database file is the whole truth.
    init?(_ file: FileHandleOwner, pageBytes: Int) throws(SourceError) {
        header = try file.bytes(at: 0, count: Self.headerBytes)
        guard header.count == Self.headerBytes else { return nil }
        let magic = header.bigEndian(at: 0)
        guard Self.isMagic(magic), header.bigEndian(at: 4) == Self.version, header.bigEndian(at: 8) == UInt32(pageBytes)
        else { return nil }
        var sums = LogChecksum(bigEndian: magic == Self.magicBigEndianSums)
        sums.add(header[..<24])
        guard sums.matches(header, at: 24) else { return nil }
        try scan(file, pageBytes: pageBytes, &sums)
    }

    /// Frames count up to the last commit whose whole chain of checksums holds; whatever follows was never committed.
    private mutating func scan(
        _ file: FileHandleOwner, pageBytes: Int, _ sums: inout LogChecksum
    ) throws(SourceError) {
        var offset = UInt64(Self.headerBytes)
        var uncommitted: [(page: UInt32, offset: UInt64)] = []
        while true {
            let frame = try file.bytes(at: offset, count: Self.frameHeaderBytes + pageBytes)
            guard frame.count == Self.frameHeaderBytes + pageBytes, frame[8..<16] == header[16..<24] else { return }
            sums.add(frame[..<8])
            sums.add(frame[Self.frameHeaderBytes...])
            let page = frame.bigEndian(at: 0)
            guard sums.matches(frame, at: 16), page > 0 else { return }
            uncommitted.append((page, offset + UInt64(Self.frameHeaderBytes)))
            offset += UInt64(frame.count)
            let pagesAfterCommit = frame.bigEndian(at: 4)
            if pagesAfterCommit > 0 {
                for (page, place) in uncommitted { offsets[page] = place }
                uncommitted.removeAll(keepingCapacity: true)
                pageCount = pagesAfterCommit
            }
        }
    }
}

/// The running checksum of a write-ahead log: two sums over pairs of 32-bit words (SQLite file format, section 4.2).
private struct LogChecksum {
    private let bigEndian: Bool
    private var first: UInt32 = 0
    private var second: UInt32 = 0

    init(bigEndian: Bool) { self.bigEndian = bigEndian }

    /// - Parameter bytes: a multiple of 8 bytes.
    mutating func add(_ bytes: ArraySlice<UInt8>) {
        var (first, second) = (self.first, self.second)
        bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset &+ 8 <= bytes.count {
                let left = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                let right = bytes.loadUnaligned(fromByteOffset: offset &+ 4, as: UInt32.self)
                first = first &+ (bigEndian ? UInt32(bigEndian: left) : UInt32(littleEndian: left)) &+ second
                second = second &+ (bigEndian ? UInt32(bigEndian: right) : UInt32(littleEndian: right)) &+ first
                offset = offset &+ 8
            }
        }
        (self.first, self.second) = (first, second)
    }

    func matches(_ bytes: [UInt8], at offset: Int) -> Bool {
        bytes.bigEndian(at: offset) == first && bytes.bigEndian(at: offset + 4) == second
    }
}

extension [UInt8] {
    /// A 32-bit number at a place that the caller knows to be inside.
    func bigEndian(at offset: Int) -> UInt32 {
        self[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
