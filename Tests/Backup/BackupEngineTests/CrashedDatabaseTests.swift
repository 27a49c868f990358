import BackupEngine
import BackupFormat
import Foundation
import ObjectStores
import TestSupport
import Testing

@testable import BackupSources

/// Makes the tables of `ChatDatabase` and rows in them, in Python.
private let makeRows = """
    db = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.execute(f"PRAGMA page_size = {sys.argv[3]}")
    db.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, body BLOB)")
    db.execute("CREATE TABLE sums (id INTEGER PRIMARY KEY, count INTEGER, bytes INTEGER)")
    db.execute("INSERT INTO sums VALUES (1, 0, 0)")
    def add(count):
        for i in range(count):
            db.execute("INSERT INTO messages (body) VALUES (randomblob(700))")
        db.execute("UPDATE sums SET count = count + ?, bytes = bytes + ?", (count, count * 700))
    db.execute("BEGIN"); add(400); db.execute("COMMIT")

    """

/// Begins a transaction that does not fit the cache, so that its pages are spilled, and says that it is ready.
private let spill = """
    db.execute("PRAGMA cache_size = 10")
    db.execute("PRAGMA cache_spill = 1")
    db.execute("BEGIN")
    db.execute("UPDATE messages SET body = zeroblob(900)")
    db.execute("DELETE FROM messages WHERE id > 200")
    add(700)
    print("ready", flush=True)
    sys.stdin.read()
    """

@Suite struct `The database of an app that crashed` {
    @Test(arguments: [1_024, 4_096, 65_536], [true, false])
    func `a log that was left with or without its shared memory is folded in up to its last commit`(
        pageBytes: Int, keepsSharedMemory: Bool
    ) throws {
        let folder = try TemporaryFolder()
        let app = try OtherProgram(makeRows + spill, [folder("a.db"), "WAL", "\(pageBytes)"])
        app.kill()
        if !keepsSharedMemory { unlink(folder("a.db-shm")) }
        let before = try FolderDescription(folder.path, except: ["a.db-shm"])
        let sharedMemory = FileManager.default.fileExists(atPath: folder("a.db-shm"))
        for attempt in 0..<3 {
            let read = try image(of: folder("a.db"), attempt: attempt)
            #expect(try read == recovered(folder("a.db")))
            #expect(try ChatState(image: read).count == 400)
        }
        #expect(try FolderDescription(folder.path, except: ["a.db-shm"]).differences(from: before) == [])
        #expect(FileManager.default.fileExists(atPath: folder("a.db-shm")) == sharedMemory)
    }

    @Test(arguments: [512, 4_096, 65_536], ["DELETE", "PERSIST", "TRUNCATE"])
    func `a transaction that was cut is rolled back from its journal`(pageBytes: Int, mode: String) throws {
        let folder = try TemporaryFolder()
        let app = try OtherProgram(makeRows + spill, [folder("a.db"), mode, "\(pageBytes)"])
        app.kill()
        #expect(try folder.read("a.db-journal").starts(with: RollbackJournal.magic))
        let before = try FolderDescription(folder.path)
        for (attempt, blockBytes) in [1_000, 4 << 20, 70_000].enumerated() {
            let read = try image(of: folder("a.db"), blockBytes: blockBytes, attempt: attempt)
            #expect(try read == recovered(folder("a.db")))
            #expect(try ChatState(image: read).count == 400)
            #expect(try read != folder.read("a.db"))
        }
        #expect(try FolderDescription(folder.path).differences(from: before) == [])
    }

    @Test func `a cut change of the page size or of the mode is rolled back too`() throws {
        for change in ["PRAGMA page_size = 8192", "PRAGMA auto_vacuum = FULL"] {
            let folder = try TemporaryFolder()
            let app = try OtherProgram(
                makeRows + """
                    db.execute("\(change)")
                    # The copy back into the file is cut by a limit on the file's size.
                    import resource, signal
                    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
                    try:
                        db.execute("VACUUM")
                    except sqlite3.Error as error:
                        pass
                    print("ready", flush=True)
                    sys.stdin.read()
                    """, [folder("a.db"), "DELETE", "4096"])
            app.kill()
            let read = try image(of: folder("a.db"))
            #expect(try read == recovered(folder("a.db")))
            #expect(try ChatState(image: read).count == 400)
        }
    }

