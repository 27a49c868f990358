import BackupEngine
import BackupFormat
import BackupSources
import Foundation
import ObjectStores
import Primitives
import TestSupport
import Testing

@Suite struct `A database that is backed up day after day` {
    private static let setUps = [
        "PRAGMA page_size = 4096; PRAGMA journal_mode = DELETE",
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 20",
        "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0",
        "PRAGMA page_size = 1024; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = TRUNCATE",
        "PRAGMA page_size = 65536; PRAGMA auto_vacuum = FULL; PRAGMA journal_mode = DELETE",
        "PRAGMA page_size = 8192; PRAGMA secure_delete = ON; PRAGMA journal_mode = DELETE",
    ]

    @Test(arguments: 0..<6)
    func `comes back page by page on each day, whatever became of the copies`(seed: Int) async throws {
        let database = try await PagedDatabase(seed: UInt64(seed) + 100, setUp: Self.setUps[seed])
        try database.add(150, thumbBytes: 700)
        var images: [[UInt8]] = []
        for day in 0..<12 {
            let before = try FolderDescription(database.source.path, except: ["chat.db-shm"])
            // Every third day the device has lost its copies; on another it has those of the day before.
            if day % 3 == 2 { try? FileManager.default.removeItem(atPath: database.copyFolder.folderPath) }
            let report = try await database.backUp(withCopies: day % 5 != 4)
            #expect(
                try FolderDescription(database.source.path, except: ["chat.db-shm"]).differences(from: before) == [])
            let content = try #require(try await database.content(in: report))
            #expect(content.form == .sqlitePages && content.layers.count <= 16)
            images.append(try database.expected())
            try database.live()
            if day == 6 { try database.execute("PRAGMA journal_mode = DELETE; PRAGMA page_size = 2048; VACUUM") }
        }
        for (day, image) in images.enumerated() {
            let (files, report) = try await database.wing.restored(number: day)
            #expect(report.missing == [] && files["chat.db"] == image, "day \(day)")
            #expect(try soundness(of: image) == ["ok"])
        }
        #expect(try await database.wing.verify().findings == [])
    }

    @Test func `costs nothing while it does not change, and little when it changes little or is vacuumed`() async throws
    {
        let database = try await PagedDatabase(seed: 7, setUp: Self.setUps[0])
        try database.add(4_000, words: 60)
        try database.execute("DELETE FROM messages WHERE id % 50 = 0")
        let whole = try await database.backUp().storedBytes
        let first = try #require(try await database.content(in: database.backUp()))
        #expect(first.layers.count == 1)
        try database.add(20, words: 60)
        let day = try await database.backUp()
        #expect(try await database.content(in: day)?.layers.first == first.layers.first)
        try database.execute("VACUUM")
        let vacuum = try await database.backUp().storedBytes
        #expect(whole > 500_000 && day.storedBytes < whole / 8 && vacuum < whole / 5)
        #expect(try await database.wing.restored().files["chat.db"] == database.expected())
    }

    @Test func `costs its changed pages alone on a device that keeps no copies`() async throws {
        let database = try await PagedDatabase(seed: 8, setUp: Self.setUps[0])
        try database.add(4_000, words: 60)
        let whole = try await database.backUp(withCopies: false).storedBytes
        try database.add(5, words: 10)
        let day = try await database.backUp(withCopies: false).storedBytes
        #expect(day < whole / 8)
        #expect(!FileManager.default.fileExists(atPath: database.copyFolder.folderPath))
        #expect(try await database.wing.restored().files["chat.db"] == database.expected())
    }

    @Test(arguments: [true, false])
    func `has a short chain, and what is stored full is not stored again`(withCopies: Bool) async throws {
        let database = try await PagedDatabase(seed: 9, setUp: Self.setUps[0])
        try database.add(3_000, words: 60)
        let whole = try await database.backUp(withCopies: withCopies).storedBytes
        var counts: [Int] = []
        var images: [[UInt8]] = []
        for _ in 0..<19 {
            try database.add(4)
            try database.execute("UPDATE messages SET body = body || '.' WHERE id % 500 = 3")
            let report = try await database.backUp(withCopies: withCopies)
            counts.append(try #require(try await database.content(in: report)).layers.count)
            #expect(report.storedBytes < whole / 3)
            images.append(try database.expected())
        }
        // With copies each ninth image is one more step; without them all pages are stored full, and a first layer costs nothing.
        #expect(
            counts
                == (withCopies
                    ? Array(2...9) + [2] + Array(3...10) + [3, 4] : Array(2...16) + Array(1...4)))
        for (day, image) in images.enumerated() {
            #expect(try await database.wing.restored(number: day + 1).files["chat.db"] == image, "day \(day)")
        }
    }

    @Test func `goes on from nothing when a part of its chain is gone`() async throws {
        let database = try await PagedDatabase(seed: 10, setUp: Self.setUps[0])
        try database.add(500)
        try await database.backUp()
        try database.add(20)
        let before = Set(database.store.names)
        try await database.backUp()
        let packs = database.store.names.filter { name in
            if case .pack = name { !before.contains(name) } else { false }
        }
        for pack in packs { database.store.contents[pack] = nil }
        try database.add(20)
        let report = try await database.backUp()
        #expect(try await database.content(in: report)?.layers.count == 1)
        #expect(try await database.wing.restored().files["chat.db"] == database.expected())
    }

    @Test func `is found again when its folder has another name`() async throws {
        let database = try await PagedDatabase(seed: 11, setUp: Self.setUps[0])
        try database.add(2_000, words: 60)
        let whole = try await database.backUp().storedBytes
        let moved = try TemporaryFolder()
        try moved.write(try database.source.read("chat.db"), to: "chat.db")
        #expect(try await database.wing.backUp(moved.path).storedBytes < whole / 8)
    }

    @Test func `that gets a second name has one content under both`() async throws {
        let database = try await PagedDatabase(seed: 13, setUp: Self.setUps[0])
        try database.add(800)
        try await database.backUp()
        try database.add(20)
        try require(link(database.source("chat.db"), database.source("a-link.db")) == 0, "link")
        let report = try await database.backUp()
        let repository = try await database.wing.open()
        let index = try await repository.loadIndex().index
        let (_, entries) = try await repository.browse(report.snapshot, path: [], index)
        #expect(entries.count == 2 && entries[0].kind == entries[1].kind)
        let files = try await database.wing.restored().files
        #expect(try files["chat.db"] == database.expected() && files["a-link.db"] == files["chat.db"])
    }

    @Test func `leaves no deleted text in the store and no text at all in its copies`() async throws {
        let database = try await PagedDatabase(
            seed: 12, setUp: "PRAGMA secure_delete = OFF; PRAGMA journal_mode = DELETE")
        let secret = "a line that nobody should find again"
        try database.add(200)
        for _ in 0..<40 {
            try database.execute("INSERT INTO messages (body) VALUES ('\(secret)\(database.text(200))')")
        }
        try database.execute("DELETE FROM messages WHERE body LIKE '\(secret)%'")
        #expect(contains(try database.source.read("chat.db"), secret))
        try await database.backUp()
        let restored = try #require(try await database.wing.restored().files["chat.db"])
        #expect(restored == (try database.expected()))
        #expect(restored.count == (try database.source.read("chat.db")).count)
        let kept = try names(in: Array(database.copyFolder.folderPath.utf8))
        #expect(kept.count == 3)
        for name in kept {
            let bytes = try database.copies.read("copies/\(String(decoding: name, as: UTF8.self))")
            #expect(!PagedDatabase.words.filter { $0.count > 6 }.contains { contains(bytes, $0) })
        }
    }

    private func contains(_ bytes: [UInt8], _ text: String) -> Bool {
        Data(bytes).range(of: Data(text.utf8)) != nil
    }
}

