import BackupFormat
import ByteCoding
import Primitives
import TestSupport
import Testing

@Suite struct `Every sealed structure` {
    /// One of each, with something in every list.
    private func structures() throws -> [(name: String, bytes: [UInt8], reencoded: ([UInt8]) throws -> [UInt8])] {
        var generator = SeededGenerator(seed: 31)
        let ids = (0..<3).map { _ in ChunkID(uncheckedBytes: generator.bytes(ChunkID.byteCount)) }
        let layer = PageLayer(pageCount: 3, groups: ChunkList(depth: 0, ids: [ids[0]]))
        let database = Entry(
            name: [0x61], metadata: metadata,
            kind: .file(FileContent(linkGroup: 7, pageBytes: 512, layers: [layer, layer])))
        let link = Entry(name: [0x62], metadata: metadata, kind: .symbolicLink(target: [0x63, 0x64]))
        let snapshot = Snapshot(
            number: 3, id: id, beganSeconds: 1, endedSeconds: 2, previous: .none, source: "x", leftOut: "videos",
            totals: .init(), skipped: [Skipped(path: [0x65], reason: .unreadable)],
            root: Entry(
                name: Entry.rootName, metadata: metadata, kind: .directory(ChunkList(depth: 1, ids: [ids[1]]))))
        let removal = Removal(
            snapshots: [RemovedSnapshot(number: 2, hash: .none)], packs: [.random(using: &generator)],
            packsGoSeconds: 9)
        let group = PageGroup(batches: [
            PageBatch(
                runs: [PageRun(first: 0, count: 2, place: 0)], content: .full(ids[0]),
                hashes: generator.bytes(16)),
            PageBatch(
                runs: [PageRun(first: 3, count: 1, place: 0)], content: .delta(ids[1], prefix: [1, 9]),
                hashes: generator.bytes(8)),
        ])
        let keyring = Keyring(createdSeconds: 5, using: &generator)
        return [
            ("listing", try Listing(entries: [database, link]).encoded(), { try Listing(decoding: $0).encoded() }),
            ("pages", try group.encoded(), { try PageGroup(decoding: $0).encoded() }),
            ("snapshot", try snapshot.encodedAndPadded(), { try Snapshot(decodingPadded: $0).encoded() }),
            ("removal", try removal.encodedAndPadded(), { try Removal(decodingPadded: $0).encoded() }),
            ("keyring", try keyring.encodedAndPadded(), { try Keyring(decodingPadded: $0).encoded() }),
            (
                "index", try Index(packs: [try listing()]).encodedAndPadded(),
                { try Index(decodingPadded: $0).encoded() }
            ),
        ]
    }

    private func listing() throws -> PackListing {
        var layout = PackLayout()
        for number in 0..<3 {
            _ = try layout.place(
                PackEntry(
                    chunk: ChunkID(uncheckedBytes: [UInt8](repeating: UInt8(number + 1), count: 32)),
                    compression: .zstandard, contentBytes: 900, storedBytes: 700, pieceStart: 0, pieceBytes: 0))
        }
        let end = try layout.end()
        return try PackListing(
            pack: id, epoch: 1, plaintextBytes: 2_100 + end.zeroBytes + end.footer.count, footerIn: end.footer)
    }

    @Test func `with an absurd number anywhere is refused, or is another one with one encoding`() throws {
        for (name, bytes, reencoded) in try structures() {
            #expect(try bytes.starts(with: reencoded(bytes)), "\(name)")
            var refused = 0
            let count = try reencoded(bytes).count
            for place in 0..<count {
                for width in [1, 2, 3, 4, 8] where place + width <= count {
                    for value in [0xff, 0x7f, 0x80, 0x00] as [UInt8] {
                        var hostile = bytes
                        for byte in place..<place + width {
                            hostile[byte] = byte == place ? value : value == 0x80 || value == 0 ? 0 : 0xff
                        }
                        guard let again = try? reencoded(hostile) else {
                            refused += 1
                            continue
                        }
                        let isOne = hostile.starts(with: again) && hostile[again.count...].allSatisfy { $0 == 0 }
                        #expect(isOne, "\(name) at \(place)")
                    }
                }
            }
            #expect(refused > count, "\(name)")
        }
    }

    @Test func `that is cut anywhere is refused`() throws {
        for (name, bytes, reencoded) in try structures() {
            let whole = try reencoded(bytes).count
            for count in 0..<whole {
                #expect(throws: (any Error).self, "\(name) cut at \(count)") { try reencoded(Array(bytes[..<count])) }
            }
        }
    }
}
