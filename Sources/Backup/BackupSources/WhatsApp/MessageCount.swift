import Foundation
import GRDB

/// How much is in WhatsApp's message database.
package struct MessageCount: Equatable, Sendable {
    /// Nil where there is no such table.
    package let chats: Int?
    package let messages: Int?

    /// Counts in a database that nobody else uses; nil if it is none.
    ///
    /// The file gets a name in a folder that only this user can look into, for as long as SQLite takes to open it.
    /// - Parameter file: a whole database; the two bytes that ask for a write-ahead log, which it does not have, are changed.
    package static func of(_ file: PendingFile, scratch: String) -> MessageCount? {
        guard file.replace([1, 1], at: journalModePlace), let path = privatePath(in: scratch) else { return nil }
        defer { rmdir(path.folder) }
        guard (try? file.name(as: path.file)) != nil else { return nil }
        var configuration = Configuration()
        configuration.readonly = true
        let opened = try? DatabaseQueue(path: path.file, configuration: configuration)
        // SQLite opens it now, so that it can lose its name again at once.
        let isThere = (try? opened?.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_master") }) != nil
        unlink(path.file)
        guard isThere, let queue = opened else { return nil }
        defer { try? queue.close() }
        return try? queue.read { database in
            MessageCount(
                chats: try count(ofFirst: Self.chatTables, database),
                messages: try count(ofFirst: Self.messageTables, database))
        }
    }

    /// Where a database says how it is written.
    private static let journalModePlace: UInt64 = 18

    /// A table, newest name first; the column whose value -1 or 1 marks a row that stands for nothing; and the condition that leaves
    /// such rows out.
    private static let chatTables = [("chat", "hidden", "hidden IS NOT 1"), ("chat_list", "key_remote_jid", "1")]
    private static let messageTables = [
        ("message", "chat_row_id", "chat_row_id IS NOT -1"),
        ("messages", "key_remote_jid", "key_remote_jid IS NOT '-1'"),
    ]

    private static func count(
        ofFirst tables: [(name: String, column: String, condition: String)], _ database: Database
    ) throws -> Int? {
        for table in tables {
            let columns = try Row.fetchAll(database, sql: "PRAGMA table_info(\(table.name))").compactMap {
                $0["name"] as String?
            }
            guard !columns.isEmpty else { continue }
            let condition = columns.contains(table.column) ? table.condition : "1"
            return try Int.fetchOne(database, sql: "SELECT count(*) FROM \(table.name) WHERE \(condition)")
        }
        return nil
    }

    private static func privatePath(in scratch: String) -> (folder: String, file: String)? {
        var template = systemPath(Array(scratch.utf8), Array(".coffer-XXXXXX".utf8))
        guard mkdtemp(&template) != nil else { return nil }
        let folder = String(decoding: template.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return (folder, "\(folder)/msgstore.db")
    }
}
