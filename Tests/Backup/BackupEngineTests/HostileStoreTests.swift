import BackupEngine
import BackupFormat
import BackupSources
import ByteCoding
import Foundation
import ObjectStores
import Primitives
import TestSupport
import Testing

/// Writes objects that no honest program writes, under the right keys: another device of the owner was taken over.
struct Forger {
    let store = MemoryStore()
    let wing: Wing
    let repository: Repository
    private var chunks: [(id: ChunkID, stored: [UInt8], entry: PackEntry)] = []

    init() async throws {
        wing = try await Wing(store)
        repository = try await wing.open()
    }

    /// - Parameters:
    ///   - stored: the stored form, if it is not the content.
    ///   - claimedBytes: of the content, if not its own count.
    mutating func chunk(_ content: [UInt8], stored: [UInt8]? = nil, claimedBytes: Int? = nil) -> ChunkID {
        let id = content.withUnsafeBytes { repository.keyring.chunkID(of: $0) }
        let bytes = stored ?? content
        chunks.append(
            (
                id, bytes,
                PackEntry(
                    chunk: id, compression: stored == nil ? .none : .zstandard,
                    contentBytes: claimedBytes ?? content.count,
                    storedBytes: bytes.count, pieceStart: 0, pieceBytes: 0)
            ))
        return id
    }

    mutating func listing(_ entries: [Entry]) throws -> ChunkID { chunk(try Listing(entries: entries).encoded()) }

    /// Writes pack, index and a snapshot whose root has these listings.
    func publish(_ listings: ChunkList) async throws {
        var layout = PackLayout()
        var plaintext: [UInt8] = []
        for chunk in chunks { plaintext += chunk.stored[try layout.place(chunk.entry)] }
        let end = try layout.end()
        plaintext += [UInt8](repeating: 0, count: end.zeroBytes) + end.footer
        var generator = SystemRandomNumberGenerator()
        let epoch = repository.keyring.current.number
        let pack = Preamble(kind: .pack, epoch: epoch, id: .random(using: &generator))
        try await store.create(.pack(pack.id), try repository.cipher(pack).seal(plaintext))
        let root = Entry(name: Entry.rootName, metadata: MemorySource.metadata(), kind: .directory(listings))
        let snapshot = Snapshot(
            number: 1, id: .random(using: &generator), beganSeconds: 1, endedSeconds: 1, previous: .none,
            source: "forged",
            totals: .init(), skipped: [], root: root)
        try await store.create(
            .snapshot(SnapshotName(number: 1, id: snapshot.id)),
            try snapshot.sealed(epoch: repository.keyring.current, store: wing.id, using: &generator))
    }

    func file(_ name: String, _ bytes: UInt64, _ blockBytes: UInt32, _ blocks: ChunkList) -> Entry {
        Entry(
            name: Array(name.utf8), metadata: MemorySource.metadata(),
            kind: .file(
                FileContent(form: .asIs, linkGroup: 0, contentBytes: bytes, blockBytes: blockBytes, blocks: blocks)))
    }
}

