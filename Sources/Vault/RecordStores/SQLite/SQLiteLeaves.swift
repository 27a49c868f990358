import ByteCoding
import GRDB
import GRDBSQLite
import VaultCore

/// The narrow table that a start reads whole: by SQLite's own calls and without an object for a row, for there may be ten
/// million.
extension SQLiteRecordStore {
    static func readLeaves(_ database: Database) throws -> LeafIndexBuilder {
        let prepared = try database.makeStatement(sql: "SELECT slot, key, due, hash FROM leaves ORDER BY slot")
        let statement = prepared.sqliteStatement
        defer { sqlite3_reset(statement) }
        var leaves = LeafIndexBuilder()
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: try append(row: statement, to: &leaves)
            case SQLITE_DONE: return leaves
            case let code: throw DatabaseError(resultCode: ResultCode(rawValue: code))
            }
        }
    }

    private static func append(row: OpaquePointer, to leaves: inout LeafIndexBuilder) throws {
        guard sqlite3_column_int64(row, 0) == leaves.count else {
            throw RecordStoreError.damaged("a record's leaf is missing")
        }
        let key = bytes(row, 1)
        let sealedHash = bytes(row, 3)
        guard key.count == RecordKey.byteCount, sealedHash.count == SealedHash.byteCount else {
            throw RecordStoreError.damaged("a record's leaf has another size")
        }
        let isDue = sqlite3_column_type(row, 2) != SQLITE_NULL
        leaves.append(
            key: key, dueSeconds: isDue ? try number(sqlite3_column_int64(row, 2)) : nil, sealedHash: sealedHash)
    }

    /// They are the row's until the next step.
    private static func bytes(_ row: OpaquePointer, _ column: Int32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: sqlite3_column_blob(row, column), count: Int(sqlite3_column_bytes(row, column)))
    }
}
