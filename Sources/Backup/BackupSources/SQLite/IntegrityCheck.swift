import BackupEngine
import GRDB

/// What SQLite's own check says of a database, which is opened read-only.
///
/// - Parameter path: in a folder where SQLite may make files beside it.
func integrity(ofDatabase path: String) -> DatabaseSoundness {
    var configuration = Configuration()
    configuration.readonly = true
    do {
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? queue.close() }
        let words = try queue.inDatabase { database in
            // Every page, every row, every index; at most 100 lines.
            try String.fetchAll(database, sql: "PRAGMA integrity_check")
        }
        return words == ["ok"] ? .sound : .unsound(words)
    } catch let error as DatabaseError
        where [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode.primaryResultCode)
    {
        return .unsound([error.message ?? "SQLite cannot read it"])
    } catch {
        return .unchecked((error as? DatabaseError)?.message ?? "\(error)")
    }
}
