import BackupFormat
import ByteCoding
import Primitives
import TestSupport
import Testing

let metadata = Metadata(
    mode: 0o4755, owner: 1, group: 2, modifiedSeconds: -3, modifiedNanoseconds: 999_999_999,
    attributes: [ExtendedAttribute(name: Array("user.a".utf8), value: [0, 255])])

private func chunk(_ byte: UInt8) -> ChunkID { ChunkID(uncheckedBytes: [UInt8](repeating: byte, count: 32)) }

private func file(_ name: [UInt8]) -> Entry {
    Entry(
        name: name, metadata: metadata,
        kind: .file(
            FileContent(
                form: .sqliteImage, linkGroup: 7, contentBytes: 9_000_000, blockBytes: 4_194_304,
                blocks: ChunkList(depth: 0, ids: [chunk(1), .zeros, chunk(2)]))))
}

@Suite struct `A tree` {
    private let entries = [
        file(Array("a".utf8)),
        Entry(name: [0xff], metadata: metadata, kind: .directory(ChunkList(depth: 3, ids: [chunk(9)]))),
        Entry(name: [0xff, 0x01], metadata: metadata, kind: .symbolicLink(target: Array("../x".utf8))),
    ]

    @Test func `a listing has its golden bytes`() throws {
        let bytes = try Listing(entries: [
            Entry(
                name: Array("x".utf8),
                metadata: Metadata(
                    mode: 0o644, owner: 1_000, group: 100, modifiedSeconds: 1, modifiedNanoseconds: 2, attributes: []),
                kind: .symbolicLink(target: Array("y".utf8)))
        ]).encoded()
        #expect(
            Hex.encode(bytes) == "00002200" + "01" + "78" + "03" + "000001a4" + "000003e8" + "00000064"
                + "0000000000000001" + "00000002" + "000000" + "000179")
    }

    @Test func `a listing comes back, and every cut of it is refused`() throws {
        let bytes = try Listing(entries: entries).encoded()
        #expect(try Listing(decoding: bytes).entries == entries)
        for count in bytes.indices {
            #expect(throws: ByteCodingError.self) { try Listing(decoding: Array(bytes[..<count])) }
        }
        #expect(throws: ByteCodingError.trailingBytes) { try Listing(decoding: bytes + [0]) }
    }

    @Test func `every change of a byte is refused or is another tree, with one encoding`() throws {
        let bytes = try Listing(entries: entries).encoded()
        var refused = 0
        for place in bytes.indices {
            for change: UInt8 in [1, 0x80, 0xff] {
                var altered = bytes
                altered[place] ^= change
                if let listing = try? Listing(decoding: altered) {
                    #expect(try listing.encoded() == altered)
                    #expect(listing.entries != entries)
                } else {
                    refused += 1
                }
            }
        }
        #expect(refused > 40)
    }

    @Test(arguments: ["", ".", "..", "a/b", "/", "a\u{0}b", "/etc/passwd"])
    func `names that leave their folder are refused`(name: String) throws {
        var writer = ByteWriter()
        let bad = Entry(name: Array(name.utf8), metadata: metadata, kind: .symbolicLink(target: [1]))
        #expect(!Entry.isSafe(name: bad.name))
        #expect(throws: ByteCodingError.self) {
            try writer.list([bad], 0...0xff_ffff)
            _ = try Listing(decoding: writer.bytes)
        }
    }

    @Test func `names out of order or twice are refused`() throws {
        for names in [["b", "a"], ["a", "a"], ["a", "aa", "a"], ["é", "e"]] {
            let bytes = try Listing(entries: names.map { file(Array($0.utf8)) }).encoded()
            #expect(throws: ByteCodingError.invalidValue) { try Listing(decoding: bytes) }
        }
    }

    @Test func `values beyond their limits are refused`() throws {
        func expectRefused(_ change: (inout Entry) -> Void, location: SourceLocation = #_sourceLocation) throws {
            var entry = file([1])
            change(&entry)
            let bytes = try Listing(entries: [entry]).encoded()
            #expect(throws: ByteCodingError.self, sourceLocation: location) { try Listing(decoding: bytes) }
        }
        try expectRefused { $0.metadata.mode = 0o10000 }
        try expectRefused { $0.metadata.modifiedNanoseconds = 1_000_000_000 }
        try expectRefused { $0.kind = .symbolicLink(target: [1, 0]) }
        try expectRefused { $0.kind = .directory(ChunkList(depth: 4, ids: [])) }
        func content(_ contentBytes: UInt64, _ blockBytes: UInt32, _ ids: [ChunkID]) -> Entry.Kind {
            .file(
                FileContent(
                    form: .asIs, linkGroup: 0, contentBytes: contentBytes, blockBytes: blockBytes,
                    blocks: ChunkList(depth: 0, ids: ids)))
        }
        try expectRefused { $0.kind = content(0, 1, []) }
        try expectRefused { $0.kind = content(0, 0, [.zeros]) }
        try expectRefused { $0.kind = content(1, 0, [.zeros]) }
        try expectRefused { $0.kind = content(1, 1, []) }
        try expectRefused { $0.kind = content(1, UInt32(chunkBytesMax) + 1, [.zeros]) }
        try expectRefused { $0.kind = content(.max, 1, [.zeros]) }
        #expect(throws: ByteCodingError.lengthOutOfRange) {
            try ChunkList(depth: 0, ids: [ChunkID](repeating: .zeros, count: 129)).encoded()
        }
        for count in [0, 31, 33, 4_097 * 32] {
            #expect(throws: ByteCodingError.lengthOutOfRange) {
                try ChunkList.ids(inChunk: [UInt8](repeating: 1, count: count))
            }
        }
    }

    @Test func `random bytes never become a tree that is not canonical, nor stop the reader`() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<3_000 {
            let body = generator.bytes(Int.random(in: 0..<120, using: &generator))
            var writer = ByteWriter()
            try writer.vector(body, 0...0xff_ffff)
            if let listing = try? Listing(decoding: writer.bytes) { #expect(try listing.encoded() == writer.bytes) }
            _ = try? Listing(decoding: body)
            _ = try? Snapshot(decodingPadded: body)
            _ = try? Index(decodingPadded: body)
            _ = try? Keyring(decodingPadded: body)
        }
    }
}
