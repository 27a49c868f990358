import BackupFormat
import ByteCoding
import Primitives

/// Why a backup could not be completed. Earlier snapshots are untouched in every case.
package enum BackupError: Error, Equatable, Sendable {
    case source(SourceError)
    case store(ObjectStoreError)
    /// Something in the source is beyond the format's limits (a name or an attribute that is too long).
    case unrepresentable
}

/// Takes chunks, stores each once, and fills packs with them (spec: backup format, section 5).
///
/// Sealing and writing of full packs go on beside the reading, at most `packsInFlightMax` at a time, which bounds memory.
struct ChunkWriter: ~Copyable {
    private static let packsInFlightMax = 2
    private static let zstandardLevel = 3
    private static let probeBytes = 64 << 10

    private let repository: Repository
    private let index: ChunkIndex
    private var written: Set<ChunkID> = []
    private let packBytes: Int
    private var builder: PackBuilder
    private var inFlight: [Task<PackListing, any Error>] = []
    private var listings: [PackListing]
    /// The one source of ids in a backup: a copy of it would give an id twice.
    var generator: any RandomNumberGenerator & Sendable
    private(set) var storedBytes: UInt64 = 0

    init(
        _ repository: Repository, _ loaded: LoadedIndex, generator: any RandomNumberGenerator & Sendable, packBytes: Int
    ) {
        self.repository = repository
        self.packBytes = min(max(packBytes, PackBuilder.capacityMin), packBytesMax)
        builder = PackBuilder(capacity: self.packBytes)
        self.generator = generator
        index = loaded.index
        listings = loaded.unlisted
    }

    /// Stores a chunk's content, unless it is there already.
    mutating func add(_ content: UnsafeRawBufferPointer) async throws(BackupError) -> ChunkID {
        let id = repository.keyring.chunkID(of: content)
        guard !index.contains(id), written.insert(id).inserted else { return id }
        let compressed = Self.compress(content)
        var entry = PackEntry(
            chunk: id, compression: compressed == nil ? .none : .zstandard, contentBytes: content.count,
            storedBytes: compressed?.count ?? content.count, pieceStart: 0, pieceBytes: 0)
        while entry.pieceStart < entry.storedBytes {
            let taken =
                if let compressed {
                    compressed.withUnsafeBytes { builder.append(entry, stored: $0) }
                } else {
                    builder.append(entry, stored: content)
                }
            entry.pieceStart += taken
            if builder.roomBytes == 0 { try await flush() }
        }
        return id
    }

    mutating func add(_ content: [UInt8]) async throws(BackupError) -> ChunkID {
        // The array must outlive a suspension, so its bytes are lent for as long as the call lasts.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 16)
        defer { copy.deallocate() }
        copy.copyBytes(from: content)
        return try await add(UnsafeRawBufferPointer(copy))
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
    private static func compress(_ content: UnsafeRawBufferPointer) -> [UInt8]? {
        if content.count > probeBytes {
            let middle = content.count / 2 - probeBytes / 2
            let probe = UnsafeRawBufferPointer(rebasing: content[middle..<middle + probeBytes])
            guard Zstandard.compress(probe, level: 1, lessThan: probeBytes * 31 / 32) != nil else { return nil }
        }
        return Zstandard.compress(content, level: zstandardLevel, lessThan: content.count)
    }

    /// Hands the pack over for sealing and writing and begins a new one.
    private mutating func flush() async throws(BackupError) {
        if inFlight.count >= Self.packsInFlightMax { try await completeOldest() }
        let (repository, builder) = (self.repository, self.builder)
        let id = ObjectID.random(using: &generator)
        self.builder = PackBuilder(capacity: packBytes)
        inFlight.append(Task { try await repository.write(builder, as: id) })
    }

    private mutating func completeOldest() async throws(BackupError) {
        do {
            let listing = try await inFlight.removeFirst().value
            storedBytes += UInt64(ObjectCipher.objectBytes(plaintextBytes: listing.plaintextBytes))
            listings.append(listing)
        } catch let error as ObjectStoreError {
            throw .store(error)
        } catch {
            throw .unrepresentable
        }
    }

    /// Writes what is left, then the index; after it, everything that was added can be found.
    mutating func finish() async throws(BackupError) {
        if !builder.isEmpty { try await flush() }
        while !inFlight.isEmpty { try await completeOldest() }
        guard !listings.isEmpty else { return }
        storedBytes += try await repository.writeIndex(Index(packs: listings), as: .random(using: &generator))
        listings = []
    }

    /// Waits for what is being written, so that nothing goes on behind a failed backup.
    mutating func abandon() async {
        for task in inFlight { _ = try? await task.value }
        inFlight = []
    }
}

extension Repository {
    fileprivate func write(_ builder: PackBuilder, as id: ObjectID) async throws -> PackListing {
        let plaintext = try builder.plaintext()
        let preamble = Preamble(kind: .pack, epoch: keyring.current.number, id: id)
        try await store.create(.pack(id), try cipher(preamble).seal(plaintext))
        return PackListing(
            pack: id, epoch: preamble.epoch, plaintextBytes: plaintext.count, entries: builder.entries)
    }

    /// - Returns: the object's size in bytes.
    fileprivate func writeIndex(_ index: Index, as id: ObjectID) async throws(BackupError) -> UInt64 {
        let preamble = Preamble(kind: .index, epoch: keyring.current.number, id: id)
        let object: [UInt8]
        do { object = try cipher(preamble).seal(try index.encodedAndPadded()) } catch { throw .unrepresentable }
        do { try await store.create(.index(id), object) } catch { throw .store(error) }
        return UInt64(object.count)
    }
}
