import BackupFormat
import ByteCoding
import Primitives

/// Why a backup could not be completed. Earlier snapshots are untouched in every case.
package enum BackupError: Error, Equatable, Sendable {
    case source(SourceError)
    case store(ObjectStoreError)
    /// Something in the source is beyond the format's limits (a name or an attribute that is too long).
    case unrepresentable
    /// Another device named packs to be removed while this backup ran. Begin again: what was uploaded is found.
    case removedMeanwhile
    /// It surely does not fit into the store; nothing was written.
    case noRoom(neededBytes: UInt64, freeBytes: UInt64)
}

/// Takes chunks, stores each once, and fills packs with them (spec: backup format, section 5).
///
/// Sealing and writing go on beside the reading, frame by frame (`PackUpload`), in buffers that are used again.
struct ChunkWriter: ~Copyable {
    private static let zstandardLevel = 1
    private static let probeBytes = 64 << 10
    private let repository: Repository
    /// Reads what was there before, by the one index.
    var reader: ChunkReader
    private let packBytes: Int
    private let compressor = ZstandardCompressor()
    private let compressed = ScratchBuffer(byteCount: chunkBytesMax)
    private let frames = FramePool()
    private var pack: PackUpload
    private var uploads: [PackUpload] = []
    private var listings: [PackListing]
    /// The one source of ids in a backup: a copy of it would give an id twice.
    var generator: any RandomNumberGenerator & Sendable
    private(set) var storedBytes: UInt64 = 0
    /// How many packs are full, be they in the store or on their way into it.
    private(set) var packCount = 0

    init(
        _ repository: Repository, _ loaded: consuming LoadedIndex, generator: any RandomNumberGenerator & Sendable,
        packBytes: Int
    ) {
        self.repository = repository
        self.packBytes = min(max(packBytes, PackLayout.capacityMin), packBytesMax)
        self.generator = generator
        listings = loaded.unlisted
        reader = ChunkReader(repository, loaded.index)
        pack = PackUpload(repository, id: .random(using: &self.generator), capacity: self.packBytes, frames)
    }

    /// Whether a chunk is in the store, or on its way into it.
    func has(_ chunk: ChunkID) throws(BackupError) -> Bool {
        do { return try reader.index.contains(chunk) } catch { throw .store(error) }
    }

    /// Stores a chunk's content, unless it is there already.
    mutating func add(_ content: UnsafeRawBufferPointer) async throws(BackupError) -> ChunkID {
        guard !Task.isCancelled else { throw .store(.cancelled) }
        let id = repository.keyring.chunkID(of: content)
        do throws(ObjectStoreError) {
            guard try reader.index.promise(id) else { return id }
        } catch {
            throw .store(error)
        }
        let compressed = compress(content)
        let stored = compressed ?? content
        var entry = PackEntry(
            chunk: id, compression: compressed == nil ? .none : .zstandard, contentBytes: content.count,
            storedBytes: stored.count, pieceStart: 0, pieceBytes: 0)
        while entry.pieceStart < entry.storedBytes {
            do { entry.pieceStart += try await pack.append(entry, stored: stored) } catch { throw .unrepresentable }
            if pack.roomBytes == 0 { try await flush() }
        }
        return id
    }

    mutating func add(_ content: [UInt8]) async throws(BackupError) -> ChunkID {
        // The array must outlive a suspension, so its bytes are lent for as long as the call lasts.
        let copy = ScratchBuffer(byteCount: content.count)
        copy.bytes.copyBytes(from: content)
        return try await add(UnsafeRawBufferPointer(copy.bytes))
    }

    /// Stores long lists as chunks of ids, as deep as it takes (section 7).
    mutating func addList(of ids: [ChunkID]) async throws(BackupError) -> ChunkList {
        var list = ChunkList(depth: 0, ids: ids)
        while list.ids.count > ChunkList.idsPerEntryMax {
            guard list.depth < ChunkList.depthMax else { throw .unrepresentable }
            var parents: [ChunkID] = []
            for start in stride(from: 0, to: list.ids.count, by: ChunkList.idsPerChunkMax) {
                let run = list.ids[start..<min(start + ChunkList.idsPerChunkMax, list.ids.count)]
                parents.append(try await add(run.flatMap(\.bytes)))
            }
            list = ChunkList(depth: list.depth + 1, ids: parents)
        }
        return list
    }

