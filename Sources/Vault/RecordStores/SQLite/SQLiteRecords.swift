import ByteCoding
import Foundation
import GRDB
import GRDBSQLite
import VaultCore

/// The statements that every attempt needs, by SQLite's own calls and without an object for each value: they are most of
/// what a batch costs the processor.
extension SQLiteRecordStore {
    static func record(_ key: RecordKey, in database: Database) throws -> StoredRecord? {
        let row = try RowStatement(database, "SELECT slot, epoch, due, sealed FROM records WHERE key = ?")
        return try key.bytes.withUnsafeBytes { key in
            row.bind(key, at: 1)
            defer { row.reset() }
            guard try row.step() else { return nil }
            return StoredRecord(
                key: RecordKey(uncheckedBytes: Array(key)), slot: try number(row.integer(0)),
                epoch: try number(row.integer(1)), sealed: Array(row.bytes(3)),
                dueSeconds: row.isNull(2) ? nil : try number(row.integer(2)))
        }
    }

    static func write(_ batch: RecordBatch, into database: Database) throws {
        let meta = try meta(database)
        guard meta.epoch == batch.expectedEpoch else { throw RecordStoreError.conflict }
        try database.cachedStatement(sql: "UPDATE meta SET epoch = ?, head = ? WHERE id = 0").execute(
            arguments: [try integer(batch.epoch), Data(batch.head)])
        let leaves = try RowStatement(
            database,
            """
            INSERT INTO leaves (slot, key, due, hash) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (slot) DO UPDATE SET due = excluded.due, hash = excluded.hash WHERE key = excluded.key
            """)
        let records = try RowStatement(
            database,
            """
            INSERT INTO records (slot, key, due, sealed, epoch) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, due = excluded.due, sealed = excluded.sealed
            WHERE slot = excluded.slot
            """)
        for record in batch.records {
            try put(record, record.leaf.sealedHash.bytes, by: leaves)
            records.bind(try integer(record.epoch), at: 5)
            try put(record, record.sealed, by: records)
            guard database.changesCount == 1 else {
                throw RecordStoreError.damaged("a record would have changed its slot")
            }
        }
    }

    private static func put(_ record: StoredRecord, _ content: [UInt8], by row: RowStatement) throws {
        row.bind(try integer(record.slot), at: 1)
        if let due = record.dueSeconds { row.bind(try integer(due), at: 3) } else { row.bindNull(at: 3) }
        try record.key.bytes.withUnsafeBytes { key in
            try content.withUnsafeBytes { content in
                row.bind(key, at: 2)
                row.bind(content, at: 4)
                defer { row.reset() }
                _ = try row.step()
            }
        }
    }
}

/// A prepared statement, from the connection's own cache. Columns count from 0, places to bind from 1, as in SQLite. What
/// could not be bound stays NULL, which no key equals and no column takes that must not be empty.
struct RowStatement {
    private let database: Database
    private let statement: OpaquePointer

    init(_ database: Database, _ sql: String) throws {
        self.database = database
        statement = try database.cachedStatement(sql: sql).sqliteStatement
    }

    /// The bytes must stay where they are until `reset`.
    func bind(_ bytes: UnsafeRawBufferPointer, at place: Int32) {
        sqlite3_bind_blob(statement, place, bytes.baseAddress, Int32(clamping: bytes.count), nil)
    }

    func bind(_ integer: Int64, at place: Int32) { sqlite3_bind_int64(statement, place, integer) }

    func bindNull(at place: Int32) { sqlite3_bind_null(statement, place) }

    /// True if there is a row.
    func step() throws -> Bool {
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code:
            throw DatabaseError(resultCode: ResultCode(rawValue: code), message: database.lastErrorMessage)
        }
    }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }

    /// They are the row's until the next step.
    func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: sqlite3_column_blob(statement, column), count: Int(sqlite3_column_bytes(statement, column)))
    }

    func reset() {
        sqlite3_reset(statement)
        sqlite3_clear_bindings(statement)
    }
}
