import BackupFormat

/// Chunks that lie in one piece, in 24 bytes each, and most of them on the disk: a store of a million files must not fill the memory.
///
/// Open addressing in 256 parts that grow one at a time, so that growing costs little memory. When they hold too many, they become
/// a `ChunkRun`. Ids are cut to 105 bits: they are keyed hashes, so nobody without the key can make two with the same
/// beginning, and a chunk that is read is checked against its whole id.
struct ChunkTable: Sendable {
    /// Where a chunk lies, and a part of its id, in three words.
    struct Record: Sendable {
        private static let promisedPack: UInt64 = 0xff_ffff
        static let packsMax = 0xff_fffe

        /// 24 bits of the pack's number plus one, which is 0 in a free place; 24 of the offset; 16 of the id.
        private var place: UInt64 = 0
        /// 23 bits each of storedBytes − 1 and contentBytes − 1; 1 says whether it is compressed; 17 of the id.
        private var sizes: UInt64 = 0

        /// A free place.
        fileprivate init() {}

        /// - Parameter pack: below `packsMax`.
        init(pack: Int, packOffset: Int, _ entry: PackEntry) {
            place = (UInt64(clamping: pack) + 1) << 40 | UInt64(clamping: packOffset) << 16
            sizes = UInt64(clamping: entry.storedBytes - 1) << 41 | UInt64(clamping: entry.contentBytes - 1) << 18
            if entry.compression == .zstandard { sizes |= 1 << 17 }
        }

        /// Stands for a chunk that is being written. It is never read from.
        static let promised = {
            var record = Record()
            record.place = promisedPack << 40
            return record
        }()

        var isPromised: Bool { place >> 40 == Self.promisedPack }
        var pack: Int { Int(place >> 40) - 1 }
        var packOffset: Int { Int(place >> 16 & 0xff_ffff) }
        var storedBytes: Int { Int(sizes >> 41) + 1 }
        var contentBytes: Int { Int(sizes >> 18 & 0x7f_ffff) + 1 }
        var compression: Compression { sizes >> 17 & 1 == 0 ? .none : .zstandard }

        fileprivate var isEmpty: Bool { place >> 40 == 0 }
        fileprivate(set) var id: UInt64 = 0

        fileprivate mutating func take(_ key: Key) {
            id = key.high
            place |= key.middle
            sizes |= key.low
        }

        func has(_ key: Key) -> Bool {
            id == key.high && place & 0xffff == key.middle && sizes & 0x1_ffff == key.low
        }
    }

    /// Where a record lies, as long as nothing is inserted.
    enum Place {
        case memory(part: Int, position: Int)
        case run(position: Int)
    }

    static let partCount = 256

    private var parts = [[Record]](repeating: [], count: partCount)
    private var counts = [Int](repeating: 0, count: partCount)
    private var inMemory = 0
    private var run: ChunkRun?
    private let recordsInMemoryMax: Int
    /// nil: all stay in memory.
    private var files: (any UnnamedFiles)?

    init(_ files: (any UnnamedFiles)?, recordsInMemoryMax: Int) {
        self.files = files
        self.recordsInMemoryMax = recordsInMemoryMax
    }

    var count: Int { inMemory + inRun }
    var inRun: Int { run?.count ?? 0 }

    func capacity(ofPart part: Int) -> Int { parts[part].count }

    func find(_ chunk: ChunkID) throws(ObjectStoreError) -> (place: Place, record: Record)? {
        let key = Key(chunk)
        if !parts[key.part].isEmpty {
            let position = Self.position(of: key, in: parts[key.part])
            let record = parts[key.part][position]
            if !record.isEmpty { return (.memory(part: key.part, position: position), record) }
        }
        return try run?.find(key).map { (.run(position: $0.position), $0.record) }
    }

    /// False if the chunk is there already; the table is then as it was.
    mutating func insert(_ chunk: ChunkID, _ record: Record) throws(ObjectStoreError) -> Bool {
        guard try find(chunk) == nil else { return false }
        try spillIfFull()
        let key = Key(chunk)
        // An eighth is left free, or else looking for what is not there takes long.
        if (counts[key.part] + 1) * 8 > parts[key.part].count * 7 { grow(key.part) }
        let position = Self.position(of: key, in: parts[key.part])
        parts[key.part][position] = record
        parts[key.part][position].take(key)
        counts[key.part] += 1
        inMemory += 1
        return true
    }

    /// Moves the records to the disk. Where there is no room for them they stay.
    private mutating func spillIfFull() throws(ObjectStoreError) {
        guard inMemory >= recordsInMemoryMax, let files else { return }
        var writing = ChunkRun.Writer(files, count: count)
        for part in 0..<Self.partCount {
            let fresh = parts[part].filter { !$0.isEmpty }
            writing?.append(fresh + (try run?.records(ofPart: part) ?? []), part: part)
        }
        guard let written = writing?.finish() else {
            self.files = nil
            return
        }
        run = written
        parts = [[Record]](repeating: [], count: Self.partCount)
        counts = [Int](repeating: 0, count: Self.partCount)
        inMemory = 0
    }

    private mutating func grow(_ part: Int) {
        let old = parts[part]
        parts[part] = []
        var records = [Record](repeating: Record(), count: max(16, old.count + old.count / 8))
        for record in old where !record.isEmpty {
            var position = Self.home(record.id, in: records)
            while !records[position].isEmpty { position = Self.next(position, in: records) }
            records[position] = record
        }
        parts[part] = records
    }

    /// The bits of an id that are looked at.
    struct Key {
        let high: UInt64
        fileprivate let middle: UInt64
        fileprivate let low: UInt64
        let part: Int

        init(_ chunk: ChunkID) {
            let (high, rest) = chunk.bytes.withUnsafeBytes { bytes in
                (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            self.high = high
            part = Int(rest & 0xff)
            middle = rest >> 8 & 0xffff
            low = rest >> 24 & 0x1_ffff
        }
    }

    /// Where the key is, or the free place where it would be.
    private static func position(of key: Key, in records: [Record]) -> Int {
        var position = home(key.high, in: records)
        while !records[position].isEmpty, !records[position].has(key) { position = next(position, in: records) }
        return position
    }

    private static func home(_ id: UInt64, in records: [Record]) -> Int {
        Int(id.multipliedFullWidth(by: UInt64(records.count)).high)
    }

    private static func next(_ position: Int, in records: [Record]) -> Int {
        position + 1 == records.count ? 0 : position + 1
    }
}

/// One bit for each chunk of an index that lies in one piece.
struct ChunkMarks {
    private var ofParts: [PageSet]
    private var ofRun: PageSet

    init(for table: ChunkTable) {
        ofParts = (0..<ChunkTable.partCount).map { PageSet(count: table.capacity(ofPart: $0)) }
        ofRun = PageSet(count: table.inRun)
    }

    mutating func mark(_ place: ChunkTable.Place) {
        switch place {
        case .memory(let part, let position): ofParts[part].insert(position)
        case .run(let position): ofRun.insert(position)
        }
    }

    func isMarked(_ place: ChunkTable.Place) -> Bool {
        switch place {
        case .memory(let part, let position): ofParts[part].contains(position)
        case .run(let position): ofRun.contains(position)
        }
    }
}
