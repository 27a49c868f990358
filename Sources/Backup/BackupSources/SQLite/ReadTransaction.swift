import Foundation
import GRDB

/// A read transaction of SQLite's own, held open: while it lasts, no writer can change the pages that a reader sees.
final class ReadTransaction {
    /// A commit takes less; an app that locks its database for as long as it runs is not waited for.
    private static let waitSeconds = 1.0

    private let queue: DatabaseQueue

    /// nil if SQLite cannot read the database without writing to it, or another process holds it alone.
    init?(path: [CChar]) {
        // A path that is not UTF-8 cannot be given to SQLite through GRDB; such a database is read without a lock.
        guard
            let path = String(validating: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        else { return nil }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(Self.waitSeconds)
        // The transaction outlives the access that begins it: that is what it is for.
        configuration.allowsUnsafeTransactions = true
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.inDatabase { database in
                try database.execute(sql: "BEGIN")
                // BEGIN alone takes no lock; the first read does.
                _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master")
            }
        } catch {
            return nil
        }
    }

    deinit {
        try? queue.inDatabase { try $0.execute(sql: "ROLLBACK") }
        try? queue.close()
    }
}
