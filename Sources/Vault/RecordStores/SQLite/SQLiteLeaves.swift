import ByteCoding
import GRDB
import VaultCore

/// The narrow table that a start reads whole: by SQLite's own calls and without an object for a row, for there may be ten
/// million.
extension SQLiteRecordStore {
    static func readLeaves(_ database: Database) throws -> LeafIndexBuilder {
        let row = try RowStatement(database, "SELECT slot, key, due, hash FROM leaves ORDER BY slot")
        defer { row.reset() }
        var leaves = LeafIndexBuilder()
        while try row.step() { try append(row, to: &leaves) }
        return leaves
    }

    private static func append(_ row: RowStatement, to leaves: inout LeafIndexBuilder) throws {
        guard row.integer(0) == leaves.count else {
            throw RecordStoreError.damaged("a record's leaf is missing")
        }
        let key = row.bytes(1)
        let sealedHash = row.bytes(3)
        guard key.count == RecordKey.byteCount, sealedHash.count == SealedHash.byteCount else {
            throw RecordStoreError.damaged("a record's leaf has another size")
        }
        leaves.append(key: key, dueSeconds: row.isNull(2) ? nil : try number(row.integer(2)), sealedHash: sealedHash)
    }
}
