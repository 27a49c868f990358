import Foundation
import GRDB
import VaultCore

#if canImport(Glibc)
    import Glibc
#endif

/// What the vault demands of SQLite, and how it makes sure that it got it.
extension SQLiteRecordStore {
    /// Of the file's layout, in `PRAGMA user_version`.
    static let layoutVersion = 2

    static func configuration(busySeconds: Double) -> Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(busySeconds)
        return configuration
    }

    /// Sets durability, erasure and memory, and reads each back: GRDB's own way to WAL lowers `synchronous` to NORMAL, and a
    /// vault that forgets its last charge when the power goes is a vault without a limit.
    static func settle(_ database: Database) throws {
        try demand("journal_mode", "wal", setting: "WAL", database)
        try demand("synchronous", "2", setting: "FULL", database)
        try demand("secure_delete", "1", setting: "ON", database)
        try demand("temp_store", "2", setting: "MEMORY", database)
        // KiB. The pages above the leaves, of ten million accounts too, which each attempt goes through.
        try demand("cache_size", "-32768", setting: "-32768", database)
    }

    private static func demand(_ pragma: String, _ expected: String, setting: String, _ database: Database) throws {
        _ = try Row.fetchAll(database, sql: "PRAGMA \(pragma) = \(setting)")
        let found = try String.fetchOne(database, sql: "PRAGMA \(pragma)")
        guard found == expected else {
            throw RecordStoreError.unavailable("SQLite has \(pragma) = \(found ?? "nothing") instead of \(setting)")
        }
    }

    static func makeTables(_ database: Database, creating: Bool) throws {
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version")
        if creating, version == 0 {
            try database.inTransaction(.immediate) {
                try database.execute(sql: tables)
                return .commit
            }
        } else if version != layoutVersion {
            throw RecordStoreError.damaged("this is not a vault's store, or it was made by another version")
        }
    }

    private static let tables = """
        CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 0), epoch INTEGER NOT NULL, head BLOB NOT NULL);
        INSERT INTO meta (id, epoch, head) VALUES (0, 0, x'');
        CREATE TABLE records (
            slot INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, epoch INTEGER NOT NULL, due INTEGER,
            sealed BLOB NOT NULL);
        CREATE TABLE leaves (
            slot INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, due INTEGER, hash BLOB NOT NULL);
        PRAGMA user_version = \(layoutVersion);
        """

    /// The file is made before SQLite sees it, so that nobody else can ever read it; `-wal` and `-shm` inherit the
    /// permissions.
    static func prepareFile(_ path: String, creating: Bool) throws {
        let flags = creating ? O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC : O_RDWR | O_CLOEXEC
        let file = open(path, flags, 0o600)
        guard file >= 0 else {
            throw RecordStoreError.unavailable("\(path): \(String(cString: strerror(errno)))")
        }
        Glibc.close(file)
    }

    static func count(upToEpoch epoch: UInt64, slots: Range<UInt64>, in database: Database) throws -> UInt64 {
        let statement = try database.cachedStatement(
            sql: "SELECT count(*) FROM records WHERE slot >= ? AND slot < ? AND epoch <= ?")
        return try number(
            try Int64.fetchOne(
                statement,
                arguments: [try integer(slots.lowerBound), try integer(slots.upperBound), try integer(epoch)]) ?? 0)
    }

    /// 0 for a file that is not there.
    static func fileBytes(_ path: String) -> UInt64 {
        var facts = stat()
        return stat(path, &facts) == 0 ? UInt64(clamping: facts.st_size) : 0
    }

    /// Returns when the file is on the medium.
    static func sync(_ path: String) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw RecordStoreError.unavailable("\(path): \(String(cString: strerror(errno)))") }
        defer { Glibc.close(file) }
        guard fsync(file) == 0 else {
            throw RecordStoreError.unavailable("\(path): \(String(cString: strerror(errno)))")
        }
    }

    static func integer(_ value: UInt64) throws -> Int64 {
        guard let value = Int64(exactly: value), value < .max else {
            throw RecordStoreError.unavailable("a number is too large for the store")
        }
        return value
    }

    static func number(_ value: Int64) throws -> UInt64 {
        guard let value = UInt64(exactly: value) else { throw RecordStoreError.damaged("a number is negative") }
        return value
    }

    static func storeError(_ error: any Error) -> RecordStoreError {
        guard let error = error as? DatabaseError else { return .unavailable("\(error)") }
        return switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_CONSTRAINT, .SQLITE_MISMATCH:
            .damaged(error.message ?? "SQLite calls the file damaged")
        default: .unavailable(error.message ?? "SQLite error \(error.resultCode.rawValue)")
        }
    }
}

/// Writes zeros over all of a file and waits for the medium.
func overwriteFile(_ path: String) throws {
    let file = open(path, O_WRONLY | O_CLOEXEC)
    if file < 0, errno == ENOENT { return }
    guard file >= 0 else { throw RecordStoreError.unavailable("\(path): \(String(cString: strerror(errno)))") }
    defer { close(file) }
    var left = lseek(file, 0, SEEK_END)
    var offset: off_t = 0
    let zeros = [UInt8](repeating: 0, count: 1 << 16)
    while left > 0 {
        let written = pwrite(file, zeros, min(zeros.count, Int(left)), offset)
        guard written > 0 else { throw RecordStoreError.unavailable("\(path): \(String(cString: strerror(errno)))") }
        offset += off_t(written)
        left -= off_t(written)
    }
    guard fdatasync(file) == 0 else {
        throw RecordStoreError.unavailable("\(path): \(String(cString: strerror(errno)))")
    }
}
