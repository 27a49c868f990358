package import ByteCoding

/// How a chunk's content was made into its stored form (section 5).
package enum Compression: UInt8, Sendable {
    case none = 0
    case zstandard = 1
}

/// One piece of one chunk in a pack (section 5).
package struct PackEntry: ByteCodable, Equatable, Sendable {
    package static let encodedBytes = 49

    package var chunk: ChunkID
    package var compression: Compression
    package var contentBytes: Int
    package var storedBytes: Int
    package var pieceStart: Int
    package var pieceBytes: Int

    package init(
        chunk: ChunkID, compression: Compression, contentBytes: Int, storedBytes: Int, pieceStart: Int, pieceBytes: Int
    ) {
        self.chunk = chunk
        self.compression = compression
        self.contentBytes = contentBytes
        self.storedBytes = storedBytes
        self.pieceStart = pieceStart
        self.pieceBytes = pieceBytes
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        chunk = try ChunkID(from: &reader)
        guard let compression = Compression(rawValue: try reader.uint8()) else { throw .invalidValue }
        self.compression = compression
        contentBytes = Int(try reader.uint32())
        storedBytes = Int(try reader.uint32())
        pieceStart = Int(try reader.uint32())
        pieceBytes = Int(try reader.uint32())
        guard (1...chunkBytesMax).contains(contentBytes), (1...contentBytes).contains(storedBytes),
            compression == .zstandard || storedBytes == contentBytes,
            pieceBytes >= 1, pieceStart + pieceBytes <= storedBytes, chunk != .zeros
        else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try chunk.encode(into: &writer)
        writer.uint8(compression.rawValue)
        for count in [contentBytes, storedBytes, pieceStart, pieceBytes] {
            guard let count = UInt32(exactly: count) else { throw .lengthOutOfRange }
            writer.uint32(count)
        }
    }
}

/// The most content a chunk may have: readers allocate no more, whatever an entry claims.
package let chunkBytesMax = 8 << 20

/// The most plaintext a pack may have.
package let packBytesMax = 16 << 20

/// How a pack fills (section 5): pieces one behind the other, then zeros, then the footer. It holds no content, so that
/// a writer can send pieces on before the pack is complete.
package struct PackLayout: Sendable {
    private let capacity: Int
    private var dataBytes = 0
    package private(set) var entries = PackEntries()

    /// Below this a pack is mostly footer.
    package static let capacityMin = 1_024
    /// A writer ends a pack of very small chunks early, so that its memory is bounded.
    package static let entriesMax = 16_384

    package init(capacity: Int = packBytesMax) { self.capacity = capacity }

    package var isEmpty: Bool { entries.count == 0 }

    /// How many bytes of one more piece are taken, 0 if not even one is.
    package var roomBytes: Int { entries.count < Self.entriesMax ? freeBytes : 0 }

    /// Behind the pieces, with one more entry.
    private var freeBytes: Int {
        max(0, capacity - dataBytes - (entries.count + 1) * PackEntry.encodedBytes - PackListing.footerFixedBytes)
    }

    /// Takes in the beginning of what is left of a chunk's stored form.
    ///
    /// - Parameter entry: describes the chunk; its pieceBytes is set here.
    /// - Returns: which bytes of the stored form come next in the pack; none if there is no room.
    package mutating func place(_ entry: PackEntry) throws(ByteCodingError) -> Range<Int> {
        var piece = entry
        piece.pieceBytes = min(roomBytes, entry.storedBytes - entry.pieceStart)
        guard piece.pieceBytes > 0 else { return entry.pieceStart..<entry.pieceStart }
        try entries.append(piece)
        dataBytes += piece.pieceBytes
        return entry.pieceStart..<entry.pieceStart + piece.pieceBytes
    }

    /// What follows the pieces: to the full capacity if no further piece fits, else padded.
    package func end() throws(ByteCodingError) -> (zeroBytes: Int, footer: [UInt8], plaintextBytes: Int) {
        var footer = ByteWriter(capacity: entries.bytes.count + PackListing.footerFixedBytes)
        try footer.vector(entries.bytes, 0...0xff_ffff)
        footer.uint32(UInt32(footer.bytes.count))
        let needed = dataBytes + footer.bytes.count
        let total = freeBytes == 0 ? capacity : min(capacity, paddedBytes(needed))
        return (total - needed, footer.bytes, total)
    }
}

/// What a pack holds, as its own footer or an index tells (section 5).
package struct PackListing: ByteCodable, Equatable, Sendable {
    package var pack: ObjectID
    package var epoch: UInt32
    package var plaintextBytes: Int
    package var entries: PackEntries

    package init(pack: ObjectID, epoch: UInt32, plaintextBytes: Int, entries: PackEntries) {
        self.pack = pack
        self.epoch = epoch
        self.plaintextBytes = plaintextBytes
        self.entries = entries
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        pack = try ObjectID(from: &reader)
        epoch = try reader.uint32()
        plaintextBytes = Int(try reader.uint32())
        entries = try PackEntries(decoding: try reader.vector(0...0xff_ffff))
        guard plaintextBytes <= packBytesMax, isConsistent else { throw .invalidValue }
    }

    /// Pieces lie one behind the other, so their sum must leave room for the footer that repeats them.
    private var isConsistent: Bool {
        let pieces = entries.reduce(0) { $0 + $1.pieceBytes }
        return pieces + entries.bytes.count + Self.footerFixedBytes <= plaintextBytes
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try pack.encode(into: &writer)
        writer.uint32(epoch)
        writer.uint32(UInt32(plaintextBytes))
        try writer.vector(entries.bytes, 0...0xff_ffff)
    }

    /// The footer's vector length and the trailing `footerBytes`.
    package static let footerFixedBytes = 3 + 4

    /// How many bytes at a pack's end the footer takes, as its last four bytes say.
    ///
    /// - Parameter tail: the end of a pack's plaintext, at least 4 bytes.
    package static func footerBytes(ofTail tail: [UInt8], plaintextBytes: Int) throws(ByteCodingError) -> Int {
        var length = ByteReader(tail.suffix(4))
        let footerBytes = Int(try length.uint32())
        guard (3...max(3, plaintextBytes - 4)).contains(footerBytes) else { throw .lengthOutOfRange }
        return footerBytes + 4
    }

    /// Reads a listing from the end of a pack's plaintext.
    ///
    /// - Parameter tail: as much of the end as `footerBytes` asks for, or more.
    package init(
        pack: ObjectID, epoch: UInt32, plaintextBytes: Int, footerIn tail: [UInt8]
    ) throws(ByteCodingError) {
        self.pack = pack
        self.epoch = epoch
        self.plaintextBytes = plaintextBytes
        let footerBytes = try Self.footerBytes(ofTail: tail, plaintextBytes: plaintextBytes)
        guard footerBytes <= tail.count else { throw .truncated }
        var reader = ByteReader(tail.suffix(footerBytes).dropLast(4))
        entries = try PackEntries(decoding: try reader.vector(0...0xff_ffff))
        try reader.finish()
        guard isConsistent else { throw .invalidValue }
    }
}

/// Where chunks lie: the footers of packs, repeated (section 5).
package struct Index: ByteCodable, Equatable, Sendable {
    package var packs: [PackListing]

    package init(packs: [PackListing]) { self.packs = packs }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        packs = try reader.list(0...0xffff_ffff)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.list(packs, 0...0xffff_ffff)
    }
}
