import BackupFormat
import Primitives

/// Decodes the deltas of a database, one at a time (spec: backup format, section 8).
final class DeltaDecoder {
    let pageBytes: Int
    private let keyring: Keyring
    private let zstandard = ZstandardPrefix()
    private let prefixMemory = ScratchBuffer(byteCount: PageBatch.prefixBytesMax)
    private let pagesMemory = ScratchBuffer(byteCount: PageBatch.deltaBytesMax)

    init(pageBytes: Int, _ keyring: Keyring) {
        self.pageBytes = pageBytes
        self.keyring = keyring
    }

    /// Memory for as many pages as one delta may have.
    var pages: UnsafeMutableRawBufferPointer { pagesMemory.bytes }

    /// Where pages of the prefix belong, by their places in it.
    func prefix(_ places: Range<Int>) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            rebasing: prefixMemory.bytes[places.lowerBound * pageBytes..<places.upperBound * pageBytes])
    }

    /// A frame says nothing about the image that it was made against; the pages' hashes do.
    ///
    /// - Parameter prefixPages: how many pages of the prefix are in its memory.
    /// - Returns: the delta's pages, one behind the other, in `pages`.
    func decode(_ frame: [UInt8], of batch: PageBatch, prefixPages: Int) throws(ReadError) -> UnsafeRawBufferPointer {
        let decoded = UnsafeMutableRawBufferPointer(rebasing: pages[..<(batch.pageCount * pageBytes)])
        do {
            try zstandard.decompress(frame, prefix: UnsafeRawBufferPointer(prefix(0..<prefixPages)), into: decoded)
        } catch {
            throw .damagedDelta
        }
        guard holds(batch, UnsafeRawBufferPointer(decoded)) else { throw .damagedDelta }
        return UnsafeRawBufferPointer(decoded)
    }

    /// Whether the pages that a batch names have the hashes that it says.
    ///
    /// - Parameter content: the batch's content, of which it may name any pages.
    func holds(_ batch: PageBatch, _ content: UnsafeRawBufferPointer) -> Bool {
        var number = 0
        for place in batch.runs.lazy.flatMap({ $0.place..<$0.place + $0.count }) {
            let bytes = UnsafeRawBufferPointer(rebasing: content[place * pageBytes..<(place + 1) * pageBytes])
            let hash = batch.hashes[number * PageHash.byteCount..<(number + 1) * PageHash.byteCount]
            guard keyring.pageHash(of: bytes).bytes[...] == hash else { return false }
            number += 1
        }
        return true
    }
}
