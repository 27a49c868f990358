import BackupEngine
import BackupFormat
import BackupSources
import Foundation
import ObjectStores
import Testing

@Suite struct `A restore that was cut` {
    private let packBytes = 64 << 10

    /// A folder with a bit of everything.
    private func makeSource() throws -> TemporaryFolder {
        let source = try TemporaryFolder()
        try source.makeFolder("media/old")
        try source.makeFolder("empty", mode: 0o500)
        for number in 0..<6 {
            try source.write(noise(30_000 + number, seed: UInt64(number)), to: "media/\(number).jpg")
        }
        try source.write(noise(90_000, seed: 50), to: "media/old/film.mp4", mode: 0o400)
        try require(link(source("media/0.jpg"), source("media/old/again.jpg")) == 0, "link")
        try require(symlink("media/0.jpg", source("to")) == 0, "symlink")
        let database = try ChatDatabase(source("chat.db"))
        try database.add(40)
        try database.close()
        for name in ["media/old", "media", "empty"] {
            try source.setModified(name, seconds: 1_700_000_000, nanoseconds: 7)
        }
        return source
    }

    @Test func `goes on when it is begun again, wherever it was cut`() async throws {
        let source = try makeSource()
        let place = try TemporaryFolder()
        let wing = try await Wing(FolderStore(path: place("store")))
        try await wing.backUp(source.path, packBytes: packBytes)
        let counting = FaultyStore(wing.store, .failure, atCall: .max)
        #expect(try await wing.over(counting).restore(to: place("whole")).missing == [])
        let whole = try FolderDescription(place("whole"))
        #expect(whole.differences(from: try FolderDescription(source.path, except: ["chat.db"])).count == 1)
        var kept = 0
        for call in 0..<counting.callCount {
            let folder = place("cut-\(call)")
            let faulty = wing.over(FaultyStore(wing.store, .failure, atCall: call))
            let cut = try? await faulty.restore(to: folder)
            // A file that a killed restore was writing.
            if cut == nil, access("\(folder)/.coffer-unfinished-restore", F_OK) == 0 {
                try Data([1]).write(to: URL(fileURLWithPath: "\(folder)/.coffer-restoring-X"))
            }
            #expect(cut == nil || cut?.missing == [], "call \(call)")
            if cut != nil { continue }
            let report = try await wing.restore(to: folder)
            #expect(report.missing == [] && report.files == 9, "call \(call)")
            #expect(try FolderDescription(folder).differences(from: whole) == [], "call \(call)")
            kept += report.filesKept
        }
        #expect(kept > 10, "most of it was there already")
    }

    @Test func `goes on in a folder that held something before, if that is said`() async throws {
        let source = try makeSource()
        let place = try TemporaryFolder()
        let wing = try await Wing(MemoryStore())
        try await wing.backUp(source.path, packBytes: packBytes)
        try place.makeFolder("out/media", mode: 0o711)
        try place.write([1, 2, 3], to: "out/media/0.jpg")
        try place.write(noise(30_001, seed: 1), to: "out/media/1.jpg")
        try place.write(noise(30_002, seed: 77), to: "out/media/2.jpg")
        await #expect(throws: FolderTargetError.notEmpty) { try await wing.restore(to: place("out")) }
        for round in 0..<2 {
            let report = try await wing.restore(to: place("out"), intoExisting: true)
            let kept = report.missing.filter { $0.reason == .exists }.map { String(decoding: $0.path, as: UTF8.self) }
            #expect(kept.sorted() == ["media/0.jpg", "media/2.jpg"] && report.missing.count == 2)
            #expect(report.filesKept == (round == 0 ? 1 : 7))
        }
        #expect(try place.read("out/media/0.jpg") == [1, 2, 3])
        // A folder that was there keeps its own attributes, and one that was made has those of the backup.
        let description = try FolderDescription(place("out"))
        #expect(description.lines["./media"]?.contains("711 ") == true)
        #expect(description.lines["./empty"]?.contains("500 ") == true)
    }

    @Test func `leaves alone what another restore is writing`() async throws {
        let place = try TemporaryFolder()
        let first = try FolderTarget(path: place("out"), intoExisting: false)
        try first.beginFile(Array("a".utf8))
        _ = try FolderTarget(path: place("out"), intoExisting: false)
        let metadata = MemorySource.metadata()
        try? first.finishFile(metadata, linkGroup: 0)
        #expect(access(place("out/a"), F_OK) == 0)
    }
}

@Suite struct `The order of a restore` {
    @Test func `is messages, then media of the last month, then everything else`() async throws {
        let source = try TemporaryFolder()
        let now = Int(Wing.now)
        for (name, days) in [("a-old.jpg", 400), ("b-new.jpg", 3), ("c/old.mp4", 31), ("c/new.mp4", 29), ("d.txt", 90)]
        {
            if name.contains("/") { try source.makeFolder("c") }
            try source.write(Array(name.utf8), to: name)
            try source.setModified(name, seconds: now - days * 86_400, nanoseconds: 0)
        }
        let database = try ChatDatabase(source("z.db"))
        try database.add(1)
        try database.close()
        let wing = try await Wing(MemoryStore())
        try await wing.backUp(source.path)
        let (files, report) = try await wing.restored()
        #expect(files.count == 6 && report.missing == [])
        let target = MemoryTarget()
        let repository = try await wing.open()
        let names = try await repository.snapshotNames()
        _ = try await Restore.run(
            try await repository.snapshot(names[0]), from: repository, try await repository.loadIndex().index,
            into: target, report: { _ in })
        #expect(target.order == ["z.db", "b-new.jpg", "c/new.mp4", "a-old.jpg", "c/old.mp4", "d.txt"])
    }
}
