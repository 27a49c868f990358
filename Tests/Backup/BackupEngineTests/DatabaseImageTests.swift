import BackupEngine
import BackupFormat
import Foundation
import ObjectStores
import Testing

@testable import BackupSources

@Suite struct `The image of a database at rest` {
    static let modes = ["WAL", "DELETE", "TRUNCATE", "PERSIST"]

    @Test(arguments: [512, 1_024, 4_096, 8_192, 65_536], modes)
    func `it is what SQLite would make of the files, byte for byte`(pageBytes: Int, mode: String) throws {
        for vacuum in ["NONE", "FULL", "INCREMENTAL"] {
            let folder = try TemporaryFolder()
            let app = try ChatDatabase(
                folder("a.db"),
                setUp: """
                    PRAGMA page_size = \(pageBytes); PRAGMA auto_vacuum = \(vacuum); PRAGMA journal_mode = \(mode);
                    PRAGMA wal_autocheckpoint = 0
                    """)
            try app.add(300)
            try app.rewrite(every: 7)
            try app.execute("DELETE FROM messages WHERE id % 5 = 0; UPDATE sums SET count = 240, bytes = 168000")
            let state = try app.state()
            let before = try FolderDescription(folder.path, except: ["a.db-shm"])
            for blockBytes in [1 << 20, 100_000, 4_999] {
                let read = try image(of: folder("a.db"), blockBytes: blockBytes)
                #expect(try read == recovered(folder("a.db")))
                #expect(try ChatState(image: read) == state)
            }
            #expect(try FolderDescription(folder.path, except: ["a.db-shm"]).differences(from: before) == [])
            try app.close()
        }
    }

    @Test func `a database that lies in its log alone is whole`() throws {
        let folder = try TemporaryFolder()
        let app = try ChatDatabase(
            folder("a.db"), setUp: "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0")
        try app.add(500)
        #expect(try folder.read("a.db").count < 10_000)
        let read = try image(of: folder("a.db"))
        #expect(read.count > 300_000)
        #expect(try ChatState(image: read) == app.state())
    }

    @Test func `a database that was closed is its file, and nothing is left beside it`() throws {
        for mode in Self.modes {
            let folder = try TemporaryFolder()
            let app = try ChatDatabase(folder("a.db"), setUp: "PRAGMA journal_mode = \(mode)")
            try app.add(100)
            try app.close()
            for attempt in 0..<3 {
                let before = try FolderDescription(folder.path)
                #expect(try image(of: folder("a.db"), attempt: attempt) == folder.read("a.db"))
                #expect(try FolderDescription(folder.path).differences(from: before) == [])
            }
        }
    }

    @Test func `a file that only looks like a database is its bytes`() throws {
        let folder = try TemporaryFolder()
        let app = try ChatDatabase(folder("a.db"), setUp: "PRAGMA journal_mode = DELETE")
        try app.add(50)
        try app.close()
        let sound = try folder.read("a.db")
        var torn = sound
        torn.replaceSubrange(4_096..<12_000, with: noise(7_904, seed: 3))
        var odd = Array(sound[..<100]) + noise(777, seed: 4)
        odd[18] = 2
        odd[19] = 2
        for (number, content) in [
            torn, odd, Array(sound.dropLast(100)), Array(sound[..<100]), Array(sound[..<99]),
            Array("SQLite format 3\u{0}".utf8),
        ].enumerated() {
            try folder.write(content, to: "odd-\(number)")
            let source = try FolderSource(path: folder.path)
            let node = try #require(
                try source.children(of: source.root()).first { $0.name == Array("odd-\(number)".utf8) })
            for attempt in 0..<3 {
                let file = try source.open(node, attempt: attempt)
                var bytes = [UInt8](repeating: 1, count: Int(file.contentBytes))
                try bytes.withUnsafeMutableBytes { try file.read(into: $0) }
                try file.finish()
                #expect(bytes == content)
            }
        }
    }
}

@Suite struct `The image of a database that is being written` {
    private func makeApp(_ folder: TemporaryFolder, _ setUp: String) throws -> ChatDatabase {
        let app = try ChatDatabase(folder("a.db"), setUp: setUp)
        for _ in 0..<5 { try app.add(60) }
        return app
    }