@Suite struct `A store forged under the right keys` {
    @Test func `files whose blocks do not add up are refused, and named by restore and by verify`() async throws {
        var forger = try await Forger()
        let block = forger.chunk([1, 2, 3])
        let notIDs = forger.chunk([UInt8](repeating: 1, count: 33))
        let bomb = try #require(
            [UInt8](repeating: 0x61, count: 4 << 20).withUnsafeBytes {
                Zstandard.compress($0, level: 3, lessThan: 10_000)
            })
        let more = forger.chunk([9, 9], stored: Array(bomb), claimedBytes: 10_000)
        let good = ChunkList(depth: 0, ids: [block])
        let entries = [
            forger.file("bomb", 10_000, 10_000, ChunkList(depth: 0, ids: [more])),
            forger.file("few", 6, 3, good),
            forger.file("good", 3, 3, good),
            forger.file("long", 2, 2, good),
            forger.file("lost", 3, 3, ChunkList(depth: 0, ids: [ChunkID(uncheckedBytes: Array(0..<32))])),
            forger.file("many", 3, 3, ChunkList(depth: 0, ids: [block, block])),
            forger.file("no-ids", 3, 3, ChunkList(depth: 1, ids: [notIDs])),
            forger.file("short", 4, 4, good),
        ]
        let root = try forger.listing(entries)
        try await forger.publish(ChunkList(depth: 0, ids: [root]))
        let (files, report) = try await forger.wing.restored()
        #expect(files == ["good": [1, 2, 3]])
        let names = ["bomb", "few", "long", "lost", "many", "no-ids", "short"]
        #expect(report.missing.map { String(decoding: $0.path, as: UTF8.self) } == names)
        for deep in [true, false] {
            let named = try await forger.wing.verify(deep: deep).findings.compactMap { finding in
                if case .entryDamaged(let path, _) = finding { String(decoding: path, as: UTF8.self) } else { nil }
            }
            #expect(named == (deep ? names : names.filter { $0 != "bomb" }))
        }
    }

    @Test func `a list that names one chunk again and again does not fill the memory`() async throws {
        var forger = try await Forger()
        var ids = [ChunkID](repeating: forger.chunk([7]), count: ChunkList.idsPerChunkMax)
        for _ in 0..<3 {
            let run = forger.chunk(ids.flatMap(\.bytes))
            ids = [ChunkID](repeating: run, count: ChunkList.idsPerChunkMax)
        }
        let list = ChunkList(depth: 3, ids: Array(ids.prefix(ChunkList.idsPerEntryMax)))
        let root = try forger.listing([forger.file("bomb", 1 << 50, 1, list)])
        try await forger.publish(ChunkList(depth: 0, ids: [root]))
        let (files, report) = try await forger.wing.restored()
        #expect(files.isEmpty)
        #expect(report.missing.map(\.reason) == [.damaged(.damaged("a list of chunks"))])
    }

    @Test func `listings out of order over two chunks are refused`() async throws {
        var forger = try await Forger()
        let block = ChunkList(depth: 0, ids: [forger.chunk([1])])
        let first = try forger.listing([forger.file("b", 1, 1, block)])
        for second in ["a", "b"] {
            var forger = forger
            let other = try forger.listing([forger.file(second, 1, 1, block)])
            forger.store.contents = forger.store.contents.filter { name, _ in
                if case .keyring = name { true } else { name == .header }
            }
            try await forger.publish(ChunkList(depth: 0, ids: [first, other]))
            let (files, report) = try await forger.wing.restored()
            #expect(files.keys.sorted() == ["b"] && files["b"] == [1], "what came before is whole")
            #expect(report.missing.map(\.reason) == [.damaged(.damaged("a folder's listing"))])
        }
    }

    @Test func `a link that was restored is not followed by what comes after it`() async throws {
        var forger = try await Forger()
        let (target, outside) = (try TemporaryFolder(), try TemporaryFolder())
        let block = ChunkList(depth: 0, ids: [forger.chunk([1])])
        let inner = try forger.listing([forger.file("stolen", 1, 1, block)])
        let link = Entry(
            name: Array("x".utf8), metadata: MemorySource.metadata(),
            kind: .symbolicLink(target: Array(outside.path.utf8)))
        let folder = Entry(
            name: Array("x".utf8), metadata: MemorySource.metadata(),
            kind: .directory(ChunkList(depth: 0, ids: [inner])))
        // One restore leaves the link, another one into the same place finds it where its folder should be.
        let linkRoot = try forger.listing([link])
        var second = forger
        try await forger.publish(ChunkList(depth: 0, ids: [linkRoot]))
        _ = try await forger.wing.restore(to: target.path)
        let folderRoot = try second.listing([folder])
        second.store.contents = second.store.contents.filter { name, _ in
            if case .keyring = name { true } else { name == .header }
        }
        try await second.publish(ChunkList(depth: 0, ids: [folderRoot]))
        let report = try await second.wing.restore(to: target.path, intoExisting: true)
        #expect(report.missing.map(\.reason) == [.exists])
        #expect(try names(in: Array(outside.path.utf8)) == [])
    }
}

@Suite struct `What a file system does not take` {
    @Test func `costs no file and is named`() async throws {
        var source = MemorySource(["file": [1, 2, 3], "other": [4]])
        source.files["file"]?.attributes = [
            ExtendedAttribute(name: Array("nonsense.attribute".utf8), value: [1]),
            ExtendedAttribute(name: Array("user.kept".utf8), value: [2]),
        ]
        let target = try TemporaryFolder()
        let wing = try await Wing(MemoryStore())
        try await wing.backUp(source)
        let report = try await wing.restore(to: target("back"))
        #expect(report.files == 2)
        #expect(report.missing.map(\.path) == [Array("file".utf8)])
        #expect(
            report.missing.map(\.reason) == [
                .refused("it is there, but without some of its attributes: nonsense.attribute")
            ])
        #expect(try target.read("back/file") == [1, 2, 3])
        let line = try #require(try FolderDescription(target("back")).lines["./file"])
        #expect(line.contains("user.kept=[2]"))
    }
}