    @Test func `a journal whose super-journal is gone was committed, and one whose super-journal is there was not`()
        throws
    {
        let folder = try TemporaryFolder()
        let app = try OtherProgram(makeRows + spill, [folder("a.db"), "DELETE", "4096"])
        app.kill()
        let cut = try folder.read("a.db-journal")
        let name = Array(folder("a.db-mj0123").utf8)
        let sum = name.reduce(UInt32(0)) { $0 + UInt32($1) }
        func bigEndian(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
        let pending: [UInt8] = [0x40, 0, 0, 1]
        try folder.write(
            cut + pending + name + bigEndian(UInt32(name.count)) + bigEndian(sum) + RollbackJournal.magic,
            to: "a.db-journal")
        let main = try folder.read("a.db")
        #expect(try recovered(folder("a.db")) == main, "what SQLite does")
        #expect(try image(of: folder("a.db")) == main)
        try folder.write([1], to: "a.db-mj0123")
        let rolledBack = try recovered(folder("a.db"))
        #expect(rolledBack != main)
        // SQLite removed it, being done with it.
        try folder.write([1], to: "a.db-mj0123")
        #expect(try image(of: folder("a.db")) == rolledBack)
    }

    @Test func `a torn journal or log rolls back what SQLite would`() throws {
        for mode in ["WAL", "DELETE"] {
            let folder = try TemporaryFolder()
            let app = try OtherProgram(makeRows + spill, [folder("a.db"), mode, "1024"])
            app.kill()
            unlink(folder("a.db-shm"))
            let name = mode == "WAL" ? "a.db-wal" : "a.db-journal"
            let companion = try folder.read(name)
            // 558 cuts the journal in its first sector.
            for seed in Array(UInt64(0)..<24) + [558] {
                var generator = SeededGenerator(seed: seed)
                var torn = Array(companion[..<Int.random(in: 0...companion.count, using: &generator)])
                if !torn.isEmpty, Bool.random(using: &generator) {
                    torn[Int.random(in: 0..<torn.count, using: &generator)] ^= 0x40
                }
                try folder.write(torn, to: name)
                #expect(try image(of: folder("a.db")) == recovered(folder("a.db")), "\(mode), seed \(seed)")
            }
        }
    }
}

@Suite struct `Databases in a folder` {
    @Test func `companions are folded in, and files that only have such names are kept`() async throws {
        let (source, place) = (try TemporaryFolder(), try TemporaryFolder())
        let app = try ChatDatabase(source("a.db"))
        try app.add(300)
        try source.write(Array("my journal of the journey".utf8), to: "a.db-journal")
        try source.write(Array("no database".utf8), to: "notes")
        try source.write(noise(5_000, seed: 1), to: "notes-wal")
        let opaque = noise(40_960, seed: 2)
        try source.write(opaque, to: "cipher.db")
        try source.write(noise(33_000, seed: 3), to: "cipher.db-wal")
        let before = try FolderDescription(source.path, except: ["a.db-shm"])
        let wing = try await Wing(FolderStore(path: place("store")))
        let report = try await wing.backUp(source.path)
        #expect(report.snapshot.skipped == [])
        #expect(try await wing.restore(to: place("back")).missing == [])
        let kept = ["a.db", "a.db-journal", "cipher.db", "cipher.db-wal", "notes", "notes-wal"]
        #expect(try names(in: Array(place("back").utf8)) == kept.map { Array($0.utf8) })
        let back = try FolderDescription(place("back"), except: ["a.db"])
        #expect(
            try back.differences(from: FolderDescription(source.path, except: ["a.db", "a.db-wal", "a.db-shm"])) == [])
        #expect(
            try ChatState(image: Array(Data(contentsOf: URL(fileURLWithPath: place("back/a.db"))))) == app.state())
        #expect(try FolderDescription(source.path, except: ["a.db-shm"]).differences(from: before) == [])
    }

    @Test(arguments: [(1, "WAL"), (10, "WAL"), (1_000, "WAL"), (0, "DELETE")])
    func `another program that never stops writing is caught in one moment each time`(
        autocheckpoint: Int, mode: String
    ) async throws {
        let (source, place) = (try TemporaryFolder(), try TemporaryFolder())
        let program = try OtherProgram(
            makeRows + """
                import select, time
                db.execute("PRAGMA synchronous = OFF")
                db.execute("PRAGMA busy_timeout = 10000")
                db.execute("PRAGMA wal_autocheckpoint = \(autocheckpoint)")
                print("ready", flush=True)
                while not select.select([sys.stdin], [], [], 0)[0]:
                    db.execute("BEGIN IMMEDIATE")
                    db.execute("UPDATE messages SET body = randomblob(700) WHERE id % 5 = 0")
                    add(3)
                    db.execute("COMMIT")
                    time.sleep(0.001)
                """, [source("a.db"), mode, "4096"])
        let wing = try await Wing(FolderStore(path: place("store")))
        var counts: [Int] = []
        for number in 0..<6 {
            let report = try await wing.backUp(source.path)
            #expect(report.snapshot.skipped == [])
            _ = try await wing.restore(to: place("\(number)"))
            counts.append(try ChatState(image: place.read("\(number)/a.db")).count)
        }
        program.end()
        #expect(counts == counts.sorted())
        #expect((counts.first ?? 0) < (counts.last ?? 0), "it was being written")
    }
}
