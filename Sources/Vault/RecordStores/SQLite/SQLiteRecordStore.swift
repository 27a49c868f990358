import ByteCoding
import Foundation
import GRDB
package import VaultCore

/// Records in one SQLite file (WAL), the embedded default.
///
/// One connection serves everything but checkpoints: the ledger is the only writer of a process, and its reads precede its writes.
/// Other processes may open the same file; the epoch decides between them.
package final class SQLiteRecordStore: RecordStore {
    private let queue: DatabaseQueue
    let checkpoints: SQLiteCheckpoints
    private let path: String

    /// Opens the file, making it if asked to, and refuses to go on if SQLite did not take the settings on which the
    /// vault's promises rest.
    ///
    /// `busySeconds` is how long a statement waits for another process's lock.
    package init(path: String, creating: Bool, busySeconds: Double = 5) throws(RecordStoreError) {
        self.path = path
        do {
            try Self.prepareFile(path, creating: creating)
            queue = try DatabaseQueue(path: path, configuration: Self.configuration(busySeconds: busySeconds))
            try queue.writeWithoutTransaction { database in
                try Self.settle(database)
                try Self.makeTables(database, creating: creating)
            }
            checkpoints = try SQLiteCheckpoints(path: path)
            queue.writeWithoutTransaction { [checkpoints] in checkpoints.watch($0) }
        } catch let error as RecordStoreError {
            throw error
        } catch {
            throw Self.storeError(error)
        }
    }

    package func close() throws(RecordStoreError) {
        do {
            try checkpoints.close()
            try queue.close()
        } catch {
            throw Self.storeError(error)
        }
    }

    /// Writes the store, as it is at one moment, into a new file, while others go on to write here. Erasure waits
    /// until the copy is made.
    package func copy(to copy: String) throws(RecordStoreError) {
        do {
            try Self.prepareFile(copy, creating: true)
            let target = try DatabaseQueue(path: copy, configuration: Self.configuration(busySeconds: 5))
            // In one step: in several, each batch that another process commits would begin the copy anew.
            try queue.backup(to: target, pagesPerStep: -1)
            try target.writeWithoutTransaction { _ = try Row.fetchAll($0, sql: "PRAGMA journal_mode = DELETE") }
            try target.close()
            try Self.sync(copy)
        } catch let error as RecordStoreError {
            throw error
        } catch {
            throw Self.storeError(error)
        }
    }

    // MARK: RecordStore

    package func load(_ keys: [RecordKey]) throws(RecordStoreError) -> StoreSnapshot {
        try load(keys, slots: Array(repeating: nil, count: keys.count))
    }

    package func load(_ keys: [RecordKey], slots: [UInt64?]) throws(RecordStoreError) -> StoreSnapshot {
        try perform { database in
            var snapshot: StoreSnapshot?
            try database.inTransaction(.deferred) {
                let meta = try Self.meta(database)
                let records = try zip(keys, slots).map { try Self.record($0, slot: $1, in: database) }
                snapshot = StoreSnapshot(
                    epoch: meta.epoch, head: meta.head, slotCount: meta.slotCount, records: records)
                return .commit
            }
            guard let snapshot else { throw RecordStoreError.unavailable("the read did not finish") }
            return snapshot
        }
    }

    package func leaves() throws(RecordStoreError) -> LeafTable {
        try perform { database in
            var table: LeafTable?
            try database.inTransaction(.deferred) {
                let meta = try Self.meta(database)
                let ahead = LeavesAhead(path: path, slotCount: meta.slotCount)
                defer { ahead.stop() }
                table = LeafTable(epoch: meta.epoch, head: meta.head, leaves: try Self.readLeaves(database))
                return .commit
            }
            guard let table else { throw RecordStoreError.unavailable("the read did not finish") }
            return table
        }
    }

    package func commit(_ batch: RecordBatch) throws(RecordStoreError) {
        try perform { database in
            try database.execute(sql: "BEGIN IMMEDIATE")
            do {
                try Self.write(batch, into: database)
            } catch {
                try? database.execute(sql: "ROLLBACK")
                throw error
            }
            do {
                try database.execute(sql: "COMMIT")
            } catch {
                try? database.execute(sql: "ROLLBACK")
                throw RecordStoreError.unknownOutcome("SQLite could not say whether it committed: \(error)")
            }
        }
    }

    /// Moves every page into the database (where `secure_delete` has zeroed what was freed), then overwrites the
    /// write-ahead log, which holds earlier versions of the records, before cutting it off.
    ///
    /// The log may be overwritten while the write lock is held after a restarting checkpoint: every frame is in the
    /// database by then, and readers no longer look at the log (sqlite.org/walformat.html). If the power goes in
    /// between, the next start finds a log without a valid header, which is an empty one.
    package func eraseOldVersions() throws(RecordStoreError) {
        // SQLite waits for readers, but not for another checkpoint.
        checkpoints.wait()
        for _ in 0..<8 where try eraseLogOnce() { return }
        throw .unavailable("another process keeps writing to the vault's store, so old versions stay in its log")
    }

    private func eraseLogOnce() throws(RecordStoreError) -> Bool {
        try perform { database in
            let before = try Int.fetchOne(database, sql: "PRAGMA data_version")
            try Self.checkpoint("RESTART", database)
            try database.execute(sql: "BEGIN IMMEDIATE")
            do {
                // Another process's frames since then are not in the database yet: begin again.
                guard try Int.fetchOne(database, sql: "PRAGMA data_version") == before else {
                    try database.execute(sql: "ROLLBACK")
                    return false
                }
                try overwriteFile(path + "-wal")
            } catch {
                try? database.execute(sql: "ROLLBACK")
                throw error
            }
            try database.execute(sql: "ROLLBACK")
            try Self.checkpoint("TRUNCATE", database)
            return true
        }
    }

    package func statistics(writtenUpTo epoch: UInt64?) throws(RecordStoreError) -> StoreStatistics? {
        var count: UInt64 = 0
        if let epoch {
            let slotCount = try perform { try Self.meta($0).slotCount }
            // A piece at a time: the ledger waits for a read that is going on, and so does erasure.
            for slot in stride(from: 0, to: slotCount, by: 20_000) {
                count += try perform { try Self.count(upToEpoch: epoch, slots: slot..<slot + 20_000, in: $0) }
            }
        }
        let bytes = [path, path + "-wal", path + "-shm"].map(Self.fileBytes).reduce(0, +)
        return StoreStatistics(bytes: bytes, recordsUpToEpoch: count)
    }

    // MARK: Statements

    struct Meta {
        var epoch: UInt64
        var head: [UInt8]
        var slotCount: UInt64
    }

    static func meta(_ database: Database) throws -> Meta {
        let row = try RowStatement(
            database, "SELECT epoch, head, (SELECT coalesce(max(slot) + 1, 0) FROM records) FROM meta WHERE id = 0")
        defer { row.reset() }
        guard try row.step() else { throw RecordStoreError.damaged("the store has no head") }
        return Meta(
            epoch: try number(row.integer(0)), head: Array(row.bytes(1)), slotCount: try number(row.integer(2)))
    }

    private static func checkpoint(_ mode: String, _ database: Database) throws {
        guard let row = try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(\(mode))"), row[0] as Int == 0 else {
            throw RecordStoreError.unavailable("another process is reading the vault's store")
        }
    }

    private func perform<Result>(_ body: (Database) throws -> Result) throws(RecordStoreError) -> Result {
        do {
            return try queue.writeWithoutTransaction(body)
        } catch let error as RecordStoreError {
            throw error
        } catch {
            throw Self.storeError(error)
        }
    }
}