    @Test(arguments: [
        "PASSIVE", "FULL", "RESTART", "TRUNCATE", "nothing",
    ])
    func `commits and checkpoints meanwhile do not show`(checkpoint: String) throws {
        for complete in [false, true] {
            let folder = try TemporaryFolder()
            let app = try makeApp(folder, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0")
            if complete { try app.execute("PRAGMA wal_checkpoint(PASSIVE)") }
            try app.rewrite(every: 9)
            if complete { try app.execute("PRAGMA wal_checkpoint(PASSIVE)") }
            let expected = try app.state()
            let read = try image(of: folder("a.db")) { _ in
                try app.rewrite(every: 3)
                try app.add(20)
                // A checkpoint that waits for a reader gives up: that is the reader's purpose.
                if checkpoint != "nothing" { try? app.execute("PRAGMA wal_checkpoint(\(checkpoint))") }
            }
            #expect(try ChatState(image: read) == expected)
        }
    }

    @Test func `a log that begins anew between any two blocks does not show`() throws {
        let folder = try TemporaryFolder()
        let app = try makeApp(folder, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0")
        for block in 0..<12 {
            try app.rewrite(every: 2)
            try app.execute("PRAGMA wal_checkpoint(PASSIVE)")
            let expected = try app.state()
            let read = try image(of: folder("a.db"), blockBytes: 20_000) { number in
                if number == block { for _ in 0..<4 { try app.rewrite(every: 2) } }
            }
            #expect(try ChatState(image: read) == expected)
        }
    }

    @Test func `a log that is cut to nothing between any two blocks does not show`() throws {
        let folder = try TemporaryFolder()
        let app = try makeApp(folder, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0")
        for block in 0..<12 {
            try app.rewrite(every: 2)
            try app.execute("PRAGMA wal_checkpoint(PASSIVE)")
            let expected = try app.state()
            let read = try image(of: folder("a.db"), blockBytes: 20_000) { number in
                if number == block { try app.execute("PRAGMA wal_checkpoint(TRUNCATE)") }
            }
            #expect(try ChatState(image: read) == expected)
        }
    }

    @Test func `a commit in rollback mode is noticed, and the lock keeps it away`() throws {
        for mode in ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF"] {
            let folder = try TemporaryFolder()
            let app = try makeApp(folder, "PRAGMA journal_mode = \(mode); PRAGMA synchronous = OFF")
            for block in [0, 3, 8] {
                if mode != "PERSIST" {
                    #expect(throws: SourceError.changed) {
                        _ = try image(of: folder("a.db")) { if $0 == block { try app.rewrite(every: 2) } }
                    }
                }
                let expected = try app.state()
                let read = try image(of: folder("a.db"), attempt: 2) {
                    if $0 == block { #expect(throws: (any Error).self) { try app.rewrite(every: 2) } }
                }
                #expect(try ChatState(image: read) == expected)
            }
        }
    }

    @Test func `a database that is replaced meanwhile is noticed`() throws {
        for mode in ["WAL", "DELETE"] {
            let (folder, other) = (try TemporaryFolder(), try TemporaryFolder())
            let app = try makeApp(folder, "PRAGMA journal_mode = \(mode)")
            try app.close()
            let new = try ChatDatabase(other("b.db"), setUp: "PRAGMA journal_mode = DELETE")
            try new.add(500)
            try new.close()
            #expect(throws: SourceError.changed) {
                _ = try image(of: folder("a.db")) {
                    if $0 == 2 { try require(rename(other("b.db"), folder("a.db")) == 0, "rename") }
                }
            }
            #expect(try ChatState(image: image(of: folder("a.db"))).count == 500)
        }
    }

    @Test func `a database that is deleted meanwhile is noticed or whole`() throws {
        let folder = try TemporaryFolder()
        let app = try makeApp(folder, "PRAGMA journal_mode = WAL")
        let expected = try app.state()
        let read = try? image(of: folder("a.db")) {
            if $0 == 2 { for suffix in ["", "-wal", "-shm"] { unlink(folder("a.db\(suffix)")) } }
        }
        if let read { #expect(try ChatState(image: read) == expected) }
    }

    @Test func `an app that locks its log-mode database for itself does not stop the backup`() throws {
        let folder = try TemporaryFolder()
        let app = try makeApp(
            folder, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0")
        #expect(!FileManager.default.fileExists(atPath: folder("a.db-shm")))
        let expected = try app.state()
        let read = try image(of: folder("a.db")) { _ in try app.add(3) }
        #expect(try ChatState(image: read) == expected)
        #expect(throws: SourceError.changed) {
            _ = try image(of: folder("a.db")) {
                if $0 == 3 { try app.execute("PRAGMA wal_checkpoint(TRUNCATE)") }
            }
        }
    }
}
