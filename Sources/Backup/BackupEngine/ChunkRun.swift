import BackupFormat

/// Records of a `ChunkTable` on the disk: by part, and in each by id, so that one small read finds a chunk.
final class ChunkRun: Sendable {
    typealias Record = ChunkTable.Record

    /// 2.4 KB are read for a chunk.
    private static let recordsPerBucket = 100

    private let file: any DeviceFile
    /// Where each bucket begins, and where the last one ends. A bucket is what agrees in the part and in the id's first bits.
    private let starts: [UInt32]
    private let bucketBits: UInt64

    private init(_ file: any DeviceFile, starts: [UInt32], bucketBits: UInt64) {
        self.file = file
        self.starts = starts
        self.bucketBits = bucketBits
    }

    var count: Int { Int(starts.last ?? 0) }

    func find(_ key: ChunkTable.Key) throws(ObjectStoreError) -> (position: Int, record: Record)? {
        let bucket = key.part << Int(bucketBits) | Int(Self.firstBits(of: key.high, bucketBits))
        let first = Int(starts[bucket])
        let records = try records(first..<Int(starts[bucket + 1]))
        return records.firstIndex { $0.has(key) }.map { (first + $0, records[$0]) }
    }

    func records(ofPart part: Int) throws(ObjectStoreError) -> [Record] {
        try records(Int(starts[part << Int(bucketBits)])..<Int(starts[(part + 1) << Int(bucketBits)]))
    }

    private func records(_ range: Range<Int>) throws(ObjectStoreError) -> [Record] {
        var isRead = true
        let records = [Record](unsafeUninitializedCapacity: range.count) { buffer, count in
            let stride = MemoryLayout<Record>.stride
            isRead = range.isEmpty || file.read(into: .init(buffer), at: UInt64(range.lowerBound * stride))
            count = isRead ? range.count : 0
        }
        guard isRead else { throw .failed("a temporary file of this device could not be read") }
        return records
    }

    private static func firstBits(of id: UInt64, _ count: UInt64) -> UInt64 { count == 0 ? 0 : id >> (64 - count) }

    /// Writes a run, part by part.
    struct Writer {
        private let file: any DeviceFile
        private let bucketBits: UInt64
        private var starts: [UInt32] = []
        private var written: UInt32 = 0
        private var isWhole = true

        /// - Parameter count: of all records that will come.
        init?(_ files: any UnnamedFiles, count: Int) {
            guard count <= UInt32.max, let file = files.make() else { return nil }
            self.file = file
            var bucketBits: UInt64 = 0
            while (count / ChunkTable.partCount) >> Int(bucketBits) > recordsPerBucket { bucketBits += 1 }
            self.bucketBits = bucketBits
            starts.reserveCapacity(ChunkTable.partCount << Int(bucketBits) + 1)
        }

        /// Parts come in order, and all of them.
        mutating func append(_ records: [Record], part: Int) {
            let sorted = records.sorted { $0.id < $1.id }
            var next = 0
            for bucket in 0..<(1 as UInt64) << bucketBits {
                starts.append(written + UInt32(next))
                while next < sorted.count, firstBits(of: sorted[next].id, bucketBits) == bucket { next += 1 }
            }
            let offset = UInt64(written) * UInt64(MemoryLayout<Record>.stride)
            if isWhole { isWhole = sorted.withUnsafeBytes { file.write($0, at: offset) } }
            written += UInt32(sorted.count)
        }

        /// nil if not all could be written.
        consuming func finish() -> ChunkRun? {
            guard isWhole else { return nil }
            return ChunkRun(file, starts: starts + [written], bucketBits: bucketBits)
        }
    }
}
