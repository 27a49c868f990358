import BackupEngine
import BackupFormat
import Foundation
import GRDB
import TestSupport
import Testing

@testable import BackupSources

extension Wing {
    fileprivate func drill(
        percent: Double = 100, databaseBytesMax: UInt64 = 1 << 30, source: String? = nil, seed: UInt64 = 1,
        in scratch: (any DrillScratch)? = nil
    ) async throws -> DrillReport {
        let place = try TemporaryFolder()
        let repository = try await open()
        let newest = try #require(try await repository.snapshotNames().last)
        let report = try await Drill.run(
            try await repository.snapshot(newest), from: repository, try await repository.loadIndex().index,
            into: try scratch ?? ScratchFolder(in: place.path), source: try source.map { try FolderSource(path: $0) },
            options: Drill.Options(percent: percent, databaseBytesMax: databaseBytesMax),
            generator: SeededGenerator(seed: seed), report: { _ in })
        if scratch == nil { #expect(try names(in: Array(place.path.utf8)) == [], "the scratch folder is gone") }
        return report
    }
}

/// A chat app's folder: media, odd files, a database with layers and one that is closed.
private struct Chats {
    let source: TemporaryFolder
    let store = MemoryStore()
    let wing: Wing

    init(days: Int = 2) async throws {
        source = try TemporaryFolder()
        wing = try await Wing(store)
        for number in 0..<12 {
            try source.makeFolder("media/photos \(number % 2)")
            try source.write(
                noise(3_000 + 500 * number, seed: UInt64(number)), to: "media/photos \(number % 2)/\(number).jpg")
            try source.write(noise(2_000, seed: UInt64(100 + number)), to: "media/\(number).opus", mode: 0o400)
        }
        try source.write([], to: "empty.txt")
        try source.write([UInt8](repeating: 0, count: 9 << 20), to: "zeros.bin")
        try source.write([1, 2, 3], to: [0xff, 0x0a, 0x2e] + Array("txt".utf8))
        try require(symlink("media", source("link")) == 0, "symlink")
        try source.setModified("empty.txt", seconds: -7, nanoseconds: 9)
        let copies = try TemporaryFolder()
        let database = try ChatDatabase(source("messages.db"))
        for day in 0..<days {
            try database.add(400)
            try database.rewrite(every: 40)
            try database.execute("DELETE FROM messages WHERE id % 7 = \(day)")
            try database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            try await wing.backUp(source.path, copies: CopyFolder(path: copies("copies")))
        }
        try database.close()
        try await wing.backUp(source.path, copies: CopyFolder(path: copies("copies")))
    }
}

/// A scratch folder that is not quite true.
private final class LyingScratch: DrillScratch {
    private let folder: ScratchFolder
    private let place: TemporaryFolder
    var freeBytes: UInt64? = .max
    /// Done to what was restored, before it is looked at.
    var meanwhile: (String) throws -> Void = { _ in }
    private(set) var targets = 0

    init() throws {
        place = try TemporaryFolder()
        folder = try ScratchFolder(in: place.path)
    }

    var keepsOwners: Bool { folder.keepsOwners }
    func target() throws(TargetError) -> any RestoreTarget {
        targets += 1
        return try folder.target()
    }
    func node(at path: [UInt8]) -> SourceNode? {
        try? meanwhile(place("\(ScratchFolder.name)/restored"))
        meanwhile = { _ in }
        return folder.node(at: path)
    }
    func open(_ path: [UInt8]) throws(SourceError) -> any SourceFile { try folder.open(path) }
    func check(databaseAt path: [UInt8]) -> DatabaseSoundness { folder.check(databaseAt: path) }
}

@Suite struct `A drill` {
    @Test func `restores everything if it is to, and finds it as it was`() async throws {
        let chats = try await Chats()
        let report = try await chats.wing.drill(source: chats.source.path)
        #expect(report.findings == [] && report.unchecked == [] && report.databasesLeftOut == [])
        #expect(report.files == 28 && report.filesTotal == 28 && report.databases == 1)
        #expect(report.comparedWithSource == 28)
    }

