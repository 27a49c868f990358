import Dispatch
import GRDB
import GRDBSQLite
import Synchronization

/// Moves what was committed from the write-ahead log into the database, on a thread and over a connection of its own: it is a
/// thousand pages here and there and two waits for the medium, and a batch would wait for it.
///
/// Nothing that the vault promises rests on it: a commit is on the medium once the log is. A passive checkpoint holds up nobody
/// (sqlite.org/wal.html, section 2.2), and the writer begins the log anew once all of it has been moved. Where the log grows all the
/// same, since batches come fast or somebody reads for long, the writer moves it itself at a bound, as SQLite does by default
/// at a thousand pages.
final class SQLiteCheckpoints: Sendable {
    /// SQLite's own measure, 4 MiB.
    private static let logPagesDue: Int32 = 1_000
    /// 64 MiB.
    private static let logPagesMax: Int32 = 16_000
    /// What is committed while one goes on is left to the next, and is less each time.
    private static let roundsMax = 4

    private let connection: DatabaseQueue
    private let thread = DispatchQueue(label: "coffer.vault.checkpoints")
    private let isAtWork = Atomic(false)

    init(path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .immediateError
        connection = try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Looks at the log after each commit of a connection, which this must outlive. It takes the place of SQLite's own
    /// checkpoints (`wal_autocheckpoint`).
    func watch(_ writer: Database) {
        sqlite3_wal_hook(
            writer.sqliteConnection,
            { context, writer, _, logPages in
                guard let context else { return SQLITE_OK }
                let checkpoints = Unmanaged<SQLiteCheckpoints>.fromOpaque(context).takeUnretainedValue()
                checkpoints.hasCommitted(writer, logPages: logPages)
                // Whatever becomes of a checkpoint, the commit stands.
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func hasCommitted(_ writer: OpaquePointer?, logPages: Int32) {
        if logPages >= Self.logPagesMax {
            sqlite3_wal_checkpoint_v2(writer, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
        } else if logPages >= Self.logPagesDue {
            begin()
        }
    }

    private func begin() {
        guard isAtWork.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        else { return }
        thread.async {
            self.moveLog()
            self.isAtWork.store(false, ordering: .releasing)
        }
    }

    /// Until nothing was committed meanwhile. What fails here is tried again after the next commit.
    private func moveLog() {
        var pagesBefore = -1
        for _ in 0..<Self.roundsMax {
            guard let pages = try? connection.writeWithoutTransaction(Self.checkpoint), pages != pagesBefore else {
                return
            }
            pagesBefore = pages
        }
    }

    /// - Returns: how many pages the log has; nil if not all of them were moved, since somebody reads.
    private static func checkpoint(_ database: Database) throws -> Int? {
        guard let row = try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(PASSIVE)") else { return nil }
        let (isBusy, pages, moved) = (row[0] as Int, row[1] as Int, row[2] as Int)
        return isBusy == 0 && pages == moved ? pages : nil
    }

    /// Returns when none goes on that was due.
    func wait() { thread.sync {} }

    func close() throws {
        wait()
        try connection.close()
    }
}