@Suite struct `A device's copy of a database` {
    private func prepared(_ seed: UInt64) async throws -> (database: PagedDatabase, whole: UInt64) {
        let database = try await PagedDatabase(seed: seed, setUp: "PRAGMA journal_mode = DELETE")
        try database.add(2_500, words: 60)
        let whole = try await database.backUp().storedBytes
        try database.add(20, words: 60)
        return (database, whole)
    }

    private func copyFiles(_ database: PagedDatabase) throws -> [String] {
        try names(in: Array(database.copyFolder.folderPath.utf8)).map {
            "copies/" + String(decoding: $0, as: UTF8.self)
        }
    }

    @Test func `that is damaged anywhere makes the next backup no worse than without one`() async throws {
        for (number, ending) in ["list", "slots"].enumerated() {
            for place in [0.0, 0.3, 0.999] {
                let (database, whole) = try await prepared(20 + UInt64(number))
                let file = try #require(try copyFiles(database).first { $0.hasSuffix(ending) })
                var bytes = try database.copies.read(file)
                bytes[Int(Double(bytes.count) * place)] ^= 1
                try database.copies.write(bytes, to: file)
                let report = try await database.backUp()
                #expect(report.storedBytes < whole / 4)
                #expect(try await database.wing.restored().files["chat.db"] == database.expected())
                // It is whole again.
                try database.add(5)
                #expect(try await database.backUp().storedBytes < whole / 8)
                #expect(try await database.wing.restored().files["chat.db"] == database.expected())
            }
        }
    }

