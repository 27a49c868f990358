package import BackupFormat
import ByteCoding
import Primitives

/// Reads chunks out of packs, checks each against its id, and keeps the last frames at hand, since neighbours in a
/// snapshot are neighbours in a pack. All in memory that is used again.
package struct ChunkReader {
    private struct FrameKey: Equatable {
        var pack: Int
        var frame: Int
    }

    private struct KeptFrame {
        var key: FrameKey
        var buffer: ScratchBuffer
        var count: Int
    }

    /// A frame that is read and opened beside the caller.
    private struct FrameAhead {
        let key: FrameKey
        let buffer: ScratchBuffer
        let reading: Task<Void, any Error>
    }

    /// Frames of 1 MiB: the one that is read, and those of the listings above it.
    private static let framesKeptMax = 3
    private static let framesAheadMax = 2
    private static let ciphersKeptMax = 8

    /// 16 TiB in blocks of 4 MiB. A list that names one chunk again and again must not fill the memory.
    private static let idsMax = 1 << 22

    let repository: Repository
    /// Its writer, if there is one, adds to it: two copies would take twice the memory.
    var index: ChunkIndex
    /// The one that was used last is last.
    private var frames: [KeptFrame] = []
    private var free: [ScratchBuffer] = []
    /// What is likely to be asked for next.
    private var ahead: [FrameAhead] = []
    private var lastRead = FrameKey(pack: -1, frame: -1)
    /// The frame that is opened last.
    private var opening: Task<Void, any Error>?
    private var ciphers: [(pack: Int, cipher: ObjectCipher)] = []
    private let stored = ScratchBuffer(byteCount: chunkBytesMax)
    private let decompressed = ScratchBuffer(byteCount: chunkBytesMax)
    private let decompressor = ZstandardDecompressor()

    package init(_ repository: Repository, _ index: ChunkIndex) {
        self.repository = repository
        self.index = index
    }

    /// A chunk's content, proven by its id; where a copy is damaged, from another one.
    package mutating func content(of chunk: ChunkID) async throws(ReadError) -> [UInt8] {
        Array(try await read(chunk))
    }

    /// The same in the reader's own memory, which stays as it is until the next call.
    package mutating func read(_ chunk: ChunkID) async throws(ReadError) -> UnsafeRawBufferPointer {
        var avoided: Set<Int> = []
        var failure = ReadError.missingChunk
        while let (location, pieces) = try location(of: chunk, avoiding: avoided) {
            do {
                return try await read(chunk, location, pieces, &avoided)
            } catch .damaged(let name) {
                failure = .damaged(name)
            }
        }
        throw failure
    }

    private func location(
        of chunk: ChunkID, avoiding avoided: Set<Int>
    ) throws(ReadError) -> (ChunkIndex.Location, [ChunkIndex.Piece])? {
        do { return try index.location(of: chunk, avoiding: avoided) } catch { throw .store(error) }
    }

    /// - Parameter avoided: takes up the packs that turned out to be damaged.
    private mutating func read(
        _ chunk: ChunkID, _ location: ChunkIndex.Location, _ pieces: [ChunkIndex.Piece], _ avoided: inout Set<Int>
    ) async throws(ReadError) -> UnsafeRawBufferPointer {
        let stored = try await storedForm(location, pieces, &avoided)
        let content: UnsafeRawBufferPointer
        var isSound = true
        switch location.compression {
        case .none: content = stored
        case .zstandard:
            let target = UnsafeMutableRawBufferPointer(rebasing: decompressed.bytes[..<location.contentBytes])
            do { try decompressor.decompress(stored, into: target) } catch { isSound = false }
            content = UnsafeRawBufferPointer(target)
        }
        guard isSound, constantTimeEquals(repository.keyring.chunkID(of: content).bytes, chunk.bytes) else {
            avoided.formUnion(pieces.map(\.pack))
            throw .damaged(ObjectName.pack(index.pack(pieces[0].pack).id).path)
        }
        return content
    }

    /// Where the stored form lies in one frame it is lent from there; otherwise it is put together.
    private mutating func storedForm(
        _ location: ChunkIndex.Location, _ pieces: [ChunkIndex.Piece], _ avoided: inout Set<Int>
    ) async throws(ReadError) -> UnsafeRawBufferPointer {
        var filled = 0
        for piece in pieces {
            do throws(ReadError) {
                var offset = piece.packOffset
                let end = piece.packOffset + piece.count
                while offset < end {
                    let part = try await bytes(offset..<end, ofPack: piece.pack)
                    if part.count == location.storedBytes { return part }
                    UnsafeMutableRawBufferPointer(rebasing: stored.bytes[filled..<filled + part.count])
                        .copyMemory(from: part)
                    filled += part.count
                    offset += part.count
                }
            } catch {
                avoided.insert(piece.pack)
                throw error
            }
        }
        return UnsafeRawBufferPointer(rebasing: stored.bytes[..<filled])
    }

    /// As much of a range of a pack's plaintext as lies in one frame, at least one byte.
    private mutating func bytes(
        _ range: Range<Int>, ofPack pack: Int
    ) async throws(ReadError) -> UnsafeRawBufferPointer {
        let frame = range.lowerBound / ObjectCipher.frameBytes
        let within = range.lowerBound % ObjectCipher.frameBytes
        let plaintext = try await self.frame(frame, ofPack: pack)
        let count = min(range.count, plaintext.count - within)
        guard count > 0 else { throw .damaged(ObjectName.pack(index.pack(pack).id).path) }
        return UnsafeRawBufferPointer(rebasing: plaintext[within..<within + count])
    }

    /// The ids of a list's chunks, from first to last; `zeros` stands for a block of zeros.
    package mutating func ids(of list: ChunkList) async throws(ReadError) -> [ChunkID] {
        guard list.depth > 0 else { return list.ids }
        var ids: [ChunkID] = []
        for id in list.ids {
            let run = Array(try await read(id))
            guard let inner = try? ChunkList.ids(inChunk: run) else { throw .damaged("a list of chunks") }
            ids += try await self.ids(of: ChunkList(depth: list.depth - 1, ids: inner))
            guard ids.count <= Self.idsMax else { throw .damaged("a list of chunks") }
        }
        return ids
    }

    /// What a folder holds, sorted by name.
    package mutating func entries(of listings: ChunkList) async throws(ReadError) -> [Entry] {
        var entries: [Entry] = []
        var run = ListingRun()
        for id in try await ids(of: listings) { entries += try run.entries(in: try await read(id)) }
        return entries
    }

    /// Gives back the memory of frames that will not be asked for again.
    mutating func releaseFrames() {
        frames = []
        free = []
        ahead = []
    }

    private mutating func frame(
        _ frame: Int, ofPack number: Int
    ) async throws(ReadError) -> UnsafeRawBufferPointer {
        let key = FrameKey(pack: number, frame: frame)
        if let kept = frames.firstIndex(where: { $0.key == key }) {
            let found = frames.remove(at: kept)
            frames.append(found)
            return UnsafeRawBufferPointer(rebasing: found.buffer.bytes[..<found.count])
        }
        let reading = if let begun = ahead(key) { begun } else { try begin(key) }
        // Frames that follow each other are asked for one after the other: the next ones come while this one is used.
        let isRun = lastRead == FrameKey(pack: number, frame: frame - 1)
        lastRead = key
        if isRun { try readAhead(of: key) }
        do {
            try await reading.reading.value
        } catch {
            free.append(reading.buffer)
            throw error as? ReadError ?? .damaged(ObjectName.pack(index.pack(number).id).path)
        }
        if frames.count == Self.framesKeptMax { free.append(frames.removeFirst().buffer) }
        let count = Self.plaintextBytes(of: key, in: index.pack(number))
        frames.append(KeptFrame(key: key, buffer: reading.buffer, count: count))
        return UnsafeRawBufferPointer(rebasing: reading.buffer.bytes[..<count])
    }

    private mutating func ahead(_ key: FrameKey) -> FrameAhead? {
        ahead.firstIndex { $0.key == key }.map { ahead.remove(at: $0) }
    }

    private mutating func readAhead(of key: FrameKey) throws(ReadError) {
        let end = ObjectCipher.frameCount(plaintextBytes: index.pack(key.pack).plaintextBytes)
        let next = (key.frame + 1..<max(key.frame + 1, min(key.frame + 1 + Self.framesAheadMax, end)))
            .map { FrameKey(pack: key.pack, frame: $0) }
        // What was guessed wrong is let go, with its memory, which may still be written to.
        ahead.removeAll { !next.contains($0.key) }
        for key in next where !ahead.contains(where: { $0.key == key }) { ahead.append(try begin(key)) }
    }

    private static func plaintextBytes(of key: FrameKey, in pack: ChunkIndex.Pack) -> Int {
        ObjectCipher.frameRange(key.frame, plaintextBytes: pack.plaintextBytes).count - AES256GCM.tagBytes
    }

    /// Reads and opens a frame, beside the caller.
    private mutating func begin(_ key: FrameKey) throws(ReadError) -> FrameAhead {
        let pack = index.pack(key.pack)
        let name = ObjectName.pack(pack.id)
        let range = ObjectCipher.frameRange(key.frame, plaintextBytes: pack.plaintextBytes)
        guard range.count > AES256GCM.tagBytes, let cipher = try? cipher(ofPack: key.pack)
        else { throw .damaged(name.path) }
        let buffer = free.popLast() ?? ScratchBuffer(byteCount: ObjectCipher.sealedFrameBytes)
        let store = repository.store
        let before = opening
        let reading = Task {
            let sealed = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<range.count])
            do throws(ObjectStoreError) {
                try await store.read(name, at: range.lowerBound, into: sealed)
            } catch {
                throw ReadError(error, of: name)
            }
            // One after the other, since each needs as much memory again.
            _ = await before?.result
            try cipher.openFrame(key.frame, in: sealed, plaintextBytes: pack.plaintextBytes)
        }
        opening = reading
        return FrameAhead(key: key, buffer: buffer, reading: reading)
    }

    private mutating func cipher(ofPack number: Int) throws(SealedObjectError) -> ObjectCipher {
        if let kept = ciphers.first(where: { $0.pack == number }) { return kept.cipher }
        let pack = index.pack(number)
        let cipher = try repository.cipher(Preamble(kind: .pack, epoch: pack.epoch, id: pack.id))
        if ciphers.count == Self.ciphersKeptMax { ciphers.removeFirst() }
        ciphers.append((number, cipher))
        return cipher
    }
}

/// A folder's listings, one after the other: each in order, and all of them together.
struct ListingRun {
    private var lastName: [UInt8]?

    mutating func entries(in chunk: UnsafeRawBufferPointer) throws(ReadError) -> [Entry] {
        guard let listing = try? Listing(decoding: Array(chunk)) else { throw .damaged("a folder's listing") }
        if let lastName, let first = listing.entries.first {
            guard lastName.lexicographicallyPrecedes(first.name) else { throw .damaged("a folder's listing") }
        }
        lastName = listing.entries.last?.name ?? lastName
        return listing.entries
    }
}
