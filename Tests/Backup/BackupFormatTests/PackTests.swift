import BackupFormat
import ByteCoding
import TestSupport
import Testing

private func chunk(_ number: Int) -> ChunkID {
    ChunkID(uncheckedBytes: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 31) + [1])
}

private func entry(_ number: Int, bytes: Int) -> PackEntry {
    PackEntry(
        chunk: chunk(number), compression: .none, contentBytes: bytes, storedBytes: bytes, pieceStart: 0, pieceBytes: 0)
}

@Suite struct `A pack` {
    /// Packs chunks as a writer does; returns each pack's plaintext.
    private func pack(_ sizes: [Int], capacity: Int) throws -> [[UInt8]] {
        var packs: [[UInt8]] = []
        var layout = PackLayout(capacity: capacity)
        var data: [UInt8] = []
        func complete() throws {
            let end = try layout.end()
            packs.append(data + [UInt8](repeating: 0, count: end.zeroBytes) + end.footer)
            #expect(packs.last?.count == end.plaintextBytes)
            layout = PackLayout(capacity: capacity)
            data = []
        }
        for (number, size) in sizes.enumerated() {
            var entry = entry(number, bytes: size)
            let stored = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
            while entry.pieceStart < size {
                let piece = try layout.place(entry)
                #expect(!piece.isEmpty)
                data += stored[piece]
                entry.pieceStart += piece.count
                if layout.roomBytes == 0 { try complete() }
            }
        }
        if !layout.isEmpty { try complete() }
        return packs
    }

    @Test func `full packs have one size, the last one is padded, and the footers give everything back`() throws {
        var generator = SeededGenerator(seed: 11)
        for round in 0..<60 {
            let capacity = Int.random(in: PackLayout.capacityMin...20_000, using: &generator)
            let sizes = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
                Int.random(in: 1...3_000, using: &generator)
            }
            let packs = try pack(sizes, capacity: capacity)
            #expect(packs.dropLast().allSatisfy { $0.count == capacity })
            let last = try #require(packs.last)
            #expect(last.count == capacity || last.count == paddedBytes(last.count), "round \(round)")
            var contents: [ChunkID: Int] = [:]
            for plaintext in packs {
                let listing = try PackListing(pack: id, epoch: 1, plaintextBytes: plaintext.count, footerIn: plaintext)
                var offset = 0
                for entry in listing.entries {
                    #expect(contents[entry.chunk, default: 0] == entry.pieceStart)
                    #expect(plaintext[offset..<offset + entry.pieceBytes].allSatisfy { $0 == entry.chunk.bytes[0] })
                    contents[entry.chunk, default: 0] += entry.pieceBytes
                    offset += entry.pieceBytes
                }
            }
            for (number, size) in sizes.enumerated() { #expect(contents[chunk(number)] == size) }
        }
    }

    @Test func `filled with nothing but the smallest chunks is mostly footer, and still whole`() throws {
        let packs = try pack([Int](repeating: 1, count: 3_000), capacity: 16_384)
        #expect(packs.dropLast().allSatisfy { $0.count == 16_384 })
        let entries = try packs.map {
            try PackListing(pack: id, epoch: 1, plaintextBytes: $0.count, footerIn: $0).entries.count
        }
        #expect(entries.reduce(0, +) == 3_000)
        #expect(entries[0] == (16_384 - 7) / 50)
    }