    @Test func `that is cut, or is another file, or cannot be written costs nothing but its use`() async throws {
        let (database, _) = try await prepared(30)
        for change in 0..<4 {
            for file in try copyFiles(database) {
                let bytes = try database.copies.read(file)
                switch change {
                case 0: try database.copies.write(Array(bytes.dropLast(5_000)), to: file)
                case 1: try database.copies.write([], to: file)
                case 2: try database.copies.write(noise(bytes.count, seed: 1), to: file)
                default:
                    try FileManager.default.removeItem(atPath: database.copies(file))
                    try database.copies.makeFolder(file)
                }
            }
            try database.add(5)
            try await database.backUp()
            #expect(try await database.wing.restored().files["chat.db"] == database.expected())
            #expect(try await database.wing.verify().findings == [])
        }
    }

    @Test func `of another day is not used`() async throws {
        let (database, _) = try await prepared(31)
        let old = try copyFiles(database).map { ($0, try database.copies.read($0)) }
        for _ in 0..<3 {
            try await database.backUp()
            try database.add(30, words: 60)
        }
        for (file, bytes) in old { try database.copies.write(bytes, to: file) }
        try await database.backUp()
        #expect(try await database.wing.restored().files["chat.db"] == database.expected())
        #expect(try await database.wing.verify().findings == [])
    }

    @Test func `stays as it was when a backup fails, so that the next one is small`() async throws {
        let (database, whole) = try await prepared(32)
        let counting = FaultyStore(MemoryStore(database.store.contents), .failure, atCall: .max)
        try await database.wing.over(counting).backUp(database.source.path)
        var failures = 0
        for call in 0..<counting.callCount {
            let store = MemoryStore(database.store.contents)
            let faulty = database.wing.over(FaultyStore(store, .failure, atCall: call))
            let copies = try TemporaryFolder()
            try FileManager.default.copyItem(atPath: database.copyFolder.folderPath, toPath: copies("copies"))
            let copyFolder = CopyFolder(path: copies("copies"))
            if (try? await faulty.backUp(database.source.path, copies: copyFolder)) != nil { continue }
            failures += 1
            // The store of the failed backup is thrown away: the copy must still be the one of the snapshot before.
            let again = MemoryStore(database.store.contents)
            let wing = database.wing.over(again)
            let report = try await wing.backUp(database.source.path, copies: copyFolder)
            #expect(report.storedBytes < whole / 12, "call \(call)")
            #expect(try await wing.restored().files["chat.db"] == database.expected(), "call \(call)")
        }
        #expect(failures > 3)
    }

    @Test func `does not grow for ever`() async throws {
        let (database, _) = try await prepared(33)
        for _ in 0..<12 {
            try database.execute("UPDATE messages SET body = body || '!' WHERE id % 3 = 0")
            try await database.backUp()
        }
        let imageBytes = try database.source.read("chat.db").count
        let slots = try #require(try copyFiles(database).first { $0.hasSuffix("slots") })
        #expect(try database.copies.read(slots).count < imageBytes * 31 / 10)
        #expect(try await database.wing.restored().files["chat.db"] == database.expected())
    }
}

@Suite struct `A file that is no sound database` {
    @Test func `is kept byte for byte`() async throws {
        let database = try await PagedDatabase(seed: 40, setUp: "PRAGMA journal_mode = DELETE")
        try database.add(600)
        try database.execute("DELETE FROM messages WHERE id < 500")
        try database.close()
        let sound = try database.source.read("chat.db")
        let trunk = sound[32..<36].reduce(0) { $0 * 256 + Int($1) }
        #expect(trunk > 0)
        func changed(_ offset: Int, _ bytes: [UInt8]) -> [UInt8] {
            var content = sound
            content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            return content
        }
        func number(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
        let start = (trunk - 1) * 4_096
        let cases = [
            "cyclic": changed(start, number(trunk)),
            "trunk-outside": changed(start, number(sound.count / 4_096 + 1)),
            "first-page-free": changed(start + 8, number(1)),
            "page-zero-free": changed(start + 8, number(0)),
            "free-twice": changed(start + 8, Array(sound[start + 12..<start + 16])),
            "too-many-leaves": changed(start + 4, number(1_023)),
            "absurd-leaves": changed(start + 4, number(0xffff_ffff)),
            "miscounted": changed(36, number(1)),
            "absurd-count": changed(36, number(0xffff_ffff)),
            "odd-size": Array(sound.dropLast(100)),
            "encrypted": noise(50_000, seed: 3),
            "garbage-behind-header": Array(sound[..<100]) + noise(sound.count - 100, seed: 4),
            "reserved-bytes": changed(20, [8]),
        ]
        let folder = try TemporaryFolder()
        for (name, content) in cases { try folder.write(content, to: name) }
        try await database.wing.backUp(folder.path)
        let (files, report) = try await database.wing.restored()
        #expect(report.missing == [])
        for (name, content) in cases { #expect(files[name] == content, "\(name)") }
    }
}