    @Test func `takes a part at random, some of each kind, and the databases`() async throws {
        let chats = try await Chats(days: 1)
        for seed in 0..<5 as Range<UInt64> {
            let report = try await chats.wing.drill(percent: 1, seed: seed)
            #expect(report.findings == [] && report.databases == 1 && report.comparedWithSource == 0)
            // Two photos, two voice messages, two texts, one other file, one database, and hardly more.
            #expect((8...11).contains(report.files) && report.filesTotal == 28, "seed \(seed)")
        }
        let without = try await chats.wing.drill(percent: 1, databaseBytesMax: 1_000)
        #expect(without.databases == 0 && without.databasesLeftOut == [Array("messages.db".utf8)])
    }

    @Test func `names what is damaged, whichever pack it is in`() async throws {
        let chats = try await Chats(days: 1)
        let whole = chats.store.contents
        let needed = try await chats.wing.restored().files.count
        #expect(needed == 28)
        for (name, object) in whole {
            guard case .pack = name else { continue }
            chats.store.contents = whole
            chats.store.contents[name]?[object.count / 3] ^= 1
            let (restored, missing) = try await chats.wing.restored()
            let report = try await chats.wing.drill()
            #expect(report.findings.isEmpty == missing.missing.isEmpty, "\(name.path)")
            #expect(report.files == restored.count)
        }
    }

