import BackupEngine
import BackupFormat
import BackupSources
import Foundation
import GRDB
import Primitives
import TestSupport

/// A database that lives in a folder, is backed up day after day, and changes at random in between.
final class PagedDatabase {
    static let words: [String] = (0..<400).map { (number: Int) -> String in
        let letters: [UInt8] = (0..<(3 + number % 7)).map { UInt8(97 + (number * 31 + $0 * 17) % 26) }
        return String(decoding: letters, as: UTF8.self)
    }

    let source: TemporaryFolder
    let copies: TemporaryFolder
    let wing: Wing
    let store = MemoryStore()
    private(set) var queue: DatabaseQueue
    var random: SeededGenerator
    private var nextID = 1

    init(seed: UInt64, setUp: String) async throws {
        random = SeededGenerator(seed: seed)
        source = try TemporaryFolder()
        copies = try TemporaryFolder()
        wing = try await Wing(store, seed: seed)
        queue = try DatabaseQueue(path: source("chat.db"))
        try execute(setUp)
        try execute(
            """
            CREATE TABLE messages (id INTEGER PRIMARY KEY, key TEXT, body TEXT, thumb BLOB);
            CREATE UNIQUE INDEX by_key ON messages (key)
            """)
    }

    var copyFolder: CopyFolder { CopyFolder(path: copies("copies")) }

    func execute(_ sql: String) throws {
        try queue.inDatabase { database in
            for statement in sql.split(separator: ";") { _ = try Row.fetchAll(database, sql: String(statement)) }
        }
    }

    func close() throws { try queue.close() }

    func text(_ words: Int) -> String {
        (0..<words).map { _ in Self.words[Int.random(in: 0..<Self.words.count, using: &random)] }.joined(separator: " ")
    }

    func add(_ count: Int, words: Int = 20, thumbBytes: Int = 0) throws {
        try queue.inDatabase { database in
            try database.execute(sql: "BEGIN")
            for _ in 0..<count {
                let thumb = noise(thumbBytes, seed: random.next())
                try database.execute(
                    sql: "INSERT INTO messages VALUES (?, ?, ?, ?)",
                    arguments: [
                        nextID, String(random.next(), radix: 16), text(words), thumbBytes > 0 ? Data(thumb) : nil,
                    ])
                nextID += 1
            }
            try database.execute(sql: "COMMIT")
        }
    }

    /// One day: a few of the things that happen to a database.
    func live() throws {
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            switch Int.random(in: 0..<9, using: &random) {
            case 0...2:
                try add(Int.random(in: 1...60, using: &random), thumbBytes: Bool.random(using: &random) ? 900 : 0)
            case 3: try execute("DELETE FROM messages WHERE id % \(Int.random(in: 3...40, using: &random)) = 0")
            case 4: try execute("UPDATE messages SET body = body || ' edited' WHERE id % 13 = \(random.next() % 13)")
            case 5: try execute("DELETE FROM messages WHERE id < \(nextID / 3)")
            case 6: try execute("VACUUM")
            case 7: try execute("CREATE TABLE t\(random.next()) AS SELECT * FROM messages WHERE id % 5 = 0")
            default: try execute("PRAGMA incremental_vacuum(3)")
            }
        }
    }

    @discardableResult
    func backUp(withCopies: Bool = true) async throws -> BackupReport {
        try await wing.backUp(source.path, copies: withCopies ? copyFolder : nil)
    }

    /// How the last snapshot has the database.
    func content(in report: BackupReport) async throws -> FileContent? {
        let repository = try await wing.open()
        let index = try await repository.loadIndex().index
        let (entry, _) = try await repository.browse(report.snapshot, path: Array("chat.db".utf8), index)
        if case .file(let content) = entry.kind { return content }
        return nil
    }

    /// What a restore of the source as it is now must bring back.
    func expected() throws -> [UInt8] { withoutFreePages(try recovered(source("chat.db"))) }
}

/// The test's own idea of what is left out: leaves of the list of free pages, and what lies behind the list in its trunks.
func withoutFreePages(_ image: [UInt8]) -> [UInt8] {
    func number(_ offset: Int) -> Int { image[offset..<offset + 4].reduce(0) { $0 * 256 + Int($1) } }
    var image = image
    let size = Int(image[16]) * 256 + Int(image[17])
    let pageBytes = size == 1 ? 65_536 : size
    var trunk = number(32)
    while trunk != 0 {
        let start = (trunk - 1) * pageBytes
        let count = number(start + 4)
        for leaf in 0..<count {
            let page = (number(start + 8 + 4 * leaf) - 1) * pageBytes
            image.replaceSubrange(page..<page + pageBytes, with: repeatElement(0, count: pageBytes))
        }
        let kept = start + 8 + 4 * count
        image.replaceSubrange(kept..<start + pageBytes, with: repeatElement(0, count: start + pageBytes - kept))
        trunk = number(start)
    }
    return image
}

/// What SQLite's own check says of an image.
func soundness(of image: [UInt8]) throws -> [String] {
    let folder = try TemporaryFolder()
    try folder.write(image, to: "image.db")
    return try DatabaseQueue(path: folder("image.db")).inDatabase { database in
        try String.fetchAll(database, sql: "PRAGMA integrity_check")
    }
}
