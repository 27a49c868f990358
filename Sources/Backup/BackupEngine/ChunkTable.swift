import BackupFormat

/// Chunks that lie in one piece, in 32 bytes each: a store of a million files must not fill the memory.
///
/// Open addressing in 256 parts that grow one at a time, so that growing costs little memory. Ids are cut to 16 bytes: they are
/// keyed hashes, so nobody without the key can make two with the same beginning, and a chunk that is read is
/// checked against its whole id.
struct ChunkTable: Sendable {
    struct Record: Sendable {
        fileprivate var high: UInt64 = 0
        fileprivate var low: UInt64 = 0
        var pack: UInt32 = 0
        var packOffset: UInt32 = 0
        var storedBytes: UInt32 = 0
        /// The top bit says whether it is compressed.
        fileprivate var contentBytesAndForm: UInt32 = 0

        init() {}

        init(pack: Int, packOffset: Int, _ entry: PackEntry) {
            self.pack = UInt32(clamping: pack)
            self.packOffset = UInt32(clamping: packOffset)
            storedBytes = UInt32(clamping: entry.storedBytes)
            contentBytesAndForm =
                UInt32(clamping: entry.contentBytes) | (entry.compression == .zstandard ? Self.compressedBit : 0)
        }

        private static let compressedBit: UInt32 = 1 << 31

        /// Stands for a chunk that is being written. It is never read from.
        static let promised = {
            var record = Record()
            record.pack = .max
            return record
        }()

        var contentBytes: Int { Int(contentBytesAndForm & ~Self.compressedBit) }
        var compression: Compression { contentBytesAndForm & Self.compressedBit == 0 ? .none : .zstandard }
        fileprivate var isEmpty: Bool { high == 0 && low == 0 }
    }

    /// Where a record lies, as long as nothing is inserted.
    struct Place {
        var part: Int
        var position: Int
    }

    private static let partCount = 256

    private var parts = [[Record]](repeating: [], count: partCount)
    private var counts = [Int](repeating: 0, count: partCount)

    var count: Int { counts.reduce(0, +) }

    func capacity(ofPart part: Int) -> Int { parts[part].count }

    subscript(place: Place) -> Record { parts[place.part][place.position] }

    func place(of chunk: ChunkID) -> Place? {
        let key = Key(chunk)
        let records = parts[key.part]
        guard !records.isEmpty else { return nil }
        let position = Self.position(of: key, in: records)
        return records[position].isEmpty ? nil : Place(part: key.part, position: position)
    }

    /// False if the chunk is there already; the table is then as it was.
    mutating func insert(_ chunk: ChunkID, _ record: Record) -> Bool {
        let key = Key(chunk)
        // An eighth is left free, or else looking for what is not there takes long.
        if (counts[key.part] + 1) * 8 > parts[key.part].count * 7 { grow(key.part) }
        let position = Self.position(of: key, in: parts[key.part])
        guard parts[key.part][position].isEmpty else { return false }
        var record = record
        record.high = key.high
        record.low = key.low
        parts[key.part][position] = record
        counts[key.part] += 1
        return true
    }

    private mutating func grow(_ part: Int) {
        let old = parts[part]
        parts[part] = []
        var records = [Record](repeating: Record(), count: max(16, old.count + old.count / 8))
        for record in old where !record.isEmpty {
            records[Self.position(of: Key(high: record.high, low: record.low), in: records)] = record
        }
        parts[part] = records
    }

    private struct Key {
        var high: UInt64
        var low: UInt64

        init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }

        init(_ chunk: ChunkID) {
            (high, low) = chunk.bytes.withUnsafeBytes { bytes in
                (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
        }

        var part: Int { Int(high & 0xff) }
    }

    /// Where the key is, or the free place where it would be.
    private static func position(of key: Key, in records: [Record]) -> Int {
        var position = Int(key.low.multipliedFullWidth(by: UInt64(records.count)).high)
        while !records[position].isEmpty, records[position].high != key.high || records[position].low != key.low {
            position = position + 1 == records.count ? 0 : position + 1
        }
        return position
    }
}

/// One bit for each chunk of an index that lies in one piece.
struct ChunkMarks {
    private var words: [[UInt64]]

    init(for table: ChunkTable) {
        words = (0..<256).map { part in [UInt64](repeating: 0, count: (table.capacity(ofPart: part) + 63) / 64) }
    }

    mutating func mark(_ place: ChunkTable.Place) {
        words[place.part][place.position / 64] |= 1 << UInt64(place.position % 64)
    }

    func isMarked(_ place: ChunkTable.Place) -> Bool {
        words[place.part][place.position / 64] & 1 << UInt64(place.position % 64) != 0
    }
}
