import BackupFormat
import ByteCoding
import Primitives

/// Reads packs whole and proves each by itself: every frame by its seal, the footer, and every chunk that lies in it whole by its id.
struct PackProver {
    private let repository: Repository
    private let plaintext = ScratchBuffer(byteCount: packBytesMax)
    private let frame = ScratchBuffer(byteCount: ObjectCipher.sealedFrameBytes)
    private let decompressed = ScratchBuffer(byteCount: chunkBytesMax)
    private let decompressor = ZstandardDecompressor()

    init(_ repository: Repository) { self.repository = repository }

    /// Whether all of a pack is as it was written. Throws if the store cannot be read, which says nothing about the pack.
    func isSound(_ pack: ChunkIndex.Pack) async throws(ObjectStoreError) -> Bool {
        do throws(ReadError) {
            try await open(pack)
            let listing = try footer(of: pack)
            var offset = 0
            for entry in listing.entries {
                try prove(entry, at: offset)
                offset += entry.pieceBytes
            }
            return true
        } catch {
            if let failure = error.storeFailure { throw failure }
            return false
        }
    }

    /// All frames, one behind the other.
    private func open(_ pack: ChunkIndex.Pack) async throws(ReadError) {
        let name = ObjectName.pack(pack.id)
        let damaged = ReadError.damaged(name.path)
        guard pack.plaintextBytes <= packBytesMax,
            try await reading({ store throws(ObjectStoreError) in try await store.size(of: name) }, name)
                == ObjectCipher.objectBytes(plaintextBytes: pack.plaintextBytes)
        else { throw damaged }
        let clear = try await reading(
            { store throws(ObjectStoreError) in try await store.read(name, 0..<Preamble.byteCount) }, name)
        guard let preamble = try? readPreamble(of: clear, kind: .pack, id: pack.id), preamble.epoch == pack.epoch,
            let cipher = try? repository.cipher(preamble)
        else { throw damaged }
        for number in 0..<ObjectCipher.frameCount(plaintextBytes: pack.plaintextBytes) {
            let range = ObjectCipher.frameRange(number, plaintextBytes: pack.plaintextBytes)
            let sealed = UnsafeMutableRawBufferPointer(rebasing: frame.bytes[..<range.count])
            do throws(ObjectStoreError) {
                try await repository.store.read(name, at: range.lowerBound, into: sealed)
            } catch {
                throw ReadError(error, of: name)
            }
            let opened: Void? = try? cipher.openFrame(number, in: sealed, plaintextBytes: pack.plaintextBytes)
            guard opened != nil else { throw damaged }
            let start = number * ObjectCipher.frameBytes
            let count = range.count - AES256GCM.tagBytes
            UnsafeMutableRawBufferPointer(rebasing: plaintext.bytes[start..<start + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: frame.bytes[..<count]))
        }
    }

    private func reading<Result>(
        _ body: (any ObjectStore) async throws(ObjectStoreError) -> Result, _ name: ObjectName
    ) async throws(ReadError) -> Result {
        do throws(ObjectStoreError) { return try await body(repository.store) } catch {
            throw ReadError(error, of: name)
        }
    }

    private func footer(of pack: ChunkIndex.Pack) throws(ReadError) -> PackListing {
        let all = UnsafeRawBufferPointer(rebasing: plaintext.bytes[..<pack.plaintextBytes])
        let tail = Array(all.suffix(4))
        guard tail.count == 4,
            let count = try? PackListing.footerBytes(ofTail: tail, plaintextBytes: pack.plaintextBytes),
            let listing = try? PackListing(
                pack: pack.id, epoch: pack.epoch, plaintextBytes: pack.plaintextBytes,
                footerIn: Array(all.suffix(count)))
        else { throw .damaged(ObjectName.pack(pack.id).path) }
        return listing
    }

    /// Of a chunk that a pack's end has cut the piece here is proven by its frames' seals; the rest is another pack's, which may
    /// be damaged, or gone with a prune.
    private func prove(_ entry: PackEntry, at offset: Int) throws(ReadError) {
        guard entry.pieceBytes == entry.storedBytes else { return }
        let stored = UnsafeRawBufferPointer(rebasing: plaintext.bytes[offset..<offset + entry.storedBytes])
        var content = stored
        if entry.compression == .zstandard {
            let target = UnsafeMutableRawBufferPointer(rebasing: decompressed.bytes[..<entry.contentBytes])
            let done: Void? = try? decompressor.decompress(stored, into: target)
            guard done != nil else { throw .damaged("a chunk") }
            content = UnsafeRawBufferPointer(target)
        }
        guard constantTimeEquals(repository.keyring.chunkID(of: content).bytes, entry.chunk.bytes) else {
            throw .damaged("a chunk")
        }
    }
}
