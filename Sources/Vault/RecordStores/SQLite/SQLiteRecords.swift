import ByteCoding
import Foundation
import GRDB
import GRDBSQLite
import VaultCore

/// The statements that every attempt needs, by SQLite's own calls and without an object for each value: they are most of
/// what a batch costs the processor.
extension SQLiteRecordStore {
    /// By its slot, which costs one page of the records; by its key, which costs pages of an index too, if no slot is known or
    /// another record lies there.
    static func record(_ key: RecordKey, slot: UInt64?, in database: Database) throws -> StoredRecord? {
        if let slot = slot.flatMap({ Int64(exactly: $0) }) {
            let row = try RowStatement(database, "SELECT slot, epoch, due, sealed, key FROM records WHERE slot = ?")
            defer { row.reset() }
            try row.bind(slot, at: 1)
            if try row.step(), row.bytes(4).elementsEqual(key.bytes) { return try record(key, at: row) }
        }
        let row = try RowStatement(database, "SELECT slot, epoch, due, sealed FROM records WHERE key = ?")
        return try key.bytes.withUnsafeBytes { bytes in
            defer { row.reset() }
            try row.bind(bytes, at: 1)
            return try row.step() ? try record(key, at: row) : nil
        }
    }

    private static func record(_ key: RecordKey, at row: RowStatement) throws -> StoredRecord {
        StoredRecord(
            key: key, slot: try number(row.integer(0)), epoch: try number(row.integer(1)), sealed: Array(row.bytes(3)),
            dueSeconds: row.isNull(2) ? nil : try number(row.integer(2)))
    }

    static func write(_ batch: RecordBatch, into database: Database) throws {
        let meta = try meta(database)
        guard meta.epoch == batch.expectedEpoch else { throw RecordStoreError.conflict }
        try database.cachedStatement(sql: "UPDATE meta SET epoch = ?, head = ? WHERE id = 0").execute(
            arguments: [try integer(batch.epoch), Data(batch.head)])
        let known = try SlotStatements(
            leaf: RowStatement(database, "UPDATE leaves SET due = ?3, hash = ?4 WHERE slot = ?1 AND key = ?2"),
            record: RowStatement(
                database, "UPDATE records SET due = ?3, sealed = ?4, epoch = ?5 WHERE slot = ?1 AND key = ?2"))
        let new = try SlotStatements(
            leaf: RowStatement(database, "INSERT INTO leaves (slot, key, due, hash) VALUES (?1, ?2, ?3, ?4)"),
            record: RowStatement(
                database, "INSERT INTO records (slot, key, due, sealed, epoch) VALUES (?1, ?2, ?3, ?4, ?5)"))
        for record in batch.records {
            let statements = record.slot < meta.slotCount ? known : new
            try put(record, record.sealedHash.bytes, by: statements.leaf, database)
            try statements.record.bind(try integer(record.epoch), at: 5)
            try put(record, record.sealed, by: statements.record, database)
        }
    }

    /// What writes to one slot: a new version, which asks no index, or the first one.
    private struct SlotStatements {
        let leaf: RowStatement
        let record: RowStatement
    }

    private static func put(
        _ record: StoredRecord, _ content: [UInt8], by row: RowStatement, _ database: Database
    ) throws {
        try row.bind(try integer(record.slot), at: 1)
        if let due = record.dueSeconds { try row.bind(try integer(due), at: 3) } else { try row.bindNull(at: 3) }
        try record.key.bytes.withUnsafeBytes { key in
            try content.withUnsafeBytes { content in
                defer { row.reset() }
                try row.bind(key, at: 2)
                try row.bind(content, at: 4)
                _ = try row.step()
            }
        }
        guard database.changesCount == 1 else {
            throw RecordStoreError.damaged("a record would have changed its slot")
        }
    }
}

/// A prepared statement, from the connection's own cache. Columns count from 0, places to bind from 1, as in SQLite.
struct RowStatement {
    private let database: Database
    /// Held, so that the cache may let go of it.
    private let statement: Statement
    private var pointer: OpaquePointer { statement.sqliteStatement }

    init(_ database: Database, _ sql: String) throws {
        self.database = database
        statement = try database.cachedStatement(sql: sql)
    }

    /// The bytes must stay where they are until `reset`.
    func bind(_ bytes: UnsafeRawBufferPointer, at place: Int32) throws {
        try check(sqlite3_bind_blob(pointer, place, bytes.baseAddress, Int32(clamping: bytes.count), nil))
    }

    func bind(_ integer: Int64, at place: Int32) throws { try check(sqlite3_bind_int64(pointer, place, integer)) }

    func bindNull(at place: Int32) throws { try check(sqlite3_bind_null(pointer, place)) }

    private func check(_ code: Int32) throws {
        guard code == SQLITE_OK else { throw error(code) }
    }

    private func error(_ code: Int32) -> DatabaseError {
        DatabaseError(resultCode: ResultCode(rawValue: code), message: database.lastErrorMessage)
    }

    /// True if there is a row.
    func step() throws -> Bool {
        switch sqlite3_step(pointer) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw error(code)
        }
    }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(pointer, column) == SQLITE_NULL }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(pointer, column) }

    /// They are the row's until the next step.
    func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: sqlite3_column_blob(pointer, column), count: Int(sqlite3_column_bytes(pointer, column)))
    }

    func reset() {
        sqlite3_reset(pointer)
        sqlite3_clear_bindings(pointer)
    }
}
