package import BackupFormat
import ByteCoding
import Primitives

/// Reads chunks out of packs, checks each against its id, and keeps the last frames at hand, since neighbours in a
/// snapshot are neighbours in a pack.
package struct ChunkReader {
    private struct FrameKey: Equatable {
        var pack: Int
        var frame: Int
    }

    /// 8 frames of 1 MiB: a chunk of the largest size spans at most 9, and is read from front to back.
    private static let framesKeptMax = 8

    /// 16 TiB in blocks of 4 MiB. A list that names one chunk again and again must not fill the memory.
    private static let idsMax = 1 << 22

    private let repository: Repository
    private let index: ChunkIndex
    private var frames: [(key: FrameKey, plaintext: [UInt8])] = []
    private var ciphers: [(pack: Int, cipher: ObjectCipher)] = []

    package init(_ repository: Repository, _ index: ChunkIndex) {
        self.repository = repository
        self.index = index
    }

    /// A chunk's content, proven by its id; where a copy is damaged, from another one.
    package mutating func content(of chunk: ChunkID) async throws(ReadError) -> [UInt8] {
        var avoided: Set<Int> = []
        var failure = ReadError.missingChunk
        while let (location, pieces) = index.location(of: chunk, avoiding: avoided) {
            do {
                return try await content(of: chunk, location, pieces, &avoided)
            } catch .damaged(let name) {
                failure = .damaged(name)
            }
        }
        throw failure
    }

    /// - Parameter avoided: takes up the packs that turned out to be damaged.
    private mutating func content(
        of chunk: ChunkID, _ location: ChunkIndex.Location, _ pieces: [ChunkIndex.Piece], _ avoided: inout Set<Int>
    ) async throws(ReadError) -> [UInt8] {
        var stored: [UInt8] = []
        stored.reserveCapacity(location.storedBytes)
        for piece in pieces {
            do { try await append(piece, to: &stored) } catch {
                avoided.insert(piece.pack)
                throw error
            }
        }
        let damaged = ReadError.damaged(ObjectName.pack(index.pack(pieces[0].pack).id).path)
        let content: [UInt8]
        switch location.compression {
        case .none: content = stored
        case .zstandard:
            do {
                content = try Zstandard.decompress(stored, count: location.contentBytes)
            } catch {
                avoided.formUnion(pieces.map(\.pack))
                throw damaged
            }
        }
        let proof = content.withUnsafeBytes { repository.keyring.chunkID(of: $0) }
        guard constantTimeEquals(proof.bytes, chunk.bytes) else {
            avoided.formUnion(pieces.map(\.pack))
            throw damaged
        }
        return content
    }

    /// The ids of a list's chunks, from first to last; `zeros` stands for a block of zeros.
    package mutating func ids(of list: ChunkList) async throws(ReadError) -> [ChunkID] {
        guard list.depth > 0 else { return list.ids }
        var ids: [ChunkID] = []
        for id in list.ids {
            let run = try await content(of: id)
            guard let inner = try? ChunkList.ids(inChunk: run) else { throw .damaged("a list of chunks") }
            ids += try await self.ids(of: ChunkList(depth: list.depth - 1, ids: inner))
            guard ids.count <= Self.idsMax else { throw .damaged("a list of chunks") }
        }
        return ids
    }

    /// What a folder holds, sorted by name.
    package mutating func entries(of listings: ChunkList) async throws(ReadError) -> [Entry] {
        var entries: [Entry] = []
        for id in try await ids(of: listings) {
            let chunk = try await content(of: id)
            guard let listing = try? Listing(decoding: chunk) else { throw .damaged("a folder's listing") }
            entries += listing.entries
        }
        guard zip(entries, entries.dropFirst()).allSatisfy({ $0.name.lexicographicallyPrecedes($1.name) })
        else { throw .damaged("a folder's listing") }
        return entries
    }

    private mutating func append(_ piece: ChunkIndex.Piece, to stored: inout [UInt8]) async throws(ReadError) {
        var offset = piece.packOffset
        let end = piece.packOffset + piece.count
        while offset < end {
            let frame = offset / ObjectCipher.frameBytes
            let within = offset % ObjectCipher.frameBytes
            let plaintext = try await self.frame(frame, ofPack: piece.pack)
            let count = min(end - offset, plaintext.count - within)
            guard count > 0 else { throw .damaged(ObjectName.pack(index.pack(piece.pack).id).path) }
            stored.append(contentsOf: plaintext[within..<within + count])
            offset += count
        }
    }

    private mutating func frame(_ frame: Int, ofPack number: Int) async throws(ReadError) -> [UInt8] {
        let key = FrameKey(pack: number, frame: frame)
        if let kept = frames.first(where: { $0.key == key }) { return kept.plaintext }
        let pack = index.pack(number)
        let name = ObjectName.pack(pack.id)
        let range = ObjectCipher.frameRange(frame, plaintextBytes: pack.plaintextBytes)
        let sealed: [UInt8]
        do throws(ObjectStoreError) {
            sealed = try await repository.store.read(name, range)
        } catch {
            switch error {
            case .notFound, .truncated: throw .damaged(name.path)
            default: throw .store(error)
            }
        }
        guard let cipher = try? cipher(ofPack: number),
            let plaintext = try? cipher.openFrame(frame, sealed, plaintextBytes: pack.plaintextBytes)
        else { throw .damaged(name.path) }
        if frames.count == Self.framesKeptMax { frames.removeFirst() }
        frames.append((key, plaintext))
        return plaintext
    }

    private mutating func cipher(ofPack number: Int) throws(SealedObjectError) -> ObjectCipher {
        if let kept = ciphers.first(where: { $0.pack == number }) { return kept.cipher }
        let pack = index.pack(number)
        let cipher = try repository.cipher(Preamble(kind: .pack, epoch: pack.epoch, id: pack.id))
        if ciphers.count == Self.framesKeptMax { ciphers.removeFirst() }
        ciphers.append((number, cipher))
        return cipher
    }
}
