import Foundation
import GRDBSQLite

/// A database in a file without a name, written by whoever made it: read-only, and asked no more than one of its size can answer.
final class UntrustedDatabase {
    /// It is damaged, or the answer would take too long.
    struct Failure: Error {}

    private static let stepsPerLook: Int32 = 10_000

    private let connection: OpaquePointer
    /// How many looks are left; SQLite has it while the connection is open.
    private let looksLeft: UnsafeMutablePointer<UInt64>

    init?(_ file: PendingFile, bytes: UInt64) {
        guard DescriptorFiles.areRegistered else { return nil }
        var connection: OpaquePointer?
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX
        guard sqlite3_open_v2("\(file.descriptor)", &connection, flags, DescriptorFiles.name) == SQLITE_OK,
            let connection
        else {
            sqlite3_close_v2(connection)
            return nil
        }
        self.connection = connection
        looksLeft = .allocate(capacity: 1)
        // A row takes more bytes than SQLite takes steps to count it; pages that lead to themselves may be counted for ever.
        looksLeft.initialize(to: (bytes / UInt64(Self.stepsPerLook)) * 4 + 400)
        sqlite3_progress_handler(
            connection, Self.stepsPerLook,
            { context in
                guard let left = context?.assumingMemoryBound(to: UInt64.self), left.pointee > 0 else { return 1 }
                left.pointee -= 1
                return 0
            }, looksLeft)
        sqlite3_exec(connection, "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY", nil, nil, nil)
    }

    deinit {
        sqlite3_close_v2(connection)
        looksLeft.deallocate()
    }

    /// The one number that a statement yields.
    func number(_ statement: String) throws(Failure) -> Int {
        var prepared: OpaquePointer?
        guard sqlite3_prepare_v2(connection, statement, -1, &prepared, nil) == SQLITE_OK else { throw Failure() }
        defer { sqlite3_finalize(prepared) }
        guard sqlite3_step(prepared) == SQLITE_ROW else { throw Failure() }
        return Int(sqlite3_column_int64(prepared, 0))
    }
}

/// SQLite's way to read a file that is open and has no name (https://sqlite.org/vfs.html): the number of its descriptor is its path.
/// Its own way would follow `/proc/self/fd/N` to a name, and there is none.
private enum DescriptorFiles {
    static let name = "coffer-descriptor"

    /// A macro of SQLite's that Swift does not see: the file ends before, and zeros stand for what is missing.
    private static let shortRead = SQLITE_IOERR | 2 << 8

    private struct File {
        var base: sqlite3_file
        var descriptor: Int32
    }

    static let areRegistered: Bool = {
        guard let system = sqlite3_vfs_find(nil), let name = strdup(name) else { return false }
        // As long as the program runs: SQLite keeps the pointers.
        let files = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        files.initialize(to: system.pointee)
        files.pointee.zName = UnsafePointer(name)
        files.pointee.pNext = nil
        files.pointee.szOsFile = Int32(MemoryLayout<File>.size)
        files.pointee.xFullPathname = { _, path, room, target in
            guard let path, let target, room > 0, strlen(path) < Int(room) else { return SQLITE_CANTOPEN }
            strcpy(target, path)
            return SQLITE_OK
        }
        files.pointee.xAccess = { _, _, _, answer in
            answer?.pointee = 0
            return SQLITE_OK
        }
        files.pointee.xDelete = { _, _, _ in SQLITE_IOERR }
        files.pointee.xOpen = { _, path, file, _, outFlags in
            // Without a path it would be for what SQLite writes meanwhile, which it keeps in memory.
            guard let file, let path, let descriptor = Int32(String(cString: path)) else { return SQLITE_CANTOPEN }
            UnsafeMutableRawPointer(file).assumingMemoryBound(to: File.self).initialize(
                to: File(base: sqlite3_file(pMethods: methods), descriptor: descriptor))
            outFlags?.pointee = SQLITE_OPEN_READONLY
            return SQLITE_OK
        }
        return sqlite3_vfs_register(files, 0) == SQLITE_OK
    }()

    // Written once, before SQLite reads it.
    private nonisolated(unsafe) static let methods: UnsafePointer<sqlite3_io_methods> = {
        let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        methods.initialize(to: sqlite3_io_methods())
        methods.pointee.iVersion = 1
        methods.pointee.xClose = { _ in SQLITE_OK }
        methods.pointee.xRead = { file, target, count, offset in
            guard let file, let target else { return SQLITE_IOERR }
            let buffer = UnsafeMutableRawBufferPointer(start: target, count: Int(count))
            guard let got = try? readAvailable(descriptor(of: file), into: buffer, at: off_t(offset)) else {
                return SQLITE_IOERR
            }
            memset(target + got, 0, buffer.count - got)
            return got == buffer.count ? SQLITE_OK : shortRead
        }
        methods.pointee.xFileSize = { file, bytes in
            guard let file, let status = FileStatus.of(descriptor(of: file)) else { return SQLITE_IOERR }
            bytes?.pointee = sqlite3_int64(clamping: status.bytes)
            return SQLITE_OK
        }
        methods.pointee.xWrite = { _, _, _, _ in SQLITE_READONLY }
        methods.pointee.xTruncate = { _, _ in SQLITE_READONLY }
        methods.pointee.xSync = { _, _ in SQLITE_OK }
        methods.pointee.xLock = { _, _ in SQLITE_OK }
        methods.pointee.xUnlock = { _, _ in SQLITE_OK }
        methods.pointee.xCheckReservedLock = { _, answer in
            answer?.pointee = 0
            return SQLITE_OK
        }
        methods.pointee.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
        methods.pointee.xSectorSize = { _ in 4_096 }
        // Nobody else has it: no lock, journal or log is looked for.
        methods.pointee.xDeviceCharacteristics = { _ in SQLITE_IOCAP_IMMUTABLE }
        return UnsafePointer(methods)
    }()

    private static func descriptor(of file: UnsafeMutablePointer<sqlite3_file>) -> Int32 {
        UnsafeMutableRawPointer(file).assumingMemoryBound(to: File.self).pointee.descriptor
    }
}