    @Test func `a footer is found however much of the end is there, and refused when it lies`() throws {
        let plaintext = try #require(try pack([500, 700, 3], capacity: 4_096).last)
        let needed = try PackListing.footerBytes(ofTail: Array(plaintext.suffix(7)), plaintextBytes: plaintext.count)
        #expect(needed == 3 * PackEntry.encodedBytes + PackListing.footerFixedBytes)
        for count in 4...plaintext.count {
            let tail = Array(plaintext.suffix(count))
            if count < needed {
                #expect(throws: ByteCodingError.truncated) {
                    try PackListing(pack: id, epoch: 1, plaintextBytes: plaintext.count, footerIn: tail)
                }
            } else {
                let listing = try PackListing(pack: id, epoch: 1, plaintextBytes: plaintext.count, footerIn: tail)
                #expect(listing.entries.count == 3)
            }
        }
        for lie in [0, 1, 2, plaintext.count - 3, Int(UInt32.max)] {
            var lying = Array(plaintext.dropLast(4))
            for shift in [24, 16, 8, 0] { lying.append(UInt8(truncatingIfNeeded: lie >> shift)) }
            #expect(throws: ByteCodingError.lengthOutOfRange) {
                try PackListing(pack: id, epoch: 1, plaintextBytes: lying.count, footerIn: lying)
            }
        }
        for short in 0..<4 {
            #expect(throws: ByteCodingError.self) {
                try PackListing(pack: id, epoch: 1, plaintextBytes: short, footerIn: Array(plaintext.suffix(short)))
            }
        }
    }

    @Test func `pieces that cannot lie in the pack are refused`() throws {
        var large = entry(1, bytes: 5_000)
        large.pieceBytes = 5_000
        let listing = PackListing(pack: id, epoch: 1, plaintextBytes: 5_000, entries: try PackEntries([large]))
        #expect(throws: ByteCodingError.invalidValue) { try PackListing(decoding: listing.encoded()) }
        var footer = ByteWriter()
        try footer.list([large], 0...0xff_ffff)
        footer.uint32(UInt32(footer.bytes.count))
        let plaintext = [UInt8](repeating: 0, count: 1_000) + footer.bytes
        #expect(throws: ByteCodingError.invalidValue) {
            try PackListing(pack: id, epoch: 1, plaintextBytes: plaintext.count, footerIn: plaintext)
        }
        let huge = PackListing(pack: id, epoch: 1, plaintextBytes: packBytesMax + 1, entries: PackEntries())
        #expect(throws: ByteCodingError.invalidValue) { try PackListing(decoding: huge.encoded()) }
    }

    @Test func `entries that no writer makes are refused`() throws {
        let good = PackEntry(
            chunk: chunk(1), compression: .zstandard, contentBytes: 100, storedBytes: 60, pieceStart: 20, pieceBytes: 40
        )
        #expect(try PackEntry(decoding: good.encoded()) == good)
        #expect(try good.encoded().count == PackEntry.encodedBytes)
        let changes: [(inout PackEntry) -> Void] = [
            { $0.chunk = .zeros }, { $0.compression = .none }, { $0.contentBytes = 0 }, { $0.contentBytes = 59 },
            { $0.contentBytes = chunkBytesMax + 1 }, { $0.storedBytes = 0 }, { $0.storedBytes = 101 },
            { $0.pieceBytes = 0 }, { $0.pieceBytes = 41 }, { $0.pieceStart = 21 },
            { $0.pieceStart = Int(UInt32.max) }, { $0.pieceBytes = Int(UInt32.max) },
        ]
        for change in changes {
            var bad = good
            change(&bad)
            #expect(throws: ByteCodingError.invalidValue) { try PackEntry(decoding: bad.encoded()) }
        }
        var unknown = try good.encoded()
        unknown[32] = 2
        #expect(throws: ByteCodingError.invalidValue) { try PackEntry(decoding: unknown) }
    }

    @Test func `a pack of very many small chunks ends early, and is padded`() throws {
        let packs = try pack([Int](repeating: 10, count: PackLayout.entriesMax + 5), capacity: packBytesMax)
        #expect(packs.count == 2)
        let footerBytes = PackLayout.entriesMax * PackEntry.encodedBytes + PackListing.footerFixedBytes
        #expect(packs[0].count == paddedBytes(PackLayout.entriesMax * 10 + footerBytes))
        let listing = try PackListing(pack: id, epoch: 1, plaintextBytes: packs[0].count, footerIn: packs[0])
        #expect(listing.entries.count == PackLayout.entriesMax)
    }

    @Test func `an index comes back, and every cut of it is refused`() throws {
        var piece = entry(3, bytes: 10)
        piece.pieceBytes = 10
        let index = Index(packs: [
            PackListing(pack: id, epoch: 1, plaintextBytes: 1_024, entries: try PackEntries([piece, piece])),
            PackListing(pack: id, epoch: 9, plaintextBytes: 1_024, entries: PackEntries()),
        ])
        let bytes = try index.encoded()
        #expect(try Index(decoding: bytes) == index)
        for count in bytes.indices {
            #expect(throws: ByteCodingError.self) { try Index(decoding: Array(bytes[..<count])) }
        }
    }
}