    /// Compresses what a probe says compresses: photos and films do not, and trying costs more than anything else.
    ///
    /// - Returns: bytes that stay as they are until the next chunk.
    private func compress(_ content: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        if content.count > Self.probeBytes {
            let middle = content.count / 2 - Self.probeBytes / 2
            let probe = UnsafeRawBufferPointer(rebasing: content[middle..<middle + Self.probeBytes])
            guard compress(probe, lessThan: Self.probeBytes * 31 / 32) != nil else { return nil }
        }
        return compress(content, lessThan: content.count)
    }

    private func compress(_ content: UnsafeRawBufferPointer, lessThan limit: Int) -> UnsafeRawBufferPointer? {
        guard limit > 1 else { return nil }
        let target = UnsafeMutableRawBufferPointer(rebasing: compressed.bytes[..<(limit - 1)])
        guard let count = compressor.compress(content, level: Self.zstandardLevel, into: target) else { return nil }
        return UnsafeRawBufferPointer(rebasing: target[..<count])
    }

    /// Completes the pack, which goes on beside what follows, and begins a new one.
    private mutating func flush() async throws(BackupError) {
        let full = pack
        pack = PackUpload(repository, id: .random(using: &generator), capacity: packBytes, frames)
        uploads.append(full)
        packCount += 1
        do { try await full.complete() } catch { throw .store(error) }
        // While some are made durable, the next one is written.
        while uploads.count > repository.store.uploadsAtOnce { try await finishOldest() }
    }

    private mutating func finishOldest() async throws(BackupError) {
        do {
            let listing = try await uploads[0].listing()
            uploads.removeFirst()
            storedBytes += UInt64(ObjectCipher.objectBytes(plaintextBytes: listing.plaintextBytes))
            listings.append(listing)
        } catch {
            throw .store(error)
        }
        if listings.reduce(0, { $0 + $1.entries.count }) >= Repository.entriesPerIndexMax { try await writeIndex() }
    }

    /// Writes what is left, then the index; after it, everything that was added can be found.
    mutating func finish() async throws(BackupError) {
        if !pack.isEmpty { try await flush() }
        while !uploads.isEmpty { try await finishOldest() }
        if !listings.isEmpty { try await writeIndex() }
    }

    private mutating func writeIndex() async throws(BackupError) {
        storedBytes += try await repository.writeIndex(Index(packs: listings), as: .random(using: &generator))
        listings = []
    }

    /// Stops what is being written, so that nothing goes on behind a failed backup.
    mutating func abandon() async {
        // All at once, and not one after the other has ended.
        for upload in uploads { upload.cancel() }
        for upload in uploads { await upload.abandon() }
        await pack.abandon()
        uploads = []
    }
}

extension Repository {
    /// An index is written whenever this many entries have gathered, so that a long backup neither gathers them all nor loses
    /// sight of its packs when it is cut, and so that whoever reads an index needs little memory.
    static let entriesPerIndexMax = 16_384

    /// Indexes of all these packs.
    func writeIndexes(
        of listings: [PackListing], using generator: inout any RandomNumberGenerator & Sendable
    ) async throws(BackupError) {
        var part: [PackListing] = []
        var entries = 0
        for listing in listings {
            part.append(listing)
            entries += listing.entries.count
            guard entries >= Self.entriesPerIndexMax else { continue }
            _ = try await writeIndex(Index(packs: part), as: .random(using: &generator))
            (part, entries) = ([], 0)
        }
        if !part.isEmpty { _ = try await writeIndex(Index(packs: part), as: .random(using: &generator)) }
    }

    /// - Returns: the object's size in bytes.
    func writeIndex(_ index: Index, as id: ObjectID) async throws(BackupError) -> UInt64 {
        let preamble = Preamble(kind: .index, epoch: keyring.current.number, id: id)
        let object: [UInt8]
        do { object = try cipher(preamble).seal(try index.encodedAndPadded()) } catch { throw .unrepresentable }
        do { try await store.create(.index(id), object) } catch { throw .store(error) }
        return UInt64(object.count)
    }
}