    @Test func `notices whatever is not as the snapshot says`() async throws {
        let chats = try await Chats()
        func change(_ name: String, _ change: @escaping (String) throws -> Void) async throws -> [DrillReport.Finding] {
            let scratch = try LyingScratch()
            scratch.meanwhile = { try change("\($0)/\(name)") }
            return try await chats.wing.drill(in: scratch).findings
        }
        func flip(_ path: String) throws {
            var status = stat()
            try require(stat(path, &status) == 0, "stat")
            let file = open(path, O_RDWR)
            try require(file >= 0, "open")
            defer { close(file) }
            var byte: UInt8 = 0
            try require(pread(file, &byte, 1, status.st_size / 2) == 1, "pread")
            byte ^= 1
            try require(pwrite(file, &byte, 1, status.st_size / 2) == 1, "pwrite")
            var times = [status.st_mtim, status.st_mtim]
            try require(futimens(file, &times) == 0, "futimens")
        }
        for name in ["media/3.opus", "zeros.bin", "messages.db"] {
            let findings = try await change(name, flip)
            #expect(findings.first == .otherContent(path: Array(name.utf8)), "\(name)")
        }
        let photo = Array("media/photos 1/5.jpg".utf8)
        let path = String(decoding: photo, as: UTF8.self)
        #expect(
            try await change(path) { try require(truncate($0, 5) == 0, "truncate") }.contains(
                .otherContent(path: photo)))
        #expect(
            try await change(path) { try require(chmod($0, 0o777) == 0, "chmod") }
                == [.otherAttributes(path: photo, "its permissions")])
        #expect(
            try await change(path) { try require(unlink($0) == 0, "unlink") }
                == [.notRestored(path: photo, .refused("it is not there"))])
        #expect(
            try await change("link") {
                try require(unlink($0) == 0 && symlink("elsewhere", $0) == 0, "symlink")
            }.contains(.otherContent(path: Array("link".utf8))))
    }

    @Test func `looks at files whose attributes the scratch folder does not take`() async throws {
        var source = MemorySource(["odd.jpg": noise(3_000, seed: 1)])
        source.files["odd.jpg"]?.attributes = [ExtendedAttribute(name: Array("nowhere.x".utf8), value: [1])]
        let wing = try await Wing(MemoryStore())
        try await wing.backUp(source)
        #expect(try await wing.drill().findings == [])
        let scratch = try LyingScratch()
        // The first look only asks whether the file is there.
        scratch.meanwhile = { try require(truncate("\($0)/odd.jpg", 5) == 0, "truncate") }
        #expect(try await wing.drill(in: scratch).findings == [.otherContent(path: Array("odd.jpg".utf8))])
    }

    @Test func `finds a database with two names as it was`() async throws {
        let chats = try await Chats(days: 1)
        try require(link(chats.source("messages.db"), chats.source("second.db")) == 0, "link")
        try await chats.wing.backUp(chats.source.path)
        let report = try await chats.wing.drill()
        #expect(report.findings == [] && report.databases == 2)
    }

    @Test func `compares with the source only what has not changed since`() async throws {
        let chats = try await Chats(days: 1)
        let name = "media/photos 1/5.jpg"
        var status = stat()
        try require(stat(chats.source(name), &status) == 0, "stat")
        try chats.source.write(noise(5_500, seed: 999), to: name)
        #expect(try await chats.wing.drill(source: chats.source.path).comparedWithSource == 27)
        // Rotten on the disk of the device: nothing says that it changed (the clock of the test is ahead).
        try chats.source.setModified(name, seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
        let report = try await chats.wing.drill(source: chats.source.path)
        #expect(report.findings == [.notAsSource(path: Array(name.utf8))] && report.comparedWithSource == 28)
    }

    @Test func `says that a database was damaged when it was saved`() async throws {
        let chats = try await Chats(days: 1)
        let queue = try DatabaseQueue(path: chats.source("broken.db"))
        try await queue.write { database in
            try database.execute(sql: "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t (b)")
            for number in 0..<2_000 {
                try database.execute(sql: "INSERT INTO t (b) VALUES (?)", arguments: ["\(number)"])
            }
        }
        try queue.close()
        var image = try chats.source.read("broken.db")
        for place in 3 * 4_096 + 200..<4 * 4_096 { image[place] = 0x5a }
        try chats.source.write(image, to: "broken.db")
        try await chats.wing.backUp(chats.source.path)
        let report = try await chats.wing.drill()
        #expect(report.databases == 2 && report.findings.count == 1)
        guard case .unsoundDatabase(let path, let words)? = report.findings.first else {
            Issue.record("not named")
            return
        }
        #expect(path == Array("broken.db".utf8) && !words.isEmpty)
    }

    @Test func `restores nothing where there is no room`() async throws {
        let chats = try await Chats(days: 1)
        let scratch = try LyingScratch()
        scratch.freeBytes = 1 << 20
        await #expect(throws: DrillError.self) { try await chats.wing.drill(in: scratch) }
        #expect(scratch.targets == 0)
        // Holes take no room.
        scratch.freeBytes = 20 << 20
        #expect(try await chats.wing.drill(in: scratch).findings == [])
    }
}

@Suite struct `A scratch folder` {
    @Test func `is for one drill, and for its owner alone`() throws {
        let place = try TemporaryFolder()
        let scratch = try ScratchFolder(in: place.path)
        var status = stat()
        try require(stat(place(ScratchFolder.name), &status) == 0, "stat")
        #expect(status.st_mode & 0o777 == 0o700)
        #expect(throws: ScratchFolderError.inUse) { _ = try ScratchFolder(in: place.path) }
        ScratchFolder.removeRemains(in: place.path)
        #expect(scratch.node(at: []) != nil, "what is in use stays")
        scratch.remove()
        #expect(try names(in: Array(place.path.utf8)) == [])
        scratch.remove()
    }

