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

/// What loading found besides the index.
package struct LoadedIndex: Sendable {
    package var index: ChunkIndex
    /// Index objects that are altered or cut, by name.
    package var damaged: [String]
    /// Packs that no readable index lists, whose footers were read instead: the listings a new index can carry.
    package var unlisted: [PackListing]
    /// What was removed on purpose.
    var removals = Removals()
    /// An index lists packs that are gone.
    var isStale = false
}

extension Repository {
    /// Reads every index; packs that none lists (a cut backup, a damaged index) are read by their own footers, and
    /// packs that are listed but gone are left out, so that the next backup stores again what was in them.
    package func loadIndex() async throws(ObjectStoreError) -> LoadedIndex {
        try await loadIndex(removals(), leavingOut: [])
    }

    /// - Parameter leftOut: packs that are taken for absent, since they are about to go.
    func loadIndex(
        _ removals: Removals, leavingOut leftOut: Set<ObjectID>
    ) async throws(ObjectStoreError) -> LoadedIndex {
        var loaded = LoadedIndex(index: ChunkIndex(of: self), damaged: [], unlisted: [], removals: removals)
        var lost: Set<ObjectID> = []
        var packs: [ObjectName] = []
        while true {
            (loaded.index, loaded.damaged) = try await readIndexes(leavingOut: leftOut.union(lost))
            // After the indexes: whatever they list was there before them.
            packs = try await store.list(.packs).sorted { $0.path < $1.path }
            let present = Set(packs)
            let absent = loaded.index.packs.map(\.id).filter { !present.contains(.pack($0)) }
            if absent.isEmpty { break }
            // Rare, and then the indexes are read again: what a lost pack hid may lie in another one.
            lost.formUnion(absent)
        }
        loaded.isStale = !lost.isEmpty
        let missed = lost.subtracting(removals.condemned).map { ObjectName.pack($0).path }
        loaded.damaged += removals.damaged + missed.sorted()
        for name in packs {
            guard case .pack(let id) = name, !loaded.index.knows(pack: id), !leftOut.contains(id) else { continue }
            var listing: PackListing?
            do { listing = try await packFooter(id) } catch  where error.isLoss { listing = nil }
            if let listing {
                loaded.unlisted.append(listing)
                try loaded.index.add(listing)
            } else {
                loaded.damaged.append(name.path)
            }
        }
        return loaded
    }

    private func readIndexes(
        leavingOut leftOut: Set<ObjectID>
    ) async throws(ObjectStoreError) -> (ChunkIndex, damaged: [String]) {
        var index = ChunkIndex(of: self)
        var damaged: [String] = []
        for name in try await store.list(.index).sorted(by: { $0.path < $1.path }) {
            guard case .index(let id) = name else { continue }
            if let object = try await readUnlessLost(name), let opened = try? openIndex(object, id: id) {
                for listing in opened.packs where !leftOut.contains(listing.pack) {
                    try index.add(listing)
                }
            } else {
                damaged.append(name.path)
            }
        }
        return (index, damaged)
    }

    /// The listings of all packs that are there, as one new index in place of these would have them.
    func presentListings(in indexes: [ObjectName]) async throws(ObjectStoreError) -> [PackListing] {
        var listings: [ObjectID: PackListing] = [:]
        for name in indexes {
            guard case .index(let id) = name, let object = try await readUnlessLost(name),
                let index = try? openIndex(object, id: id)
            else { continue }
            for listing in index.packs { listings[listing.pack] = listing }
        }
        var present: [PackListing] = []
        for name in try await store.list(.packs).sorted(by: { $0.path < $1.path }) {
            guard case .pack(let id) = name else { continue }
            var listing = listings[id]
            if listing == nil { do { listing = try await packFooter(id) } catch  where error.isLoss {} }
            if let listing { present.append(listing) }
        }
        return present
    }

    private func readUnlessLost(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8]? {
        do { return try await store.read(name) } catch  where error.isLoss { return nil }
    }

    func openIndex(_ object: [UInt8], id: ObjectID) throws -> Index {
        try Index(decodingPadded: try open(object, .index, id))
    }

    /// The plaintext of an object that is sealed under an epoch's key.
    func open(_ object: [UInt8], _ kind: ObjectKind, _ id: ObjectID) throws(SealedObjectError) -> [UInt8] {
        try cipher(try readPreamble(of: object, kind: kind, id: id)).open(object)
    }

    /// Reads a pack's footer from its last frames; nil if it is damaged.
    func packFooter(_ id: ObjectID) async throws(ObjectStoreError) -> PackListing? {
        let name = ObjectName.pack(id)
        let size = try await store.size(of: name)
        guard let plaintextBytes = ObjectCipher.plaintextBytes(objectBytes: size), plaintextBytes <= packBytesMax
        else { return nil }
        let clear = try await store.read(name, 0..<Preamble.byteCount)
        guard let preamble = try? readPreamble(of: clear, kind: .pack, id: id), let cipher = try? cipher(preamble)
        else { return nil }
        var tail: [UInt8] = []
        var wanted = PackListing.footerFixedBytes
        for frame in (0..<ObjectCipher.frameCount(plaintextBytes: plaintextBytes)).reversed() {
            let sealed = try await store.read(name, ObjectCipher.frameRange(frame, plaintextBytes: plaintextBytes))
            guard let plaintext = try? cipher.openFrame(frame, sealed, plaintextBytes: plaintextBytes)
            else { return nil }
            tail = plaintext + tail
            guard tail.count >= wanted else { continue }
            guard let bytes = try? PackListing.footerBytes(ofTail: tail, plaintextBytes: plaintextBytes)
            else { return nil }
            wanted = bytes
            if tail.count >= wanted { break }
        }
        return try? PackListing(
            pack: id, epoch: preamble.epoch, plaintextBytes: plaintextBytes, footerIn: tail)
    }

    /// The cipher of an object of this store.
    package func cipher(_ preamble: Preamble) throws(SealedObjectError) -> ObjectCipher {
        guard let key = keyring.key(ofEpoch: preamble.epoch) else { throw .notThisObject }
        do { return try ObjectCipher(preamble: preamble, key: key, store: header.store) } catch { throw .malformed }
    }
}
