import BackupEngine
import BackupFormat
import Foundation
import GRDB

@testable import BackupSources

/// A chat app's database, as the app sees it.
struct ChatDatabase {
    let path: String
    let queue: DatabaseQueue

    /// Makes or opens a database of messages whose transactions leave a sum behind, so that half of one shows.
    init(_ path: String, setUp: String = "PRAGMA journal_mode = WAL") throws {
        self.path = path
        queue = try DatabaseQueue(path: path)
        try queue.inDatabase { database in
            for statement in setUp.split(separator: ";") { _ = try Row.fetchAll(database, sql: String(statement)) }
            try database.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, body BLOB);
                    CREATE TABLE IF NOT EXISTS sums (id INTEGER PRIMARY KEY, count INTEGER, bytes INTEGER);
                    INSERT OR IGNORE INTO sums VALUES (1, 0, 0);
                    """)
        }
    }

    func add(_ count: Int, bytes: Int = 700) throws {
        try queue.inDatabase { database in
            try database.execute(sql: "BEGIN IMMEDIATE")
            for _ in 0..<count {
                try database.execute(sql: "INSERT INTO messages (body) VALUES (randomblob(?))", arguments: [bytes])
            }
            try database.execute(
                sql: "UPDATE sums SET count = count + ?, bytes = bytes + ?", arguments: [count, count * bytes])
            try database.execute(sql: "COMMIT")
        }
    }

    /// Changes pages all over the file.
    func rewrite(every step: Int) throws {
        try execute("UPDATE messages SET body = randomblob(length(body)) WHERE id % \(step) = 0")
    }

    func execute(_ sql: String) throws {
        try queue.inDatabase { database in
            for statement in sql.split(separator: ";") { _ = try Row.fetchAll(database, sql: String(statement)) }
        }
    }

    func state() throws -> ChatState { try queue.inDatabase { try ChatState($0) } }

    func close() throws { try queue.close() }
}

/// What is in a chat database.
struct ChatState: Equatable {
    let count: Int
    let bytes: Int
    let digest: String

    init(_ database: Database) throws {
        count = try Int.fetchOne(database, sql: "SELECT count(*) FROM messages") ?? -1
        bytes = try Int.fetchOne(database, sql: "SELECT coalesce(sum(length(body)), 0) FROM messages") ?? -1
        digest =
            try String.fetchOne(
                database, sql: "SELECT group_concat(hex(substr(body, 1, 8))) FROM (SELECT * FROM messages ORDER BY id)")
            ?? ""
    }

    /// Opens an image in a folder of its own and requires that it is a sound database with whole transactions.
    init(image: [UInt8]) throws {
        let folder = try TemporaryFolder()
        try folder.write(image, to: "image.db")
        self = try DatabaseQueue(path: folder("image.db")).inDatabase { database in
            let soundness = try String.fetchAll(database, sql: "PRAGMA integrity_check")
            guard soundness == ["ok"] else { throw UnsoundImage(findings: soundness) }
            let state = try ChatState(database)
            let sums = try Row.fetchOne(database, sql: "SELECT count, bytes FROM sums")
            guard sums?["count"] == state.count, sums?["bytes"] == state.bytes
            else { throw UnsoundImage(findings: ["a transaction is there in part"]) }
            return state
        }
    }
}

struct UnsoundImage: Error {
    let findings: [String]
}

/// Reads a database's image as a backup does; `meanwhile` happens before every block.
func image(
    of path: String, blockBytes: Int = 10_000, attempt: Int = 0, meanwhile: (Int) throws -> Void = { _ in }
) throws -> [UInt8] {
    let file = try DatabaseImage(path: systemPath(Array(path.utf8)), attempt: attempt)
    var image = [UInt8](repeating: 0xaa, count: Int(file.contentBytes))
    try image.withUnsafeMutableBytes { buffer in
        for (number, start) in stride(from: 0, to: buffer.count, by: blockBytes).enumerated() {
            try meanwhile(number)
            try file.read(into: .init(rebasing: buffer[start..<min(start + blockBytes, buffer.count)]))
        }
    }
    try file.finish()
    return image
}

/// What SQLite itself makes of the files of a database: the main file after recovery and a full checkpoint of a copy.
func recovered(_ path: String) throws -> [UInt8] {
    let folder = try TemporaryFolder()
    for suffix in ["", "-wal", "-journal"] where FileManager.default.fileExists(atPath: path + suffix) {
        try FileManager.default.copyItem(atPath: path + suffix, toPath: folder("copy.db\(suffix)"))
    }
    let queue = try DatabaseQueue(path: folder("copy.db"))
    try queue.inDatabase { database in
        _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master")
        _ = try Row.fetchAll(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
    }
    try queue.close()
    return try folder.read("copy.db")
}

/// Another program at work on a database: a Python script that says a line when it is ready.
final class OtherProgram {
    private let process = Process()
    private let output = Pipe()
    private let input = Pipe()

    init(_ script: String, _ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", "import sqlite3, sys, os\n" + script] + arguments
        process.standardOutput = output
        process.standardInput = input
        try process.run()
        guard waitForLine() else { throw SystemCallFailed(call: "python3", message: "it ended before it was ready") }
    }

    /// Waits until the program has said one more line; false if it ended instead.
    func waitForLine() -> Bool {
        while true {
            let byte = output.fileHandleForReading.readData(ofLength: 1)
            if byte.isEmpty { return false }
            if byte.first == UInt8(ascii: "\n") { return true }
        }
    }

    /// As a crash does.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Lets the program end by itself: its input ends.
    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    deinit { if process.isRunning { kill() } }
}
