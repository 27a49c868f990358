package import BackupFormat
import ByteCoding

/// Where every chunk of a store lies.
///
/// What it throws means that a temporary file of this device could not be read, which says nothing about the store.
package struct ChunkIndex: Sendable {
    /// One piece of a chunk's stored form.
    package struct Piece: Sendable {
        package var pack: Int
        package var packOffset: Int
        package var start: Int
        package var count: Int
    }

    package struct Location: Sendable {
        package var compression: Compression
        package var contentBytes: Int
        package var storedBytes: Int
        package var pieces: [Piece]

        func isSameForm(as other: Location) -> Bool {
            compression == other.compression && contentBytes == other.contentBytes && storedBytes == other.storedBytes
        }

        /// Pieces in order that cover the stored form exactly once, or nil while some are missing.
        ///
        /// Pieces may overlap (a cut backup left the first half of a chunk in another cut); they are trimmed.
        package var coveringPieces: [Piece]? {
            var covered = 0
            var chosen: [Piece] = []
            for var piece in pieces.sorted(by: { ($0.start, -$0.count) < ($1.start, -$1.count) })
            where piece.start <= covered && piece.start + piece.count > covered {
                let surplus = covered - piece.start
                piece.start += surplus
                piece.packOffset += surplus
                piece.count -= surplus
                chosen.append(piece)
                covered += piece.count
            }
            return covered == storedBytes ? chosen : nil
        }
    }

    package struct Pack: Sendable {
        package var id: ObjectID
        package var epoch: UInt32
        package var plaintextBytes: Int
        /// Of all pieces, without footer and padding.
        package var pieceBytes = 0
    }

    package private(set) var packs: [Pack] = []
    private var packNumbers: [ObjectID: Int] = [:]
    /// Nearly all chunks: those that lie in one piece.
    private(set) var whole: ChunkTable
    /// Chunks that a pack's end has cut, second copies, and second stored forms: two devices may have compressed a chunk
    /// differently, and pieces of different forms do not mix.
    private var scattered: [ChunkID: [Location]] = [:]

    init(of repository: Repository) {
        whole = ChunkTable(repository.temporaryFiles, recordsInMemoryMax: repository.indexRecordsMax)
    }

    package func knows(pack: ObjectID) -> Bool { packNumbers[pack] != nil }

    /// Where a chunk lies, if it is there whole.
    ///
    /// - Parameter avoided: packs, by number, that have turned out to be damaged.
    package func location(
        of chunk: ChunkID, avoiding avoided: Set<Int> = []
    ) throws(ObjectStoreError) -> (Location, [Piece])? {
        for var location in try forms(of: chunk) {
            if !avoided.isEmpty { location.pieces.removeAll { avoided.contains($0.pack) } }
            if let pieces = location.coveringPieces { return (location, pieces) }
        }
        return nil
    }

    /// In the order of their places, so that what was written together stays together.
    func inOrder(_ chunks: Set<ChunkID>) throws(ObjectStoreError) -> [ChunkID] {
        var placed: [(chunk: ChunkID, pack: Int, offset: Int)] = []
        for chunk in chunks {
            guard let piece = try pieces(of: chunk).first else { continue }
            placed.append((chunk, piece.pack, piece.packOffset))
        }
        return placed.sorted { ($0.pack, $0.offset) < ($1.pack, $1.offset) }.map(\.chunk)
    }

    package func contains(_ chunk: ChunkID) throws(ObjectStoreError) -> Bool {
        if try whole.find(chunk) != nil { return true }
        return scattered[chunk] == nil ? false : try location(of: chunk) != nil
    }

    /// Every piece of every stored form of a chunk.
    func pieces(of chunk: ChunkID) throws(ObjectStoreError) -> [Piece] { try forms(of: chunk).flatMap(\.pieces) }

    private func forms(of chunk: ChunkID) throws(ObjectStoreError) -> [Location] {
        let others = scattered[chunk] ?? []
        guard let record = try whole.find(chunk)?.record, !record.isPromised else { return others }
        return [Location(record)] + others
    }

    package mutating func add(_ listing: PackListing) throws(ObjectStoreError) {
        guard packNumbers[listing.pack] == nil else { return }
        let number = packs.count
        packNumbers[listing.pack] = number
        packs.append(Pack(id: listing.pack, epoch: listing.epoch, plaintextBytes: listing.plaintextBytes))
        var offset = 0
        for entry in listing.entries {
            try add(entry, pack: number, packOffset: offset)
            offset += entry.pieceBytes
        }
        packs[number].pieceBytes = offset
    }

    private mutating func add(_ entry: PackEntry, pack: Int, packOffset: Int) throws(ObjectStoreError) {
        let isWhole = entry.pieceBytes == entry.storedBytes && pack < ChunkTable.Record.packsMax
        if isWhole, try whole.insert(entry.chunk, .init(pack: pack, packOffset: packOffset, entry)) { return }
        let piece = Piece(pack: pack, packOffset: packOffset, start: entry.pieceStart, count: entry.pieceBytes)
        let fresh = Location(
            compression: entry.compression, contentBytes: entry.contentBytes, storedBytes: entry.storedBytes,
            pieces: [piece])
        if let known = scattered[entry.chunk]?.firstIndex(where: { $0.isSameForm(as: fresh) }) {
            scattered[entry.chunk]?[known].pieces.append(piece)
        } else {
            scattered[entry.chunk, default: []].append(fresh)
        }
    }

    /// Notes a chunk that is on its way into a pack which has no number yet.
    ///
    /// - Returns: false if it is there already.
    mutating func promise(_ chunk: ChunkID) throws(ObjectStoreError) -> Bool {
        try contains(chunk) ? false : whole.insert(chunk, .promised)
    }

    /// The pack that pieces name by this number.
    package func pack(_ number: Int) -> Pack { packs[number] }
}

extension ChunkIndex.Location {
    fileprivate init(_ record: ChunkTable.Record) {
        self.init(
            compression: record.compression, contentBytes: record.contentBytes, storedBytes: record.storedBytes,
            pieces: [.init(pack: record.pack, packOffset: record.packOffset, start: 0, count: record.storedBytes)])
    }
}