    @Test func `that was left behind goes, whatever is in it, and nothing outside of it`() throws {
        let place = try TemporaryFolder()
        func leave() throws {
            try place.makeFolder("\(ScratchFolder.name)/restored/closed/inner")
            try place.write([1], to: "\(ScratchFolder.name)/restored/closed/inner/file")
            try place.makeFolder("outside", mode: 0o750)
            try place.write([1], to: "outside/kept")
            _ = symlink(place("outside"), place("\(ScratchFolder.name)/restored/link"))
            try require(chmod(place("\(ScratchFolder.name)/restored/closed/inner"), 0) == 0, "chmod")
            try require(chmod(place("\(ScratchFolder.name)/restored/closed"), 0o500) == 0, "chmod")
        }
        try leave()
        ScratchFolder.removeRemains(in: place.path)
        #expect(try names(in: Array(place.path.utf8)) == [Array("outside".utf8)])
        try leave()
        let scratch = try ScratchFolder(in: place.path)
        #expect(scratch.node(at: Array("closed".utf8)) == nil)
        ScratchFolder.removeRemains(in: place.path, evenInUse: true)
        #expect(try names(in: Array(place.path.utf8)) == [Array("outside".utf8)])
        #expect(try place.read("outside/kept") == [1])
        var status = stat()
        try require(stat(place("outside"), &status) == 0, "stat")
        #expect(status.st_mode & 0o777 == 0o750)
    }

    @Test func `of another process stays when this one is interrupted`() throws {
        let place = try TemporaryFolder()
        try place.makeFolder(ScratchFolder.name)
        try place.write([1], to: "\(ScratchFolder.name)/file")
        let handle = open(place(ScratchFolder.name), O_RDONLY | O_DIRECTORY)
        try require(handle >= 0 && flock(handle, LOCK_EX | LOCK_NB) == 0, "flock")
        ScratchFolder.removeRemains(in: place.path, evenInUse: true)
        #expect(try place.read("\(ScratchFolder.name)/file") == [1] && ScratchFolder.isInUse(in: place.path))
        close(handle)
        #expect(!ScratchFolder.isInUse(in: place.path))
        ScratchFolder.removeRemains(in: place.path, evenInUse: true)
        #expect(try names(in: Array(place.path.utf8)) == [])
    }

    @Test func `is not made in a link or where there is a file`() throws {
        let place = try TemporaryFolder()
        try place.makeFolder("elsewhere")
        try require(symlink(place("elsewhere"), place(ScratchFolder.name)) == 0, "symlink")
        try place.write([1], to: "elsewhere/kept")
        #expect(throws: ScratchFolderError.self) { _ = try ScratchFolder(in: place.path) }
        for evenInUse in [false, true] { ScratchFolder.removeRemains(in: place.path, evenInUse: evenInUse) }
        #expect(try place.read("elsewhere/kept") == [1])
        #expect(throws: ScratchFolderError.self) { _ = try ScratchFolder(in: place("nowhere")) }
    }
}

@Suite struct `A drill over a store that fails` {
    @Test(arguments: FaultyStore.Fault.allCases)
    func `at any call says so, or finds everything as it was`(fault: FaultyStore.Fault) async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        let source = try TemporaryFolder()
        for number in 0..<6 { try source.write(noise(2_000 + number, seed: UInt64(number)), to: "\(number).jpg") }
        let database = try ChatDatabase(source("chat.db"), setUp: "PRAGMA page_size = 1024")
        try database.add(60)
        try database.close()
        try await wing.backUp(source.path, packBytes: 8_192)
        let counting = FaultyStore(store, .failure, atCall: .max)
        #expect(try await wing.over(counting).drill().files == 7)
        for call in stride(from: 0, to: counting.callCount, by: 5) {
            let faulty = wing.over(FaultyStore(store, fault, atCall: call))
            guard let report = try? await faulty.drill() else { continue }
            #expect(report.files == 7 || !report.findings.isEmpty, "call \(call)")
            for finding in report.findings {
                if case .unsoundDatabase = finding { Issue.record("call \(call)") }
                if case .otherAttributes = finding { Issue.record("call \(call)") }
            }
        }
        #expect(try await wing.drill().findings == [])
    }
}
