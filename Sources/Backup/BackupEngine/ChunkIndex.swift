package import BackupFormat
import ByteCoding

/// Where every chunk of a store lies, in memory.
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
    }

    package private(set) var packs: [Pack] = []
    private var packNumbers: [ObjectID: Int] = [:]
    private var locations: [ChunkID: Location] = [:]

    package init() {}

    package func knows(pack: ObjectID) -> Bool { packNumbers[pack] != nil }

    package var chunkCount: Int { locations.count }

    /// Where a chunk lies, if it is there whole.
    package func location(of chunk: ChunkID) -> (Location, [Piece])? {
        guard let location = locations[chunk], let pieces = location.coveringPieces else { return nil }
        return (location, pieces)
    }

    package func contains(_ chunk: ChunkID) -> Bool {
        guard let location = locations[chunk] else { return false }
        // Most chunks lie in one piece; only the others are worth a second look.
        return location.pieces[0].count == location.storedBytes || location.coveringPieces != nil
    }

    package mutating func add(_ listing: PackListing) {
        guard packNumbers[listing.pack] == nil else { return }
        let number = packs.count
        packNumbers[listing.pack] = number
        packs.append(Pack(id: listing.pack, epoch: listing.epoch, plaintextBytes: listing.plaintextBytes))
        var offset = 0
        for entry in listing.entries {
            let piece = Piece(pack: number, packOffset: offset, start: entry.pieceStart, count: entry.pieceBytes)
            offset += entry.pieceBytes
            add(piece, of: entry)
        }
    }

    private mutating func add(_ piece: Piece, of entry: PackEntry) {
        let fresh = Location(
            compression: entry.compression, contentBytes: entry.contentBytes, storedBytes: entry.storedBytes,
            pieces: [piece])
        guard let known = locations[entry.chunk] else {
            locations[entry.chunk] = fresh
            return
        }
        // Two devices may have compressed one chunk differently; pieces of different forms do not mix.
        if known.compression == fresh.compression, known.contentBytes == fresh.contentBytes,
            known.storedBytes == fresh.storedBytes
        {
            locations[entry.chunk]?.pieces.append(piece)
        } else if known.coveringPieces == nil {
            locations[entry.chunk] = fresh
        }
    }

    /// Every pack that some chunk lies in, by number.
    package func pack(_ number: Int) -> Pack { packs[number] }
}

/// What loading found besides the index.
package struct LoadedIndex: Sendable {
    package var index: ChunkIndex
    /// Index objects that are altered or cut, by name.
    package var damaged: [String]
    /// Packs that no readable index lists, whose footers were read instead: the listings a new index can carry.
    package var unlisted: [PackListing]
}

extension Repository {
    /// Reads every index; packs that none lists (a cut backup, a damaged index) are read by their own footers.
    package func loadIndex() async throws(ObjectStoreError) -> LoadedIndex {
        var loaded = LoadedIndex(index: ChunkIndex(), damaged: [], unlisted: [])
        for name in try await store.list(.index).sorted(by: { $0.path < $1.path }) {
            guard case .index(let id) = name else { continue }
            let object = try await store.read(name)
            if let index = try? openIndex(object, id: id) {
                index.packs.forEach { loaded.index.add($0) }
            } else {
                loaded.damaged.append(name.path)
            }
        }
        for name in try await store.list(.packs).sorted(by: { $0.path < $1.path }) {
            guard case .pack(let id) = name, !loaded.index.knows(pack: id) else { continue }
            guard let listing = try await packFooter(id) else {
                loaded.damaged.append(name.path)
                continue
            }
            loaded.unlisted.append(listing)
            loaded.index.add(listing)
        }
        return loaded
    }

    private func openIndex(_ object: [UInt8], id: ObjectID) throws -> Index {
        let preamble = try readPreamble(of: object, kind: .index, id: id)
        return try Index(decodingPadded: try cipher(preamble).open(object))
    }

    /// Reads a pack's footer from its last frames; nil if it is damaged.
    private func packFooter(_ id: ObjectID) async throws(ObjectStoreError) -> PackListing? {
        let name = ObjectName.pack(id)
        let size = try await store.size(of: name)
        guard let plaintextBytes = ObjectCipher.plaintextBytes(objectBytes: size), plaintextBytes <= packBytesMax
        else { return nil }
        let clear = try await store.read(name, 0..<Preamble.byteCount)
        guard let preamble = try? readPreamble(of: clear, kind: .pack, id: id), let cipher = try? cipher(preamble)
        else { return nil }
        var tail: [UInt8] = []
        for frame in (0..<ObjectCipher.frameCount(plaintextBytes: plaintextBytes)).reversed() {
            let range = ObjectCipher.frameRange(frame, plaintextBytes: plaintextBytes)
            let sealed = try await store.read(name, range)
            guard let plaintext = try? cipher.openFrame(frame, sealed, plaintextBytes: plaintextBytes)
            else { return nil }
            tail = plaintext + tail
            do throws(ByteCodingError) {
                let entries = try PackListing.footer(ofPlaintext: tail)
                return PackListing(
                    pack: id, epoch: preamble.epoch, plaintextBytes: plaintextBytes, entries: entries)
            } catch .lengthOutOfRange where frame > 0 {
                continue
            } catch {
                return nil
            }
        }
        return nil
    }

    /// The cipher of an object of this store.
    package func cipher(_ preamble: Preamble) throws(SealedObjectError) -> ObjectCipher {
        guard let key = keyring.key(ofEpoch: preamble.epoch) else { throw .notThisObject }
        do { return try ObjectCipher(preamble: preamble, key: key, store: header.store) } catch { throw .malformed }
    }
}
