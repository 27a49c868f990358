import BackupEngine
import BackupFormat
import BackupSources
import Foundation
import TestSupport
import Testing

@Suite struct `Room in the store` {
    private static let photo = 300_000

    /// A folder with photos, each of another size.
    private func photos(_ count: Int) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for number in 0..<count {
            try folder.write(noise(Self.photo + number, seed: UInt64(number)), to: "photo \(number).JPG")
        }
        return folder
    }

    private func noRoom(_ body: () async throws -> Void) async throws -> (needed: UInt64, free: UInt64)? {
        do {
            try await body()
            return nil
        } catch BackupError.noRoom(let needed, let free) {
            return (needed, free)
        }
    }

    @Test func `is looked at before anything is written, and what surely does not fit is refused`() async throws {
        let folder = try photos(5)
        let store = MemoryStore(capacity: 1_000_000)
        let wing = try await Wing(store)
        let before = store.contents
        let refused = try #require(await noRoom { try await wing.backUp(folder.path) })
        #expect(refused.needed > 1_400_000 && refused.needed <= 1_500_010 && refused.free < 1_000_000)
        #expect(store.contents == before)
        // Who says so may begin; what there is no room for ends it, and nothing is visible of it.
        await #expect(throws: BackupError.store(.full)) { try await wing.backUp(folder.path, ignoringRoom: true) }
        #expect(try await wing.open().snapshotNames() == [])
    }

    @Test func `is not missed for what may fit`() async throws {
        let folder = try photos(2)
        // Text compresses, files of one size may be one, holes take nothing, and small files decide nothing.
        try folder.write([UInt8](repeating: 0x61, count: 3_000_000), to: "chats.txt")
        for number in 0..<9 { try folder.write(noise(400_000, seed: 77), to: "forwarded \(number).mp4") }
        for number in 0..<9 { try folder.write([UInt8](repeating: 1, count: 60_000 + number), to: "\(number).png") }
        try folder.makeSparse("film.mp4", byteCount: 1 << 33)
        let wing = try await Wing(MemoryStore(capacity: 1_300_000))
        try await wing.backUp(folder.path)
        let out = try TemporaryFolder()
        #expect(try await wing.restore(to: out("out"), only: "chats.txt").files == 1)
    }

    @Test func `is not asked for twice, for what was moved or was stored before a cut`() async throws {
        let folder = try photos(4)
        let store = MemoryStore(capacity: 1_500_000)
        let wing = try await Wing(store)
        func hasPacks() -> Bool { store.names.contains { if case .pack = $0 { true } else { false } } }
        for call in 5..<60 where !hasPacks() {
            let faulty = FaultyStore(store, .failure, atCall: call)
            _ = try? await wing.over(faulty).backUp(folder.path, packBytes: 1 << 19)
        }
        #expect(hasPacks())
        #expect(try await wing.open().snapshotNames() == [])
        try await wing.backUp(folder.path, packBytes: 1 << 19)
        try FileManager.default.createDirectory(atPath: folder("2026"), withIntermediateDirectories: true)
        for number in 0..<4 {
            try FileManager.default.moveItem(
                atPath: folder("photo \(number).JPG"), toPath: folder("2026/photo \(number).JPG"))
        }
        try await wing.backUp(folder.path, packBytes: 1 << 19)
        for number in 8..<10 {
            try folder.write(noise(Self.photo + number, seed: UInt64(number)), to: "more \(number).jpg")
        }
        #expect(try await noRoom { try await wing.backUp(folder.path) } != nil)
        #expect(try await wing.verify().findings == [])
    }
}

@Suite struct `Room for a restore` {
    @Test func `is what the chosen files take, without holes, and each file once`() async throws {
        let folder = try TemporaryFolder()
        try folder.write(noise(100_000, seed: 1), to: "a.jpg")
        try require(link(folder("a.jpg"), folder("b.jpg")) == 0, "link")
        try folder.makeFolder("sub")
        try folder.write(noise(50_000, seed: 2), to: "sub/c.bin")
        try folder.makeSparse("hole.bin", byteCount: 1 << 36)
        let wing = try await Wing(MemoryStore())
        let snapshot = try await wing.backUp(folder.path).snapshot
        let repository = try await wing.open()
        let index = try await repository.loadIndex().index
        #expect(snapshot.totals.contentBytes > 1 << 36)
        func bytes(_ choice: RestoreChoice) async throws -> UInt64 {
            try await repository.bytesToRestore(choice, of: snapshot, index)
        }
        #expect(try await bytes(.everything) == 150_000)
        #expect(try await bytes(RestoreChoice(paths: [Array("sub".utf8)])) == 50_000)
        #expect(try await bytes(RestoreChoice { path, _ in path.first == UInt8(ascii: "b") }) == 100_000)
    }

    @Test func `is found at a path that is not there yet, and what lies there counts`() throws {
        let folder = try TemporaryFolder()
        #expect(try #require(freeBytes(near: folder("not/there/yet"))) > 0)
        #expect(takenBytes(below: folder("not/there")) == 0)
        try folder.makeFolder("sub")
        try folder.write(noise(70_000, seed: 1), to: "sub/file")
        try folder.makeSparse("hole", byteCount: 1 << 33)
        #expect(takenBytes(below: folder.path) == 70_000)
    }
}

@Suite struct `Room for a device's copies` {
    @Test func `is left to the person, and the backup goes on without them`() async throws {
        let database = try await PagedDatabase(seed: 70, setUp: "PRAGMA journal_mode = DELETE")
        try database.add(300)
        let copies = CrampedCopies(base: database.copyFolder)
        try await database.wing.backUp(database.source.path, copies: copies)
        #expect(!FileManager.default.fileExists(atPath: database.copyFolder.folderPath + "/x"))
        let left = try? FileManager.default.contentsOfDirectory(atPath: database.copyFolder.folderPath)
        #expect(left ?? [] == [])
        #expect(try await database.wing.restored().files["chat.db"] == database.expected())
        // With room again there is one; and it goes when there is none.
        try await database.backUp()
        #expect(try FileManager.default.contentsOfDirectory(atPath: database.copyFolder.folderPath).count == 3)
        try database.add(10)
        try await database.wing.backUp(database.source.path, copies: copies)
        #expect(try FileManager.default.contentsOfDirectory(atPath: database.copyFolder.folderPath) == [])
        try database.add(10)
        try await database.backUp()
        #expect(try await database.wing.restored().files["chat.db"] == database.expected())
    }
}

/// Copies on a disk that is all but full.
private struct CrampedCopies: PreviousCopies {
    let base: CopyFolder

    var freeBytes: UInt64? { 100 << 20 }
    func list(_ name: String) -> [UInt8]? { base.list(name) }
    func slots(_ name: String) -> (any DeviceFile)? { base.slots(name) }
    func stage(_ name: String, list: [UInt8]) -> Bool { base.stage(name, list: list) }
    func publish(_ name: String) { base.publish(name) }
    func keepOnly(_ names: Set<String>) { base.keepOnly(names) }
}
